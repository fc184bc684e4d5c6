package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// open opens a store and acquires all of its partitions.
func open(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{DSN: dsn, Partitions: 2, Connections: 3, SeenEntries: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for p := range uint32(2) {
		if _, err := s.Acquire(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := open(t, dsn)
	at, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	missing, down := *at, *at
	missing.Path = "/nosuch"
	down.RawQuery = url.Values{"host": {t.TempDir()}, "user": {"weir"}}.Encode()
	for _, c := range []struct {
		name string
		cfg  Config
		kind crawl.Kind
		says string
	}{
		{"another number of partitions", Config{DSN: dsn, Partitions: 8}, crawl.Precondition, "2 partitions"},
		{"too many partitions", Config{DSN: dsn, Partitions: 1 << 20}, crawl.Invalid, "more than"},
		{"not an address", Config{DSN: "postgres://%%"}, crawl.Invalid, "postgres://user:password@host/database"},
		{"no such database", Config{DSN: missing.String()}, crawl.Unavailable, "create the database"},
		{"no server", Config{DSN: down.String(), Patience: time.Second}, crawl.Unavailable, "is the server running"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(t.Context(), c.cfg)
			if crawl.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v", crawl.KindOf(err), err)
			}
		})
	}
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{DSN: dsn, Partitions: 2}); crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "use a newer one") {
		t.Errorf("tables of a later version: %v", err)
	}
}

// TestOpenTogether: schedulers that start at the same time make the tables once.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(context.Background(), Config{DSN: dsn, Partitions: 2})
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	wg.Wait()
}

// TestStoppedInside: who stops inside a transaction is fenced all the same, after the
// time that the server gives him.
func TestStoppedInside(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s, other := open(t, dsn), open(t, dsn)
	if _, err := s.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.writer.encode(&frontier.Batch{Leases: []frontier.LeaseRow{{Partition: 1, ID: 5}}}); err != nil {
		t.Fatal(err)
	}
	f, err := s.fence([]uint32{1})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	half := transaction{s: s, fence: f, n: 1}
	if err := half.write(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	snap, err := other.Acquire(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Leases) > 0 {
		t.Error("a transaction that was not committed shows")
	}
	if tag, err := conn.Exec(t.Context(), "COMMIT"); err == nil {
		t.Errorf("the old owner's transaction went on: %s", tag)
	}
	if _, err := s.Apply(&frontier.Batch{Leases: []frontier.LeaseRow{{Partition: 1, ID: 6}}}); !errors.Is(err, frontier.ErrFenced) {
		t.Errorf("the old owner writes: %v", err)
	}
}

// proxy stands between a store and its server, and can break what goes through.
type proxy struct {
	lis    net.Listener
	server string
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	plan  []string // for the commits to come
	down  bool     // takes no connections
}

// What happens to a commit.
const (
	pass     = "pass"
	loseIt   = "lose the commit"
	loseBack = "lose the answer"
)

// newProxy starts one, and returns the store's address through it.
func newProxy(t *testing.T, dsn string) (*proxy, string) {
	t.Helper()
	at, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	const name = ".s.PGSQL.5432"
	dir := t.TempDir()
	lis, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{lis: lis, server: filepath.Join(q.Get("host"), name), conns: make(map[net.Conn]struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = lis.Close()
		p.cut()
		p.wg.Wait()
	})
	q.Set("host", dir)
	at.RawQuery = q.Encode()
	return p, at.String()
}

// refuse ends all connections and takes no more, or takes them again.
func (p *proxy) refuse(yes bool) {
	p.mu.Lock()
	p.down = yes
	p.mu.Unlock()
	p.cut()
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *proxy) accept() {
	for {
		client, err := p.lis.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		down := p.down
		p.mu.Unlock()
		if down {
			p.cut()
		}
		p.wg.Go(func() { p.forward(client, server) })
		p.wg.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
	}
}

// forward carries what the client says, and does to commits what is planned.
func (p *proxy) forward(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		does := pass
		if bytes.Contains(buf[:n], []byte("COMMIT")) {
			does = p.next()
		}
		if does == loseIt {
			return
		}
		if does == loseBack {
			_ = client.Close() // before the server can answer
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if does == loseBack {
			// The server ends the transaction, then notices that nobody is there.
			_ = server.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, server)
			return
		}
	}
}

// next is what happens to the next commit.
func (p *proxy) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.plan) == 0 {
		return pass
	}
	does := p.plan[0]
	p.plan = p.plan[1:]
	return does
}

// TestUnknownCommit: a commit whose answer is lost is found to be done or not, and
// each batch is counted once.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	p, through := newProxy(t, dsn)
	s := open(t, through)
	for i, plan := range [][]string{
		{pass}, {loseIt}, {loseBack}, {loseIt, loseBack}, {loseIt, loseIt, pass}, {loseBack}, {pass},
	} {
		p.mu.Lock()
		p.plan = plan
		p.mu.Unlock()
		_, err := s.Apply(&frontier.Batch{Leases: []frontier.LeaseRow{{Partition: 1, ID: frontier.LeaseID(i), Deadline: time.UnixMilli(1)}}, Sync: true})
		if err != nil {
			t.Fatalf("%v: %v", plan, err)
		}
	}
	var applied, leases int
	if err := s.pool.QueryRow(t.Context(), "SELECT applied, (SELECT count(*) FROM lease) FROM run").Scan(&applied, &leases); err != nil {
		t.Fatal(err)
	}
	if applied != 7 || leases != 7 {
		t.Errorf("7 batches were counted as %d, with %d leases", applied, leases)
	}
}

// TestConnectionsCut: a server that comes back within the store's patience is
// waited for by all calls.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	p, through := newProxy(t, pgtest.Database(t))
	s := open(t, through)
	ref := frontier.Ref{Crawl: 1, Partition: 1, Host: 7}
	for i := range 20 {
		ref.Key[0] = byte(i)
		p.cut()
		if _, err := s.Apply(&frontier.Batch{URLs: []frontier.URLRow{{Ref: ref, Record: frontier.Record{State: frontier.URLDone}}}, Sync: true}); err != nil {
			t.Fatal(err)
		}
		p.cut()
		rec := make([]frontier.Record, 1)
		if err := s.Lookup(t.Context(), []frontier.Ref{ref}, rec); err != nil || rec[0].State != frontier.URLDone {
			t.Fatalf("record %d is %+v, %v", i, rec[0], err)
		}
	}
}

// TestImpatient: after a failure that leaves open what was written, no batch
// follows until another run is begun.
func TestImpatient(t *testing.T) {
	t.Parallel()
	p, through := newProxy(t, pgtest.Database(t))
	s := open(t, through)
	s.cfg.Patience = 100 * time.Millisecond
	b := &frontier.Batch{Leases: []frontier.LeaseRow{{Partition: 1, ID: 1}}, Sync: true}
	p.refuse(true)
	_, err := s.Apply(b)
	if crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "frontier store: write: ") {
		t.Fatalf("without a server: %v", err)
	}
	if _, again := s.Apply(b); again == nil || again.Error() != err.Error() {
		t.Errorf("the next batch: %v", again)
	}
	p.refuse(false)
	s.cfg.Patience = DefaultConfig().Patience
	if _, again := s.Apply(b); again == nil {
		t.Error("a batch followed")
	}
	if _, err := s.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(b); err != nil {
		t.Errorf("in another run: %v", err)
	}
}
