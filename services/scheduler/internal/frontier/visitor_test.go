package frontier_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/pebblestore"
)

// visitor visits what a frontier over a real store hands out, and writes down what it
// visited.
type visitor struct {
	t     *testing.T
	fs    *vfs.MemFS
	store *pebblestore.Store
	f     *frontier.Frontier
	now   time.Time
	no    frontier.CrawlNo
	// answer says what a visit finds.
	answer func(l frontier.Lease, cookies string) found
	// log has the visits: the URL, with the cookies and the pool that it had.
	log []string
	// again completes each visit twice, as the bus may.
	again bool
}

// found is what a visit finds.
type found struct {
	status   int // 200 by default
	class    crawl.Class
	redirect string
	set      []string // values of Set-Cookie
	links    []string
	media    []string
	rendered bool
	wants    bool // to be rendered
}

func newVisitor(t *testing.T, c frontier.Crawl, answer func(l frontier.Lease, cookies string) found) *visitor {
	v := &visitor{t: t, fs: vfs.NewMem(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), answer: answer}
	v.open()
	c.No, c.ID, c.CreatedAt = 1, "a", v.now
	v.no = c.No
	v.f.PutCrawl(v.now, c)
	return v
}

// open takes up the store.
func (v *visitor) open() {
	v.t.Helper()
	var err error
	v.store, err = pebblestore.Open(pebblestore.Config{Dir: "store", FS: v.fs, Partitions: 2, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, SeenEntries: 16})
	v.must(err)
	start, err := v.store.Begin(v.t.Context())
	v.must(err)
	cfg := frontier.DefaultConfig()
	cfg.IdleTTL = time.Second // so that cookies are read back
	v.f = frontier.New(cfg, start, v.now)
	for p := range start.Partitions {
		snap, err := v.store.Acquire(v.t.Context(), p)
		v.must(err)
		v.f.Own(v.now, snap)
	}
}

// restart closes the store and takes it up again.
func (v *visitor) restart() {
	v.t.Helper()
	v.flush()
	v.must(v.store.Close())
	v.open()
}

func (v *visitor) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *visitor) flush() {
	v.t.Helper()
	if b := v.f.Flush(); b != nil {
		c, err := v.store.Apply(b)
		v.must(err)
		v.must(c.Wait())
	}
}

func (v *visitor) candidate(raw string) frontier.Candidate {
	v.t.Helper()
	u, err := weburl.FromCanonical(raw)
	v.must(err)
	return frontier.Candidate{Ref: v.f.Ref(v.no, u), URL: u}
}

// known does step 1 of the loop.
func (v *visitor) known(refs []frontier.Ref) []bool {
	v.t.Helper()
	if missing := v.f.Missing(nil, refs); len(missing) > 0 {
		hosts, err := v.store.Hosts(v.t.Context(), missing)
		v.must(err)
		v.f.Admit(v.now, hosts)
	}
	known := make([]bool, len(refs))
	v.must(v.store.Known(v.t.Context(), refs, known))
	return known
}

func (v *visitor) fill(w frontier.Want) {
	v.t.Helper()
	a, err := v.store.Window(v.t.Context(), w)
	v.must(err)
	v.f.Fill(v.now, w, a)
}

// lookBack reads what a redirect and cookies need.
func (v *visitor) lookBack(ref frontier.Ref, to *frontier.Candidate, known bool) {
	v.t.Helper()
	refs := []frontier.Ref{ref}
	if to != nil && known && to.Ref != ref {
		recs := make([]frontier.Record, 1)
		v.must(v.store.Lookup(v.t.Context(), []frontier.Ref{to.Ref}, recs))
		to.Was = &recs[0]
		refs = append(refs, to.Ref)
	}
	for _, r := range refs {
		if w, ok := v.f.WantJar(r); ok {
			v.fill(w)
		}
	}
}

func (v *visitor) add(urls ...string) {
	v.t.Helper()
	for _, raw := range urls {
		c := v.candidate(raw)
		v.f.Add(v.now, v.no, []frontier.Candidate{c}, v.known([]frontier.Ref{c.Ref}))
	}
	v.flush()
}

// next takes leases until there are none, with what the frontier wants to be read.
func (v *visitor) next() []frontier.Lease {
	v.t.Helper()
	leases := v.f.Next(v.now, 100)
	v.flush()
	for {
		wants := v.f.Wants()
		if len(wants) == 0 {
			return leases
		}
		for _, w := range wants {
			v.fill(w)
		}
		leases = append(leases, v.f.Next(v.now, 100)...)
		v.flush()
	}
}

// run visits until nothing is left.
func (v *visitor) run() []string {
	v.t.Helper()
	for range 500 {
		leases := v.next()
		for _, l := range leases {
			v.visit(l)
		}
		v.flush()
		at := v.f.WakeAt(v.now)
		if len(leases) == 0 && (at.IsZero() || at.Sub(v.now) > time.Hour) {
			_, s, _ := v.f.Crawl(v.no)
			if s.Open() > 0 || s.Accounted() != s.Discovered {
				v.t.Fatalf("ended with %+v", s)
			}
			log := v.log
			v.log = nil
			return log
		}
		if at.After(v.now) {
			v.now = at
		}
		if due := v.f.DueAt(); !due.IsZero() && !due.After(v.now) {
			items, next, err := v.store.Due(v.t.Context(), v.now, 10)
			v.must(err)
			var refs []frontier.Ref
			for _, d := range items {
				refs = append(refs, d.Ref)
			}
			v.known(refs)
			v.f.Wake(v.now, items, next)
		}
	}
	v.t.Fatalf("does not end: %s", strings.Join(v.log[len(v.log)-10:], "; "))
	return nil
}

// visit answers a lease.
func (v *visitor) visit(l frontier.Lease) {
	v.t.Helper()
	u := l.Item.URL
	cookies := cookie.Header(l.Cookies, u, v.now)
	entry := strings.TrimSpace(u.String() + " " + cookies)
	if l.Render {
		entry += " (browser)"
	}
	v.log = append(v.log, entry)
	a := v.answer(l, cookies)
	if a.status == 0 && a.class == crawl.ClassNone {
		a.status = 200
	}
	c := frontier.Completion{
		Ref: l.Ref, URL: u, Lease: l.ID, Generation: l.Item.Generation, EndedAt: v.now,
		Exchange: frontier.Exchange{Status: a.status, Class: a.class, Duration: time.Millisecond},
		Rendered: a.rendered, WantsRender: a.wants, Bytes: 10,
	}
	for _, h := range a.set {
		set, err := cookie.Parse(h, u, v.now)
		v.must(err)
		c.SetCookies = append(c.SetCookies, set)
	}
	refs := []frontier.Ref{c.Ref}
	for i, raw := range slices.Concat(a.links, a.media) {
		link := v.candidate(raw)
		link.Depth = l.Item.Depth + 1
		if i >= len(a.links) {
			link.Mode, link.Next = frontier.ModeMedia, true
		}
		c.Links, refs = append(c.Links, link), append(refs, link.Ref)
	}
	if a.redirect != "" {
		to := v.candidate(a.redirect)
		to.Next, to.Redirects = true, l.Item.Redirects+1
		c.Redirect, refs = &to, append(refs, to.Ref)
	}
	for range 2 {
		v.complete(c, refs)
		if !v.again {
			return
		}
		v.flush()
	}
}

// complete applies a result as the loop does.
func (v *visitor) complete(c frontier.Completion, refs []frontier.Ref) {
	v.t.Helper()
	known := v.known(refs)
	c.Known = known[1 : 1+len(c.Links)]
	if c.Redirect != nil {
		to := *c.Redirect
		c.Redirect, c.RedirectKnown = &to, known[len(known)-1]
	}
	v.lookBack(c.Ref, c.Redirect, c.RedirectKnown)
	rec := make([]frontier.Record, 1)
	if v.f.NeedsRecord(c.Ref, c.Lease) {
		v.must(v.store.Lookup(v.t.Context(), refs[:1], rec))
	}
	v.f.Complete(v.now, c, rec[0])
}

// record reads what the store knows of a URL.
func (v *visitor) record(raw string) frontier.Record {
	v.t.Helper()
	v.flush()
	recs := make([]frontier.Record, 1)
	v.must(v.store.Lookup(v.t.Context(), []frontier.Ref{v.candidate(raw).Ref}, recs))
	return recs[0]
}

func (v *visitor) want(got []string, want ...string) {
	v.t.Helper()
	if !slices.Equal(got, want) {
		v.t.Fatalf("visited\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// stats returns the counters, and checks the ledger.
func (v *visitor) stats() frontier.Stats {
	v.t.Helper()
	_, s, _ := v.f.Crawl(v.no)
	if s.Accounted() != s.Discovered {
		v.t.Fatalf("the ledger does not add up: %+v", s)
	}
	return s
}
