package sqlstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

// TestPlans: what is asked often finds its rows by an index, also when the server
// has no statistics, as after a start with large tables that were small before.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for i, sql := range []string{
		putURLs, putQueue, dropQueue, putDue, dropDue, putReady, putHosts, putRobots, dropRobots, putStats, putLeases, dropLeases,
		putOutbox, dropOutbox, lockParts, raiseSeq, countRun, askKnown, askRecords, askHosts, askReady, askQueue, askQueueAfter, askDue,
		askJar, putJars,
		askFirstDue, askScan, askItems, askAllHosts, askCrawlHosts,
	} {
		name := fmt.Sprintf("plan%d", i)
		if _, err := conn.Exec(t.Context(), "PREPARE "+name+" AS "+sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		n := 1
		for strings.Contains(sql, fmt.Sprintf("$%d", n+1)) {
			n++
		}
		rs, err := conn.Query(t.Context(), fmt.Sprintf("EXPLAIN (COSTS OFF) EXECUTE %s (%s)", name, strings.TrimSuffix(strings.Repeat("NULL, ", n), ", ")))
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		lines, err := pgx.CollectRows(rs, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		for _, bad := range []string{"Seq Scan", "Hash", "Merge", "Materialize", "Gather"} {
			if strings.Contains(plan, bad) {
				t.Errorf("%s\nis planned as\n%s", sql, plan)
			}
		}
	}
}
