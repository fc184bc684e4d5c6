package pgtest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }

// ask runs a query with psql.
func ask(t *testing.T, dsn, query string) string {
	t.Helper()
	out, err := exec.Command("psql", "-X", "-At", "-d", dsn, "-c", query).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", query, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	one, two := pgtest.Database(t), pgtest.Database(t)
	ask(t, one, "CREATE TABLE x (a int)")
	if got := ask(t, two, "SELECT count(*) FROM pg_tables WHERE tablename = 'x'"); got != "0" {
		t.Errorf("databases are not apart: %s", got)
	}
	if got := ask(t, one, "SHOW fsync"); got != "off" {
		t.Errorf("fsync is %s", got)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	var dir string
	t.Run("durable", func(t *testing.T) {
		c := pgtest.Start(t, pgtest.Options{Durable: true, Settings: map[string]string{"work_mem": "7MB"}})
		dsn := c.Database(t)
		if got := ask(t, dsn, "SELECT current_setting('fsync') || current_setting('work_mem')"); got != "on7MB" {
			t.Errorf("settings are %s", got)
		}
		dir = c.Dir()
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the cluster's directory is left: %v", err)
	}
}
