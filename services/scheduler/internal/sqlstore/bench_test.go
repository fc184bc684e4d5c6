package sqlstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// pages is a stream of pages over many hosts: each has 50 links, 40 of them to pages
// known already, nearly all on its own host.
type pages struct {
	b     *testing.B
	f     *frontier.Frontier
	store *Store
	rng   *rand.Rand
	zipf  *rand.Zipf
	next  []int // pages of each host so far
	now   time.Time
	links [][]frontier.Candidate
}

const (
	benchHosts = 10_000
	benchLinks = 50
	benchNew   = 10
)

func newPages(b *testing.B, dsn string, batch int) *pages {
	store, err := Open(b.Context(), Config{DSN: dsn})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	start, err := store.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	p := &pages{b: b, store: store, now: time.Now(), rng: rand.New(rand.NewPCG(1, 2)), next: make([]int, benchHosts)}
	p.zipf = rand.NewZipf(p.rng, 1.2, 8, benchHosts-1)
	p.f = frontier.New(frontier.DefaultConfig(), start, p.now)
	for i := range start.Partitions {
		snap, err := store.Acquire(b.Context(), i)
		if err != nil {
			b.Fatal(err)
		}
		p.f.Own(p.now, snap)
	}
	p.f.PutCrawl(p.now, frontier.Crawl{No: 1, ID: "bench", Concurrency: 8, CreatedAt: p.now})
	for range batch {
		p.links = append(p.links, make([]frontier.Candidate, benchLinks))
	}
	return p
}

// page makes the links of a page: canonical URLs of about 90 bytes.
func (p *pages) page(ls []frontier.Candidate) {
	host := int(p.zipf.Uint64())
	for i := range ls {
		n := p.next[host]
		if i < benchNew || n == 0 {
			p.next[host]++
		} else {
			n = p.rng.IntN(n)
		}
		u, err := weburl.FromCanonical(fmt.Sprintf(
			"https://www.host-number-%05d.example/section-%02d/an-article-of-some-length-about-%08d.html", host, n%50, n))
		if err != nil {
			p.b.Fatal(err)
		}
		ls[i] = frontier.Candidate{URL: u, Depth: 1}
	}
}

// known asks the store about refs.
func (p *pages) known(refs []frontier.Ref) []bool {
	known := make([]bool, len(refs))
	if err := p.store.Known(p.b.Context(), refs, known); err != nil {
		p.b.Fatal(err)
	}
	if m := p.f.Missing(nil, refs); len(m) > 0 {
		hosts, err := p.store.Hosts(p.b.Context(), m)
		if err != nil {
			p.b.Fatal(err)
		}
		p.f.Admit(p.now, hosts)
	}
	return known
}

// write applies what has changed.
func (p *pages) write() {
	if batch := p.f.Flush(); batch != nil {
		if _, err := p.store.Apply(batch); err != nil {
			p.b.Fatal(err)
		}
	}
}

// turn is one turn of the scheduler's loop: a batch of leases, and of results.
func (p *pages) turn() int {
	leases := p.f.Next(p.now, len(p.links))
	p.write()
	for _, w := range p.f.Wants() {
		fill, err := p.store.Window(p.b.Context(), w)
		if err != nil {
			p.b.Fatal(err)
		}
		p.f.Fill(p.now, w, fill)
	}
	p.now = p.now.Add(time.Millisecond)
	var refs []frontier.Ref
	for i := range leases {
		refs = append(refs, leases[i].Ref)
		for j := range p.links[i] {
			c := &p.links[i][j]
			c.Ref = p.f.Ref(1, c.URL)
			refs = append(refs, c.Ref)
		}
	}
	known := p.known(refs)
	x := frontier.Exchange{Status: 200, Duration: 50 * time.Millisecond}
	for i := range leases {
		l := &leases[i]
		p.f.Report(p.now, l.ID, x)
		out := p.f.Complete(p.now, frontier.Completion{
			Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation, Exchange: x, EndedAt: p.now,
			Links: p.links[i], Known: known[i*(benchLinks+1)+1 : (i+1)*(benchLinks+1)], Items: 1, Bytes: 16 << 10,
		}, frontier.Record{})
		if out != frontier.Done {
			p.b.Fatalf("outcome %d", out)
		}
	}
	p.write()
	return len(leases)
}

// seed gives the frontier a first page on many hosts.
func (p *pages) seed() {
	for range 64 {
		p.page(p.links[0])
		refs := make([]frontier.Ref, benchLinks)
		for i := range p.links[0] {
			refs[i] = p.f.Ref(1, p.links[0][i].URL)
			p.links[0][i].Ref = refs[i]
		}
		p.f.Add(p.now, 1, p.links[0], p.known(refs))
		p.write()
	}
}

// BenchmarkPages is pages through the frontier and a server that waits for its disk:
// lease, 50 links looked up, 10 added, completion. The figures to look at are those
// of CPU, of this process and of the server's.
func BenchmarkPages(b *testing.B) {
	for _, batch := range []int{32, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			c := pgtest.Start(b, pgtest.Options{Durable: true, Settings: map[string]string{"shared_buffers": "256MB", "max_wal_size": "4GB"}})
			p := newPages(b, c.Database(b), batch)
			p.seed()
			for range 20 {
				for i := range p.links {
					p.page(p.links[i])
				}
				p.turn()
			}
			b.ReportAllocs()
			var wal0 float64
			if err := p.store.pool.QueryRow(b.Context(), "SELECT pg_current_wal_lsn() - '0/0'").Scan(&wal0); err != nil {
				b.Fatal(err)
			}
			var client, server time.Duration
			n := 0
			for b.Loop() {
				b.StopTimer()
				for i := range p.links {
					p.page(p.links[i])
				}
				c0, s0 := cpu(), cpuOf(b, c.Pid())
				b.StartTimer()
				n += p.turn()
				b.StopTimer()
				client, server = client+cpu()-c0, server+cpuOf(b, c.Pid())-s0
				b.StartTimer()
			}
			b.ReportMetric(float64(client.Microseconds())/float64(n), "client-µs/page")
			b.ReportMetric(float64(server.Microseconds())/float64(n), "server-µs/page")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/page")
			b.ReportMetric(float64(n)/float64(b.N), "pages/op")
			var perURL, wal1 float64
			err := p.store.pool.QueryRow(b.Context(), `SELECT (pg_total_relation_size('url') + pg_total_relation_size('queue'))::float8 / count(*),
				pg_current_wal_lsn() - '0/0' FROM url`).Scan(&perURL, &wal1)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(perURL, "B/URL")
			b.ReportMetric((wal1-wal0)/float64(n), "WAL-B/page")
		})
	}
}

// cpu is the time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuOf is the time that a process and its children have used, by Linux's count.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	all := []int{pid}
	kids, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range strings.Fields(string(kids)) {
		n, err := strconv.Atoi(k)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, n)
	}
	var sum time.Duration
	for _, p := range all {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", p))
		if err != nil {
			continue // it has ended
		}
		first, _, _ := bytes.Cut(stat, []byte{' '})
		ns, err := strconv.ParseInt(string(first), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}
