package frontier_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/pebblestore"
)

// pageBench is a stream of pages over many hosts: each has 50 links, 40 of them to
// pages known already, nearly all on its own host.
type pageBench struct {
	f     *frontier.Frontier
	store *pebblestore.Store
	rng   *rand.Rand
	zipf  *rand.Zipf
	next  []int // pages of each host so far
	now   time.Time
	refs  []frontier.Ref
	known []bool
	links [][]frontier.Candidate
}

const (
	benchHosts = 10_000
	benchLinks = 50
	benchNew   = 10
	benchBatch = 32
)

func newPageBench(b *testing.B) *pageBench {
	store, err := pebblestore.Open(pebblestore.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	start, err := store.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	p := &pageBench{store: store, now: time.Now(), rng: rand.New(rand.NewPCG(1, 2)), next: make([]int, benchHosts)}
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
	for range benchBatch {
		p.links = append(p.links, make([]frontier.Candidate, benchLinks))
	}
	return p
}

// link makes a canonical URL of about 90 bytes.
func (p *pageBench) link(host, n int) weburl.URL {
	u, _ := weburl.FromCanonical(fmt.Sprintf(
		"https://www.host-number-%05d.example/section-%02d/an-article-of-some-length-about-%08d.html", host, n%50, n))
	return u
}

// page makes the links of a page.
func (p *pageBench) page(ls []frontier.Candidate) {
	host := int(p.zipf.Uint64())
	for i := range ls {
		n := p.next[host]
		if i < benchNew || n == 0 {
			p.next[host]++
		} else {
			n = p.rng.IntN(n)
		}
		ls[i] = frontier.Candidate{URL: p.link(host, n), Depth: 1}
	}
}

// turn is one turn of the scheduler's loop with a batch of results, without the
// making of the links.
func (p *pageBench) turn(b *testing.B, leases []frontier.Lease) frontier.Commit {
	p.now = p.now.Add(time.Millisecond)
	p.refs = p.refs[:0]
	for i := range leases {
		p.refs = append(p.refs, leases[i].Ref)
		for j := range p.links[i] {
			c := &p.links[i][j]
			c.Ref = p.f.Ref(1, c.URL)
			p.refs = append(p.refs, c.Ref)
		}
	}
	p.known = append(p.known[:0], make([]bool, len(p.refs))...)
	if err := p.store.Known(b.Context(), p.refs, p.known); err != nil {
		b.Fatal(err)
	}
	if m := p.f.Missing(nil, p.refs); len(m) > 0 {
		hosts, err := p.store.Hosts(b.Context(), m)
		if err != nil {
			b.Fatal(err)
		}
		p.f.Admit(p.now, hosts)
	}
	x := frontier.Exchange{Status: 200, Duration: 50 * time.Millisecond}
	at := 0
	for i := range leases {
		l := &leases[i]
		p.f.Report(p.now, l.ID, x)
		known := p.known[at+1 : at+1+benchLinks]
		at += 1 + benchLinks
		out := p.f.Complete(p.now, frontier.Completion{
			Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation, Exchange: x, EndedAt: p.now,
			Links: p.links[i], Known: known, Items: 1, Bytes: 16 << 10,
		}, frontier.Record{})
		if out != frontier.Done {
			b.Fatalf("outcome %d", out)
		}
	}
	return p.write(b)
}

// write applies what has changed.
func (p *pageBench) write(b *testing.B) frontier.Commit {
	batch := p.f.Flush()
	if batch == nil {
		return nil
	}
	c, err := p.store.Apply(batch)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// lease takes a batch of leases, with the windows that they need.
func (p *pageBench) lease(b *testing.B) []frontier.Lease {
	leases := p.f.Next(p.now, benchBatch)
	p.write(b)
	for _, w := range p.f.Wants() {
		fill, err := p.store.Window(b.Context(), w)
		if err != nil {
			b.Fatal(err)
		}
		p.f.Fill(p.now, w, fill)
	}
	return leases
}

// seed gives the frontier a first page on many hosts.
func (p *pageBench) seed(b *testing.B) {
	for range 64 {
		p.page(p.links[0])
		refs := make([]frontier.Ref, benchLinks)
		for i := range p.links[0] {
			refs[i] = p.f.Ref(1, p.links[0][i].URL)
			p.links[0][i].Ref = refs[i]
		}
		known := make([]bool, benchLinks)
		if err := p.store.Known(b.Context(), refs, known); err != nil {
			b.Fatal(err)
		}
		p.f.Add(p.now, 1, p.links[0], known)
		if err := p.write(b).Wait(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPage is one page through the frontier and its store with group commit:
// lease, 50 links looked up, 10 added, completion, fsync for each 32 pages. The
// figure to look at is cpu-µs/page, which counts all goroutines.
func BenchmarkPage(b *testing.B) {
	p := newPageBench(b)
	p.seed(b)
	b.ReportAllocs()
	var spent time.Duration
	pages := 0
	commits := make(chan frontier.Commit, 4) // batches whose fsync may be under way
	failed := make(chan error, 1)
	go func() {
		var err error
		for c := range commits {
			err = c.Wait()
		}
		failed <- err
	}()
	for b.Loop() {
		b.StopTimer()
		for i := range p.links {
			p.page(p.links[i])
		}
		before := cpu()
		b.StartTimer()
		leases := p.lease(b)
		if c := p.turn(b, leases); c != nil {
			commits <- c
		}
		pages += len(leases)
		spent += cpu() - before
	}
	close(commits)
	if err := <-failed; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(pages), "cpu-µs/page")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(pages), "µs/page")
	b.ReportMetric(float64(pages)/float64(b.N), "pages/op")
}

// cpu is the time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
