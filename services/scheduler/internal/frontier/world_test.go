package frontier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/pebblestore"
)

// world drives a frontier over a real store beside the model.
type world struct {
	t     *rapid.T
	tb    testing.TB
	cfg   frontier.Config
	fs    *vfs.MemFS
	store *pebblestore.Store
	f     *frontier.Frontier
	m     *model
	now   time.Time

	// durable is the state of the model that a power cut leads to.
	durable *model
	// apply writes a batch; mine says whether the frontier at hand owns a URL's
	// partition. Both are replaced where there are several frontiers.
	apply func(*frontier.Batch) (frontier.Commit, error)
	mine  func(frontier.Ref) bool
	// out are leases that some fetcher has, done completions that were delivered.
	out  []frontier.Lease
	done []frontier.Completion
}

// partitions of the world's store.
const partitions = 3

func newWorld(t *rapid.T, tb testing.TB) *world {
	cfg := frontier.DefaultConfig()
	cfg.WindowSize, cfg.WindowLow = 4, 1
	cfg.MaxItems = rapid.SampledFrom([]int{10, 1000}).Draw(t, "maxItems")
	cfg.MaxHosts = rapid.SampledFrom([]int{1, 2, 3, 1000}).Draw(t, "maxHosts")
	cfg.LeaseTime = time.Minute
	cfg.MaxVisits = 4
	cfg.Retry = func(crawl.Class) crawl.Backoff { return crawl.Backoff{Base: 5 * time.Second, Max: time.Minute} }
	cfg.HostBackoff = crawl.Backoff{Base: time.Second, Max: 20 * time.Second}
	cfg.RobotsRetry = crawl.Backoff{Base: time.Second, Max: 5 * time.Second}
	cfg.RobotsTries = 3
	cfg.RobotsFailTTL = 2 * time.Minute
	cfg.IdleTTL = 10 * time.Second
	cfg.HostTries = 4
	cfg.MaxUnreported[frontier.PoolBrowser] = 2
	w := &world{
		t: t, tb: tb, cfg: cfg, fs: vfs.NewCrashableMem(), m: newModel(),
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	w.open()
	w.durable = w.m.clone()
	return w
}

// open opens the store and makes a frontier from it.
func (w *world) open() {
	s, err := pebblestore.Open(pebblestore.Config{
		Dir: "store", FS: w.fs, Partitions: partitions,
		CacheBytes: 1 << 20, MemTableBytes: 256 << 10, SeenEntries: 16,
	})
	w.must(err)
	start, err := s.Begin(w.tb.Context())
	w.must(err)
	w.store, w.apply = s, s.Apply
	w.mine = func(frontier.Ref) bool { return true }
	w.f = frontier.New(w.cfg, start, w.now)
	for p := range start.Partitions {
		snap, err := s.Acquire(w.tb.Context(), p)
		w.must(err)
		w.f.Own(w.now, snap)
	}
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

// flush writes what changed and remembers what a power cut may leave.
func (w *world) flush() {
	b := w.f.Flush()
	if b == nil {
		return
	}
	w.learn(b)
	c, err := w.apply(b)
	w.must(err)
	w.must(c.Wait())
	if b.Sync {
		w.durable = w.m.clone()
	}
}

// learn tells the model what was dropped or given up without an attempt, after
// checking that it had to be.
func (w *world) learn(b *frontier.Batch) {
	for _, r := range b.URLs {
		mc := w.m.crawls[r.Ref.Crawl]
		u := mc.urls[r.Ref.Key]
		if u == nil {
			w.t.Fatalf("record of a URL that was never added: %+v", r)
		}
		if u.state == r.Record.State {
			continue
		}
		path := strings.TrimPrefix(r.Record.URL, u.url[:strings.Index(u.url[8:], "/")+8])
		switch {
		case u.lease != 0 || u.state != frontier.URLQueued:
			w.t.Fatalf("%s became %v from %v, lease %s", u.url, r.Record.State, u.state, u.lease)
		case r.Record.State == frontier.URLDropped && r.Record.Reason == frontier.DropRobots && mc.conf.ObeyRobots && strings.HasPrefix(path, "/private"):
		case r.Record.State == frontier.URLDropped && r.Record.Reason == frontier.DropPagesPerHost && mc.perHost[u.host] >= mc.conf.Limits.PagesPerHost:
		case r.Record.State == frontier.URLFailed && r.Record.Status == 0 && r.Record.Class != crawl.ClassNone:
		default:
			w.t.Fatalf("%s (%s): wrongly %v for %q, class %s", u.url, path, r.Record.State, r.Record.Reason, r.Record.Class)
		}
		u.state = r.Record.State
	}
}

// lookups does step 1 of the loop for refs.
func (w *world) lookups(refs []frontier.Ref) []bool {
	known := make([]bool, len(refs))
	w.must(w.store.Known(w.tb.Context(), refs, known))
	if missing := w.f.Missing(nil, refs); len(missing) > 0 {
		st, err := w.store.Hosts(w.tb.Context(), missing)
		w.must(err)
		w.f.Admit(w.now, st)
	}
	return known
}

// candidate makes one of a small universe of URLs.
func (w *world) candidate(no frontier.CrawlNo) frontier.Candidate {
	host := rapid.IntRange(0, 3).Draw(w.t, "host")
	path := rapid.SampledFrom([]string{"p", "private/"}).Draw(w.t, "path")
	name := [...]string{"h0.test", "w.h0.test", "h1.test", "h2.test"}[host] // two of one site
	raw := fmt.Sprintf("http://%s/%s%d", name, path, rapid.IntRange(0, 20).Draw(w.t, "n"))
	u, err := weburl.FromCanonical(raw)
	w.must(err)
	return frontier.Candidate{
		Ref: w.f.Ref(no, u), URL: u, Depth: rapid.IntRange(0, 2).Draw(w.t, "depth"),
		Priority: int32(rapid.IntRange(-1, 1).Draw(w.t, "priority")),
		Mode:     rapid.SampledFrom([]frontier.Mode{frontier.ModePage, frontier.ModePage, frontier.ModePage, frontier.ModeMedia}).Draw(w.t, "mode"),
	}
}

// check compares all ledgers.
func (w *world) check(t *rapid.T) {
	w.t = t
	w.ends()
	for _, no := range sorted(w.m.crawls) {
		c, s, ok := w.f.Crawl(no)
		if !ok {
			t.Fatalf("crawl %d is gone", no)
		}
		mc := w.m.crawls[no]
		if d := mc.diff(c, s); d != "" {
			t.Fatal(d)
		}
		if l := mc.conf.Limits.Pages; l > 0 && s.Pages > l {
			t.Fatalf("crawl %d has %d pages, limit %d", no, s.Pages, l)
		}
		for h, n := range mc.perHost {
			if l := mc.conf.Limits.PagesPerHost; l > 0 && n > l {
				t.Fatalf("crawl %d has %d pages of host %x, limit %d", no, n, h, l)
			}
		}
	}
}

// ends takes over the states of crawls, and checks those that ended by themselves.
func (w *world) ends() {
	for no, mc := range w.m.crawls {
		c, _, _ := w.f.Crawl(no)
		mc.state = c.State
	}
	for _, no := range w.f.Changes() {
		c, s, _ := w.f.Crawl(no)
		if c.State != frontier.Finished || s.Leased > 0 || c.Reason == frontier.ReasonDone && s.Open() > 0 {
			w.t.Fatalf("crawl %d ended as %s (%s) with %+v", no, c.State, c.Reason, s)
		}
	}
}

// next takes leases and checks each of them.
func (w *world) next(n int) {
	for _, l := range w.f.Next(w.now, n) {
		w.flush() // drops before this lease are in the batch
		w.ends()
		w.handOut(l)
	}
	w.flush()
}

// handOut gives a lease to a fetcher, after checking it.
func (w *world) handOut(l frontier.Lease) {
	if msg := w.m.impolite(l.Ref.Host, w.now, w.active); msg != "" {
		w.t.Fatalf("lease %s of %s: %s", l.ID, l.Item.URL, msg)
	}
	w.m.host(l.Ref.Host).inflight[l.ID] = struct{}{}
	w.out = append(w.out, l)
	if l.Robots {
		return
	}
	mc := w.m.crawls[l.Ref.Crawl]
	u := mc.urls[l.Ref.Key]
	switch {
	case u == nil:
		w.t.Fatalf("leased %s, which was never added", l.Item.URL)
	case u.state != frontier.URLQueued || u.lease != 0:
		w.t.Fatalf("leased %s, which is %v with lease %s", u.url, u.state, u.lease)
	case u.gen != l.Item.Generation || u.url != l.Item.URL.String() || u.attempts != l.Item.Attempts:
		w.t.Fatalf("leased %+v, model has %+v", l.Item, u)
	case !w.active(l.Ref.Crawl):
		w.t.Fatalf("leased %s of a crawl that is %s", u.url, mc.state)
	case mc.conf.ObeyRobots && strings.Contains(u.url, "/private"):
		w.t.Fatalf("leased %s, which robots.txt denies", u.url)
	}
	w.checkLease(l, mc, u)
	u.lease = l.ID
	if msg := mc.before(u, w.browserFull()); msg != "" {
		w.t.Fatalf("order: %s", msg)
	}
}

// unpark brings hosts back that wait on disk, as the loop does in a turn.
func (w *world) unpark() {
	if after, n, ok := w.f.Parked(); ok {
		hosts, err := w.store.ScanHosts(w.tb.Context(), after, n)
		w.must(err)
		if refs := w.f.Unpark(w.now, after, hosts); len(refs) > 0 {
			st, err := w.store.Hosts(w.tb.Context(), refs)
			w.must(err)
			w.f.Admit(w.now, st)
		}
	}
}

// active reports whether the frontier at hand takes a crawl for active.
func (w *world) active(no frontier.CrawlNo) bool {
	c, _, _ := w.f.Crawl(no)
	return c.State.Active()
}

// ref finds a URL of the model.
func (w *world) ref(no frontier.CrawlNo, raw string) frontier.Ref {
	u, err := weburl.FromCanonical(raw)
	w.must(err)
	return w.f.Ref(no, u)
}

// exchange draws what happened to a fetch.
func (w *world) exchange() frontier.Exchange {
	x := rapid.SampledFrom([]frontier.Exchange{
		{Status: 200}, {Status: 200}, {Status: 200}, {Status: 200}, {Status: 301}, {Status: 301}, {Status: 301},
		{Status: 404, Class: crawl.ClassStatus4xx},
		{Status: 503, Class: crawl.ClassStatus5xx, RetryAfter: 7 * time.Second},
		{Status: 429, Class: crawl.ClassStatus429}, {Status: 429, Class: crawl.ClassStatus429, RetryAfter: 3 * time.Second},
		{Class: crawl.ClassConnectRefused}, {Class: crawl.ClassDNSNXDomain}, {Class: crawl.ClassReset},
	}).Draw(w.t, "exchange")
	x.Duration = time.Duration(rapid.IntRange(1, 2000).Draw(w.t, "ms")) * time.Millisecond
	return x
}

// robotsExchange draws what happened to a robots.txt; it is there or unreachable.
func (w *world) robotsExchange() frontier.Exchange {
	return rapid.SampledFrom([]frontier.Exchange{
		{Status: 200}, {Status: 200}, {Status: 500, Class: crawl.ClassStatus5xx},
		{Class: crawl.ClassConnectTimeout}, {Class: crawl.ClassDNSNXDomain},
	}).Draw(w.t, "robots")
}

// ended tells the model that an exchange is over.
func (w *world) ended(l frontier.Lease, x frontier.Exchange) {
	h := w.m.host(l.Ref.Host)
	if _, running := h.inflight[l.ID]; !running {
		return
	}
	delete(h.inflight, l.ID)
	h.lastEnd = w.now
	if x.Status == 429 || x.Status == 503 {
		if until := w.now.Add(x.RetryAfter); until.After(h.snooze) {
			h.snooze = until
		}
	}
}

// complete delivers a completion and compares.
func (w *world) complete(l frontier.Lease, c frontier.Completion) {
	refs := []frontier.Ref{c.Ref}
	for i := range c.Links {
		refs = append(refs, c.Links[i].Ref)
	}
	if c.Redirect != nil {
		refs = append(refs, c.Redirect.Ref)
	}
	known := w.lookups(refs)
	c.Known = known[1 : 1+len(c.Links)]
	var targets []*frontier.Candidate
	if c.Redirect != nil {
		to := *c.Redirect // it comes again as it was
		c.Redirect, c.RedirectKnown = &to, known[len(known)-1]
		if c.RedirectKnown && to.Ref != c.Ref {
			targets = append(targets, c.Redirect)
		}
	}
	w.lookBack(refs[:1:1], targets)
	var rec [1]frontier.Record
	if w.f.NeedsRecord(c.Ref, c.Lease) {
		w.must(w.store.Lookup(w.tb.Context(), refs[:1], rec[:]))
	}
	want := w.m.complete(&c, w.now, w.cfg.MaxVisits)
	if want != frontier.Duplicate {
		if to := w.m.next; to != nil && want != frontier.Again && w.mine(to.Ref) {
			w.m.follow(c.Ref.Crawl, *to)
		}
		for i := range c.Links {
			if w.mine(c.Links[i].Ref) {
				w.m.add(c.Ref.Crawl, c.Links[i])
			}
		}
	}
	w.ended(l, c.Exchange)
	if got := w.f.Complete(w.now, c, rec[0]); got != want {
		w.t.Fatalf("completion of %s under %s: outcome %d, model says %d", c.URL, c.Lease, got, want)
	}
}

// crash opens the store again: as it was at the last Apply, or, after a power cut,
// as it was at the last Apply that was synced.
func (w *world) crash(power bool) {
	old := w.store
	if power {
		cut := w.fs.CrashClone(vfs.CrashCloneCfg{})
		w.must(old.Close())
		w.fs = cut
	} else {
		w.must(old.Close())
	}
	w.open()
	w.reconcile(power)
}

// reconcile compares what the store shows with what it must, and goes on from it.
func (w *world) reconcile(power bool) {
	leased := map[frontier.Ref]frontier.LeaseID{}
	for _, l := range w.f.Leases() {
		if !l.Robots && !l.Void {
			leased[l.Ref] = l.ID
		}
	}
	m := w.m.clone()
	if power {
		m = w.durable.clone()
	}
	for no, mc := range m.crawls {
		for k, u := range mc.urls {
			u.lease = 0
			for ref, id := range leased {
				if ref.Crawl == no && ref.Key == k {
					u.lease = id
				}
			}
		}
	}
	if msg := w.same(m); msg != "" {
		w.t.Fatalf("the store is not as it should be after a crash (power cut: %v): %s", power, msg)
	}
	m.hosts, w.m = w.m.hosts, m
	w.durable = m.clone()
	w.forgetLost(power)
}

// forgetLost drops from the world what a power cut made nobody know.
func (w *world) forgetLost(power bool) {
	if !power {
		return
	}
	for _, h := range w.m.hosts {
		clear(h.inflight)
		h.snooze = time.Time{}
	}
}

// same compares a state of the model with the frontier and all records.
func (w *world) same(m *model) string {
	if len(w.f.Crawls()) != len(m.crawls) {
		return fmt.Sprintf("%d crawls, not %d", len(w.f.Crawls()), len(m.crawls))
	}
	for no, mc := range m.crawls {
		c, s, _ := w.f.Crawl(no)
		if d := mc.diff(c, s); d != "" {
			return d
		}
		rows, err := w.store.Scan(w.tb.Context(), frontier.Ref{Crawl: no}, 10_000)
		w.must(err)
		if len(rows) != len(mc.urls) {
			return fmt.Sprintf("crawl %d: %d records, not %d", no, len(rows), len(mc.urls))
		}
		for _, r := range rows {
			u := mc.urls[r.Ref.Key]
			if u == nil || u.state != r.Record.State || u.gen != r.Record.Generation || u.url != r.Record.URL ||
				u.mode != r.Record.Mode || u.redirects != r.Record.Redirects {
				return fmt.Sprintf("crawl %d: record %+v, model %+v", no, r.Record, u)
			}
		}
	}
	return ""
}

// taken removes and returns one of the leases that fetchers have.
func (w *world) taken() (frontier.Lease, bool) {
	if len(w.out) == 0 {
		return frontier.Lease{}, false
	}
	i := rapid.IntRange(0, len(w.out)-1).Draw(w.t, "lease")
	l := w.out[i]
	w.out = slices.Delete(w.out, i, i+1)
	return l, true
}
