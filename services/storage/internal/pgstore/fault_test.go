package pgstore

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

func open(t *testing.T, dsn, owner string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{DSN: dsn, Owner: owner, Connections: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func page(n int) *catalogue.Page {
	u := fmt.Sprintf("http://example.com/%d", n)
	return &catalogue.Page{
		Key: catalogue.Key{Crawl: "one", URL: weburl.KeyOf(u), Generation: 1, Attempt: 1, Kind: catalogue.KindPage}, CanonicalURL: u, Status: 200,
		Items: []catalogue.Item{{Rule: "r", JSON: []byte(`{}`)}},
	}
}

func stored(t *testing.T, s *Store) (urls []string) {
	t.Helper()
	for q := (catalogue.PageQuery{Crawl: "one", Limit: 1000}); ; {
		a, err := s.Pages(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range a.Pages {
			urls = append(urls, p.CanonicalURL)
		}
		if q.After = a.Next; a.End {
			return urls
		}
	}
}

// TestLostConnections: whatever the moment at which a connection breaks, Commit says
// what became of the batch.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s, killer := open(t, dsn+"&application_name=victim", "one"), open(t, dsn, "killer")
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var kills atomic.Int64
	wg.Go(func() {
		tick := time.NewTicker(11 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			var n int
			err := killer.pool.QueryRow(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'victim' AND datname = current_database() AND state <> 'idle'").Scan(&n)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			kills.Add(int64(n))
		}
	})
	var want []string
	failed, n := 0, 0
	// On a busy machine it may take a while until a kill meets a commit.
	for ; n < 100 || kills.Load() < 5 && n < 10_000; n++ {
		p := page(n)
		err := s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{p}})
		switch {
		case err == nil:
			want = append(want, p.CanonicalURL)
		case crawl.KindOf(err) != crawl.Unavailable:
			t.Fatal(err)
		default:
			failed++
		}
	}
	stop()
	wg.Wait()
	got := stored(t, killer)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("stored %v, said %v", got, want)
	}
	t.Logf("%d connections broken, %d commits of %d failed", kills.Load(), failed, n)
	if kills.Load() == 0 {
		t.Error("no connection was broken: it proves nothing")
	}
}

// TestStoppedWriter: a storage that stops in the middle of a transaction holds up
// neither the commits of others nor readers.
func TestStoppedWriter(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s, other := open(t, dsn, "one"), open(t, dsn, "two")
	if err := s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{page(1)}}); err != nil {
		t.Fatal(err)
	}
	w := &writer{s: s, b: &catalogue.Batch{Pages: []*catalogue.Page{page(2)}}, crawls: map[int32]*share{}, records: map[int64]int64{}}
	if err := w.number(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.conn, err = s.pool.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.conn.Release()
	if _, err = w.conn.Exec(t.Context(), "BEGIN; "+s.lock); err != nil {
		t.Fatal(err)
	}
	w.encode()
	if _, err := w.conn.Conn().PgConn().CopyFrom(t.Context(), s.rows.pages.reader(), "COPY pages ("+pageColumns+") FROM STDIN (FORMAT binary)"); err != nil {
		t.Fatal(err)
	}
	// It stands here, and the other goes on.
	for n := range 20 {
		if err := other.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{page(10 + n)}}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := other.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := stored(t, other); len(got) != 21 {
		t.Errorf("%d pages", len(got))
	}
	if err := w.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := other.Pages(t.Context(), catalogue.PageQuery{Crawl: "one", After: last, Limit: 10})
	if err != nil || len(a.Pages) != 1 || a.Pages[0].CanonicalURL != page(2).CanonicalURL {
		t.Errorf("what came last is not behind the last cursor: %v, %v", a, err)
	}
}

// TestOpenWaits: a storage that starts waits for the commit of the process before it.
func TestOpenWaits(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := open(t, dsn, "one")
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "BEGIN; "+s.lock); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		again, err := Open(t.Context(), Config{DSN: dsn, Owner: "one"})
		if err == nil {
			err = again.Close()
		}
		opened <- err
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for waiting := 0; waiting == 0; <-tick.C {
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dsn, "two") // another does not wait
	select {
	case err := <-opened:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	at, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	missing, down := *at, *at
	missing.Path = "/nosuch"
	down.RawQuery = url.Values{"host": {t.TempDir()}, "user": {"weir"}}.Encode()
	for _, c := range []struct {
		name, dsn, want string
		kind            crawl.Kind
		patience        time.Duration // only what may pass takes all of it
	}{
		{"no address", "postgres://%zz", "the address is like", crawl.Invalid, time.Minute},
		{"no database", missing.String(), "create the database", crawl.Unavailable, time.Minute},
		{"no server", down.String(), "is the server running", crawl.Unavailable, time.Second},
	} {
		_, err := Open(t.Context(), Config{DSN: c.dsn, Owner: "one", Patience: c.patience})
		if crawl.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	s := open(t, dsn, "one")
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO "+versionTable+" (version_id, is_applied) VALUES (999, true)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{DSN: dsn, Owner: "one"}); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("newer tables: %v", err)
	}
}

// TestViews reads the database as a person would.
func TestViews(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), "one")
	first, second, media := page(1), page(1), page(3)
	second.Attempt, media.Kind, media.Items = 2, catalogue.KindMedia, nil
	second.Items[0].JSON = []byte(`{"v":2}`)
	if err := s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{first, second, page(2), media}}); err != nil {
		t.Fatal(err)
	}
	var rows, files, items, attempt, v int
	if err := s.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM newest_pages), (SELECT count(*) FROM media), (SELECT count(*) FROM item_list),
		(SELECT attempt FROM newest_pages WHERE crawl_id = 'one' AND url = $1), (SELECT (json->>'v')::int FROM item_list WHERE json->>'v' IS NOT NULL)`, first.CanonicalURL).
		Scan(&rows, &files, &items, &attempt, &v); err != nil || rows != 2 || files != 1 || items != 3 || attempt != 2 || v != 2 {
		t.Errorf("%d pages, %d files, %d items, attempt %d, v %d, %v", rows, files, items, attempt, v, err)
	}
}
