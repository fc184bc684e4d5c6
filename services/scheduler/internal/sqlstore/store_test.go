package sqlstore

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }

// factory opens stores in one database.
func factory(t *testing.T) storetest.Factory {
	dsn := pgtest.Database(t)
	return storetest.Factory{Shared: true, Open: func(t *testing.T) frontier.Store {
		s, err := Open(t.Context(), Config{DSN: dsn, Partitions: storetest.Partitions, Connections: 3, SeenEntries: 8})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, factory)
}

func TestSharedConformance(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, factory)
}

// TestDeleteInPieces: a crawl that is larger than a piece is deleted whole, and no
// other.
func TestDeleteInPieces(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	u, err := weburl.FromCanonical("https://example.org/")
	if err != nil {
		t.Fatal(err)
	}
	b := &frontier.Batch{Sync: true}
	for i := range 3*piece + 7 {
		ref := frontier.Ref{Crawl: frontier.CrawlNo(1 + i%2), Partition: 1, Host: uint64(i % 3), Key: frontier.Key{1, byte(i), byte(i >> 8)}}
		b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: frontier.Record{State: frontier.URLQueued}})
		b.Queue = append(b.Queue, frontier.QueueRow{Ref: ref, Item: frontier.Item{URL: u, QKey: frontier.QKey{Seq: uint64(i)}}})
		b.Due = append(b.Due, frontier.DueRow{Ref: ref, At: time.UnixMilli(int64(i))})
		b.Ready = append(b.Ready, frontier.ReadyRow{HostRef: frontier.HostRef{Partition: 1, Crawl: ref.Crawl, Host: uint64(i)}})
	}
	if _, err := s.Apply(b); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteCrawl(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"url", "queue", "due", "ready"} {
		var kept, left int
		err := s.pool.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE crawl = 1), count(*) FILTER (WHERE crawl = 2) FROM "+table).Scan(&kept, &left)
		if err != nil || kept != (3*piece+8)/2 || left != 0 {
			t.Errorf("%s has %d rows of another crawl and %d of the deleted one, %v", table, kept, left, err)
		}
	}
}
