package frontier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// bundle is a frontier without a store: enough where nothing is read back.
type bundle struct {
	t   *testing.T
	f   *frontier.Frontier
	now time.Time
}

func setup(t *testing.T, change ...func(*frontier.Config)) *bundle {
	t.Helper()
	cfg := frontier.DefaultConfig()
	cfg.HostBackoff = crawl.Backoff{Base: time.Second, Max: 10 * time.Minute}
	for _, c := range change {
		c(&cfg)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := frontier.New(cfg, &frontier.Start{Run: 1}, now)
	f.Own(now, &frontier.Snapshot{Epoch: 1})
	return &bundle{t: t, now: now, f: f}
}

// crawl puts a crawl with number no.
func (b *bundle) crawl(c frontier.Crawl) frontier.CrawlNo {
	c.No, c.CreatedAt = frontier.CrawlNo(len(b.f.Crawls())+1), b.now
	c.ID = fmt.Sprint("crawl", c.No)
	b.f.PutCrawl(b.now, c)
	return c.No
}

// add queues URLs.
func (b *bundle) add(no frontier.CrawlNo, urls ...string) int {
	b.t.Helper()
	n := 0
	for _, s := range urls {
		u, err := weburl.FromCanonical(s)
		if err != nil {
			b.t.Fatal(err)
		}
		n += b.f.Add(b.now, no, []frontier.Candidate{{Ref: b.f.Ref(no, u), URL: u}}, []bool{false})
	}
	return n
}

// one takes exactly one lease.
func (b *bundle) one() frontier.Lease {
	b.t.Helper()
	ls := b.f.Next(b.now, 10)
	if len(ls) != 1 {
		b.t.Fatalf("%d leases, want 1: %+v", len(ls), ls)
	}
	return ls[0]
}

// none wants no lease, and a time for the next one.
func (b *bundle) none(wait time.Duration) {
	b.t.Helper()
	if ls := b.f.Next(b.now, 10); len(ls) != 0 {
		b.t.Fatalf("leased %s, want nothing yet", ls[0].Item.URL)
	}
	if got := b.f.WakeAt(b.now).Sub(b.now); got != wait {
		b.t.Fatalf("wake in %s, want %s", got, wait)
	}
}

// done completes a lease.
func (b *bundle) done(l frontier.Lease, x frontier.Exchange) frontier.Outcome {
	return b.f.Complete(b.now, frontier.Completion{
		Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation, Exchange: x, EndedAt: b.now,
	}, frontier.Record{})
}

func TestPace(t *testing.T) {
	t.Parallel()
	ok := func(ms int) frontier.Exchange {
		return frontier.Exchange{Status: 200, Duration: time.Duration(ms) * time.Millisecond}
	}
	throttle := frontier.Exchange{Status: 429, Class: crawl.ClassStatus429}
	refused := frontier.Exchange{Class: crawl.ClassConnectRefused}
	for _, c := range []struct {
		name  string
		crawl frontier.Crawl
		ends  []frontier.Exchange
		want  []time.Duration // wait after each
	}{
		{"delay", frontier.Crawl{Delay: time.Second}, []frontier.Exchange{ok(100), ok(5000)}, []time.Duration{time.Second, time.Second}},
		{"retry-after beats max delay", frontier.Crawl{MaxDelay: time.Second},
			[]frontier.Exchange{{Status: 503, Class: crawl.ClassStatus5xx, RetryAfter: time.Hour}}, []time.Duration{time.Hour}},
		{"retry-after is bounded", frontier.Crawl{},
			[]frontier.Exchange{{Status: 429, Class: crawl.ClassStatus429, RetryAfter: 90 * time.Hour}}, []time.Duration{24 * time.Hour}},
		{"429 backs off ever longer", frontier.Crawl{MaxDelay: 3 * time.Second}, []frontier.Exchange{throttle, throttle, throttle, ok(1)},
			[]time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 0}},
		{"refused connections too, until an answer", frontier.Crawl{}, []frontier.Exchange{refused, refused, ok(1), refused},
			[]time.Duration{time.Second, 2 * time.Second, 0, time.Second}},
		{"a 404 is no reason to wait", frontier.Crawl{}, []frontier.Exchange{{Status: 404, Class: crawl.ClassStatus4xx}}, []time.Duration{0}},
		{"adaptive follows latency", frontier.Crawl{Adaptive: true, Delay: time.Second, MaxDelay: 10 * time.Second},
			[]frontier.Exchange{ok(4000), ok(2000), ok(2000), ok(60_000)},
			[]time.Duration{4 * time.Second, 3 * time.Second, 2500 * time.Millisecond, 10 * time.Second}},
		{"fast errors never speed up", frontier.Crawl{Adaptive: true, MaxDelay: time.Minute},
			[]frontier.Exchange{ok(4000), {Status: 404, Class: crawl.ClassStatus4xx, Duration: time.Millisecond}},
			[]time.Duration{4 * time.Second, 4 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *frontier.Config) { c.LeaseTime = 48 * time.Hour })
			no := b.crawl(c.crawl)
			for i := range c.ends {
				b.add(no, fmt.Sprintf("http://a.test/%d", i))
			}
			b.add(no, "http://a.test/last")
			for i, x := range c.ends {
				l := b.one()
				b.f.Report(b.now, l.ID, x)
				b.f.Report(b.now, l.ID, throttle) // a second report says nothing
				next := b.f.WakeAt(b.now)
				if got := next.Sub(b.now); got != c.want[i] {
					t.Fatalf("after exchange %d: wait %s, want %s", i, got, c.want[i])
				}
				b.now = next
			}
		})
	}
}

func TestStrictestCrawlPacesTheHost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fast := b.crawl(frontier.Crawl{Concurrency: 5})
	b.add(fast, "http://a.test/1", "http://a.test/2", "http://a.test/3")
	for _, l := range b.f.Next(b.now, 1) {
		b.done(l, frontier.Exchange{Status: 200})
	}
	slow := b.crawl(frontier.Crawl{Delay: 3 * time.Second, Concurrency: 1})
	b.add(slow, "http://a.test/1")
	b.none(3 * time.Second)
	if err := b.f.SetState(b.now, slow, frontier.Paused, ""); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(3 * time.Second)
	if ls := b.f.Next(b.now, 10); len(ls) != 2 {
		t.Fatalf("%d leases while the strict crawl is paused, want 2", len(ls))
	}
}

func TestCrawlsShareByWeight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	heavy, light := b.crawl(frontier.Crawl{Weight: 3}), b.crawl(frontier.Crawl{Weight: 1})
	for i := range 400 {
		b.add(heavy, fmt.Sprintf("http://h%d.test/", i), "http://shared.test/"+fmt.Sprint(i))
		b.add(light, fmt.Sprintf("http://l%d.test/", i))
	}
	n := map[frontier.CrawlNo]int{}
	for _, l := range b.f.Next(b.now, 200) {
		n[l.Ref.Crawl]++
	}
	if n[heavy] != 150 || n[light] != 50 {
		t.Errorf("leases by crawl: %v, want 150 and 50", n)
	}
}

func TestRobots(t *testing.T) {
	t.Parallel()
	dns := frontier.Exchange{Class: crawl.ClassDNSNXDomain}
	broken := frontier.Exchange{Status: 500, Class: crawl.ClassStatus5xx}
	for _, c := range []struct {
		name  string
		tries []frontier.Exchange
		body  string
		want  string // path of the page leased, "" for none
		state frontier.Stats
	}{
		{"allowed", []frontier.Exchange{{Status: 200}}, "User-agent: weir\nDisallow: /a", "/b", frontier.Stats{Dropped: map[string]uint64{frontier.DropRobots: 1}}},
		{"for others", []frontier.Exchange{{Status: 200}}, "User-agent: other\nDisallow: /", "/a", frontier.Stats{}},
		{"missing", []frontier.Exchange{{Status: 404, Class: crawl.ClassStatus4xx}}, "Disallow: /", "/a", frontier.Stats{}},
		{"broken, then fine", []frontier.Exchange{broken, {Status: 200}}, "", "/a", frontier.Stats{}},
		{"broken for good", []frontier.Exchange{broken, broken, broken, broken, broken}, "", "", frontier.Stats{Failed: 2, Errors: map[string]uint64{"robots_unreachable": 2}}},
		{"no such host", []frontier.Exchange{dns}, "", "", frontier.Stats{Failed: 2, Errors: map[string]uint64{"dns_nxdomain": 3}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			no := b.crawl(frontier.Crawl{ObeyRobots: true, Agent: "weir"})
			b.add(no, "http://h.test/a", "http://h.test/b")
			for _, x := range c.tries {
				l := b.one()
				if !l.Robots || l.Item.URL.String() != "http://h.test/robots.txt" {
					t.Fatalf("leased %s first", l.Item.URL)
				}
				b.f.CompleteRobots(b.now, l.ID, x, []byte(c.body), weburl.URL{})
				b.now = b.now.Add(time.Minute)
			}
			got := ""
			for _, l := range b.f.Next(b.now, 1) {
				got = l.Item.URL.Path()
			}
			_, s, _ := b.f.Crawl(no)
			if got != c.want || s.Failed != c.state.Failed || s.Dropped[frontier.DropRobots] != c.state.Dropped[frontier.DropRobots] {
				t.Errorf("leased %q, want %q; %+v", got, c.want, s)
			}
			for class, n := range c.state.Errors {
				if s.Errors[class] != n {
					t.Errorf("errors %v, want %v", s.Errors, c.state.Errors)
				}
			}
		})
	}
}

func TestRobotsRedirects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{ObeyRobots: true, Agent: "weir"})
	b.add(no, "http://h.test/a")
	target, _ := weburl.FromCanonical("http://other.test/r.txt")
	for i := range 6 {
		l := b.one()
		if i > 0 && l.Item.URL != target {
			t.Fatalf("redirect %d leads to %s", i, l.Item.URL)
		}
		b.f.CompleteRobots(b.now, l.ID, frontier.Exchange{Status: 301}, nil, target)
	}
	if l := b.one(); l.Robots {
		t.Errorf("a sixth redirect is followed, to %s", l.Item.URL)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	reset := frontier.Exchange{Class: crawl.ClassReset}
	for _, c := range []struct {
		name string
		x    frontier.Exchange
		want int // visits
	}{
		{"that may pass", reset, 3},
		{"that will not", frontier.Exchange{Class: crawl.ClassDNSNXDomain}, 1},
		{"404", frontier.Exchange{Status: 404, Class: crawl.ClassStatus4xx}, 1},
		{"408", frontier.Exchange{Status: 408, Class: crawl.ClassStatus4xx}, 3},
		{"429 burns no attempt, but is bounded", frontier.Exchange{Status: 429, Class: crawl.ClassStatus429}, 22},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			no := b.crawl(frontier.Crawl{Retries: 2})
			b.add(no, "http://a.test/")
			visits := 0
			for out := frontier.Delayed; out == frontier.Delayed; visits++ {
				l := b.one()
				if out = b.done(l, c.x); b.done(l, c.x) != frontier.Duplicate {
					t.Fatal("a result that comes twice counts twice")
				}
				if out != frontier.Delayed {
					continue
				}
				b.now = b.now.Add(time.Hour)
				for _, r := range b.f.Flush().URLs {
					b.f.Wake(b.now, []frontier.DueItem{{Ref: r.Ref, At: r.Record.NotBefore, Record: r.Record}}, time.Time{})
				}
			}
			if _, s, _ := b.f.Crawl(no); visits != c.want || s.Failed != 1 || s.Fetches != uint64(visits) || s.Accounted() != s.Discovered {
				t.Errorf("%d visits, want %d: %+v", visits, c.want, s)
			}
		})
	}
}

func TestLimitsEndCrawls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits frontier.Limits
		x      frontier.Exchange
		reason string
		leases int // handed out at once
	}{
		{"pages", frontier.Limits{Pages: 2}, frontier.Exchange{Status: 200}, frontier.ReasonPages, 2},
		{"errors", frontier.Limits{Errors: 2}, frontier.Exchange{Status: 404, Class: crawl.ClassStatus4xx}, frontier.ReasonErrors, 3},
		{"items", frontier.Limits{Items: 3}, frontier.Exchange{Status: 200}, frontier.ReasonItems, 3},
		{"bytes", frontier.Limits{Bytes: 20}, frontier.Exchange{Status: 200}, frontier.ReasonBytes, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			no := b.crawl(frontier.Crawl{Limits: c.limits})
			b.add(no, "http://a.test/", "http://b.test/", "http://c.test/")
			ls := b.f.Next(b.now, 10)
			if len(ls) != c.leases {
				t.Fatalf("%d leases, want %d", len(ls), c.leases)
			}
			for i, l := range ls {
				if cr, _, _ := b.f.Crawl(no); cr.State != frontier.Running {
					t.Errorf("ended before lease %d was back", i)
				}
				b.f.Complete(b.now, frontier.Completion{
					Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: 1, Exchange: c.x, EndedAt: b.now, Items: 2, Bytes: 10,
				}, frontier.Record{})
			}
			cr, _, _ := b.f.Crawl(no)
			if ch := b.f.Changes(); cr.State != frontier.Finished || cr.Reason != c.reason || len(ch) != 1 || cr.EndedAt.IsZero() {
				t.Errorf("%s, %q, changes %v", cr.State, cr.Reason, ch)
			}
			if err := b.f.SetState(b.now, no, frontier.Running, ""); crawl.KindOf(err) != crawl.Precondition {
				t.Errorf("resumed while the limit is met: %v", err)
			}
		})
	}
}

func TestDurationWakesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{Limits: frontier.Limits{Duration: time.Minute}})
	b.none(time.Minute)
	b.now = b.now.Add(time.Minute)
	b.add(no, "http://a.test/")
	if ls := b.f.Next(b.now, 1); len(ls) > 0 {
		t.Error("leased after the end")
	}
	if c, _, _ := b.f.Crawl(no); c.Reason != frontier.ReasonDuration {
		t.Errorf("reason %q", c.Reason)
	}
}

func TestRedirectsGoFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{MaxRedirects: 1})
	b.add(no, "http://a.test/1", "http://a.test/2")
	to := func(l frontier.Lease, s string, hops int) frontier.Outcome {
		u, _ := weburl.FromCanonical(s)
		return b.f.Complete(b.now, frontier.Completion{
			Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: 1, Exchange: frontier.Exchange{Status: 302}, EndedAt: b.now,
			Redirect: &frontier.Candidate{Ref: b.f.Ref(no, u), URL: u, Redirects: hops, Next: true},
		}, frontier.Record{})
	}
	if out := to(b.one(), "http://a.test/target", 1); out != frontier.Done {
		t.Fatalf("outcome %d", out)
	}
	l := b.one()
	if l.Item.URL.Path() != "/target" || l.Item.Redirects != 1 {
		t.Fatalf("leased %+v, want the target", l.Item)
	}
	if out := to(l, "http://a.test/further", 2); out != frontier.FailedURL {
		t.Errorf("a chain over the limit: outcome %d", out)
	}
	if l = b.one(); to(l, l.Item.URL.String(), 1) != frontier.FailedURL {
		t.Error("a redirect to itself is not a loop")
	}
}

func TestDeadHostFailsItsURLs(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *frontier.Config) { c.HostTries = 2 })
	no := b.crawl(frontier.Crawl{})
	for i := range 50 {
		b.add(no, fmt.Sprintf("http://dead.test/%d", i))
	}
	for range 2 {
		b.done(b.one(), frontier.Exchange{Class: crawl.ClassDNSNXDomain})
		b.now = b.now.Add(time.Minute)
	}
	b.now = b.now.Add(time.Minute)
	if len(b.f.Next(b.now, 10)) > 0 {
		t.Fatal("a URL of a dead host is handed out")
	}
	if _, s, _ := b.f.Crawl(no); s.Queued > 0 && len(b.f.Wants()) == 0 || s.Accounted() != 50 {
		t.Errorf("%+v", s)
	}
}
