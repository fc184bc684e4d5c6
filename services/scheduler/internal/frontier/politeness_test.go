package frontier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// throttled is a 429.
func throttled(after time.Duration) frontier.Exchange {
	return frontier.Exchange{Status: 429, Class: crawl.ClassStatus429, Duration: time.Millisecond, RetryAfter: after}
}

// wait returns how long the host of the next lease is left alone, and lets it pass.
func (b *bundle) wait() time.Duration {
	at := b.f.WakeAt(b.now)
	d := at.Sub(b.now)
	b.now = at
	return d
}

// urls queues n URLs of a host.
func (b *bundle) urls(no frontier.CrawlNo, origin string, n int) {
	b.t.Helper()
	for i := range n {
		b.add(no, fmt.Sprintf("%s/%d/%d", origin, no, i))
	}
}

// TestJitterIsDrawnOnceForAFetch: asking again, as every event of the host does, would
// make the longest of many draws out of it.
func TestJitterIsDrawnOnceForAFetch(t *testing.T) {
	t.Parallel()
	draws := []float64{0, 1, 0.5, 0.25}
	n := 0
	b := setup(t, func(c *frontier.Config) { c.Rand = func() float64 { n++; return draws[n%len(draws)] } })
	no := b.crawl(frontier.Crawl{Delay: time.Second, Jitter: 0.5})
	b.urls(no, "http://a.test", 6)
	for range 5 {
		b.f.Report(b.now, b.one().ID, frontier.Exchange{Status: 200})
		u := draws[n%len(draws)]
		for range 7 {
			b.policy("http://a.test", frontier.HostPolicy{}, false) // any event
		}
		if got, want := b.wait(), time.Duration(float64(time.Second)*(0.5+u)); got != want {
			t.Errorf("wait %s, want %s", got, want)
		}
	}
}

// TestFast429sNeverRaiseTheRate, and neither do other errors, however fast.
func TestFast429sNeverRaiseTheRate(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]frontier.Exchange{
		"429":                  throttled(0),
		"429, retry after 1ms": throttled(time.Millisecond),
		"503":                  {Status: 503, Class: crawl.ClassStatus5xx, Duration: time.Millisecond},
		"500":                  {Status: 500, Class: crawl.ClassStatus5xx, Duration: time.Millisecond},
		"404":                  {Status: 404, Class: crawl.ClassStatus4xx, Duration: time.Millisecond},
		"redirect":             {Status: 301, Duration: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			no := b.crawl(frontier.Crawl{Delay: time.Second, Adaptive: true, MaxDelay: time.Minute})
			b.urls(no, "http://a.test", 8)
			b.f.Report(b.now, b.one().ID, frontier.Exchange{Status: 200, Duration: 3 * time.Second})
			last := b.wait()
			if last != 3*time.Second {
				t.Fatalf("wait %s after a slow page", last)
			}
			for range 6 {
				b.f.Report(b.now, b.one().ID, x)
				if got := b.wait(); got < last {
					t.Fatalf("wait %s after %s", got, last)
				}
			}
		})
	}
}

// TestRetryAfter: to the letter, whatever the crawl's own bounds, and no sooner.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{Delay: time.Second, MaxDelay: 2 * time.Second})
	b.urls(no, "http://a.test", 3)
	b.f.Report(b.now, b.one().ID, throttled(5*time.Second))
	b.now = b.now.Add(5*time.Second - time.Nanosecond)
	b.none(time.Nanosecond)
	b.now = b.now.Add(time.Nanosecond)
	b.one()
}

// TestBackOffIsForgottenAfterQuietTime, which begins when the host may be visited
// again: a host that asked for an hour has not been quiet for it.
func TestBackOffIsForgottenAfterQuietTime(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *frontier.Config) { c.HostQuiet = time.Minute; c.LeaseTime = 24 * time.Hour })
	no := b.crawl(frontier.Crawl{})
	b.urls(no, "http://a.test", 9)
	next := func(x frontier.Exchange, want time.Duration) {
		t.Helper()
		b.f.Report(b.now, b.one().ID, x)
		if got := b.wait(); got != want {
			t.Fatalf("wait %s, want %s", got, want)
		}
	}
	next(throttled(0), time.Second)
	next(throttled(0), 2*time.Second)
	next(throttled(time.Hour), time.Hour)
	next(throttled(0), 8*time.Second)
	b.now = b.now.Add(time.Minute + time.Second)
	next(throttled(0), time.Second)
}

// TestFailuresAtOnceCountOnce: fetches that were under way together fail together.
func TestFailuresAtOnceCountOnce(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]frontier.Exchange{
		"429": throttled(0), "refused": {Class: crawl.ClassConnectRefused}, "no name": {Class: crawl.ClassDNSTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			no := b.crawl(frontier.Crawl{Concurrency: 4})
			b.urls(no, "http://a.test", 9)
			for _, l := range b.f.Next(b.now, 4) {
				b.f.Report(b.now, l.ID, x)
			}
			if got := b.wait(); got != time.Second {
				t.Errorf("wait %s, want that after one failure", got)
			}
		})
	}
}

// TestTwoCrawlsShareOneBudget: the longest delay and the lowest concurrency of those
// with work on the host, from whichever the last fetch was, also while one is paused.
func TestTwoCrawlsShareOneBudget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := b.crawl(frontier.Crawl{Delay: 10 * time.Second, Concurrency: 1})
	fast := b.crawl(frontier.Crawl{Delay: time.Second, Concurrency: 5})
	b.urls(fast, "http://a.test", 9)
	b.urls(slow, "http://a.test", 2)
	turns := map[frontier.CrawlNo]int{}
	for range 3 {
		l := b.one()
		turns[l.Ref.Crawl]++
		b.f.Report(b.now, l.ID, frontier.Exchange{Status: 200})
		if got := b.wait(); got != 10*time.Second {
			t.Fatalf("wait %s after a fetch of crawl %d", got, l.Ref.Crawl)
		}
	}
	if len(turns) != 2 {
		t.Errorf("turns by crawl: %v", turns)
	}
	must(t, b.f.SetState(b.now, slow, frontier.Paused, ""))
	b.f.Report(b.now, b.one().ID, frontier.Exchange{Status: 200})
	must(t, b.f.SetState(b.now, slow, frontier.Running, ""))
	b.urls(slow, "http://a.test/more", 1)
	if got := b.wait(); got != 10*time.Second {
		t.Errorf("wait %s after the slow crawl was resumed", got)
	}
}

// TestStartsAreSpacedLikeEnds with more than one slot, also for a crawl that comes when
// fetches are under way.
func TestStartsAreSpacedLikeEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.urls(b.crawl(frontier.Crawl{Delay: time.Second, Concurrency: 3}), "http://a.test", 3)
	b.one()
	b.none(time.Second)
	b.urls(b.crawl(frontier.Crawl{Delay: 4 * time.Second, Concurrency: 3}), "http://a.test", 3)
	b.none(4 * time.Second)
}

// TestHostPolicy: at once, for all crawls, only ever gentler, and taken back at once.
func TestHostPolicy(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *frontier.Config) { c.LeaseTime = 24 * time.Hour })
	b.urls(b.crawl(frontier.Crawl{Delay: 2 * time.Second, Concurrency: 3}), "http://a.test", 20)
	b.f.Report(b.now, b.one().ID, frontier.Exchange{Status: 200})
	for _, step := range []struct {
		name   string
		policy frontier.HostPolicy
		wait   time.Duration
	}{
		{"longer delay", frontier.HostPolicy{Delay: 10 * time.Second}, 10 * time.Second},
		{"shorter delay than the crawl's", frontier.HostPolicy{Delay: time.Second}, 2 * time.Second},
		{"pause", frontier.HostPolicy{NotBefore: b.now.Add(time.Hour)}, time.Hour},
		{"taken back", frontier.HostPolicy{}, 2 * time.Second},
	} {
		if b.policy("http://a.test", step.policy, false); len(b.f.Next(b.now, 9)) > 0 {
			t.Fatalf("%s: visited at once", step.name)
		}
		if got := b.f.WakeAt(b.now).Sub(b.now); got != step.wait {
			t.Errorf("%s: wait %s, want %s", step.name, got, step.wait)
		}
	}
	b.policy("http://a.test", frontier.HostPolicy{Blocked: true}, false)
	b.now = b.now.Add(time.Hour)
	if ls := b.f.Next(b.now, 9); len(ls) > 0 {
		t.Fatal("a blocked host was visited")
	}
	b.policy("http://a.test", frontier.HostPolicy{Concurrency: 1}, false)
	l := b.one()
	b.now = b.now.Add(time.Hour)
	if ls := b.f.Next(b.now, 9); len(ls) > 0 {
		t.Fatal("two fetches at once, one is allowed")
	}
	b.policy("http://a.test", frontier.HostPolicy{Concurrency: 9}, false) // the crawl has 3
	b.one()
	b.f.Report(b.now, l.ID, frontier.Exchange{Status: 200})
}

// TestReset forgets what answers taught, and nothing that was asked for.
func TestReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{Delay: time.Second, MaxDelay: time.Minute})
	b.urls(no, "http://a.test", 20)
	for range 3 {
		b.f.Report(b.now, b.one().ID, throttled(0))
		b.wait()
	}
	b.f.Report(b.now, b.one().ID, throttled(time.Hour))
	b.policy("http://a.test", frontier.HostPolicy{Delay: 3 * time.Second}, true)
	if got := b.wait(); got != 3*time.Second {
		t.Errorf("wait %s after a reset", got)
	}
	b.f.Report(b.now, b.one().ID, throttled(0))
	if got := b.wait(); got != 3*time.Second { // the first back-off, of 1s, is within the delay
		t.Errorf("wait %s after the next 429", got)
	}
}

// TestHostComesBackFromTheStore as it was: snooze, level, adaptive delay, policy,
// address and robots.txt survive the process.
func TestHostComesBackFromTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *frontier.Config) { c.LeaseTime = 24 * time.Hour })
	conf := frontier.Crawl{Delay: time.Second, Adaptive: true, MaxDelay: time.Minute, ObeyRobots: true, Agent: "weir"}
	no := b.crawl(conf)
	b.urls(no, "http://a.test", 9)
	robots := b.one()
	b.f.CompleteRobots(b.now, robots.ID, frontier.Exchange{Status: 404, Class: crawl.ClassStatus4xx}, nil, weburl.URL{})
	b.wait()
	for _, x := range []frontier.Exchange{{Status: 200, Duration: 7 * time.Second, Address: ip(4)}, throttled(0), throttled(time.Hour)} {
		b.f.Report(b.now, b.one().ID, x)
		b.wait()
	}
	b.now = b.now.Add(-time.Hour)
	policy := frontier.HostPolicy{Delay: 9 * time.Second, Concurrency: 2, NotBefore: b.now.Add(time.Minute), Note: "asked"}
	b.policy("http://a.test", policy, false)
	batch := b.f.Flush()
	rows := batch.Hosts
	if len(rows) != 1 || !batch.Sync {
		t.Fatalf("hosts to be written: %+v", rows)
	}
	host := frontier.HostState{Host: rows[0], Ready: frontier.ReadyRow{HostRef: frontier.HostRef{Partition: rows[0].Partition, Crawl: no, Host: rows[0].Host}, Rows: 6}}
	want := b.f.Host(b.now, no, host)

	b.now = b.now.Add(10 * time.Minute) // the process was away
	f := frontier.New(frontier.DefaultConfig(), &frontier.Start{Run: 2}, b.now)
	conf.No, conf.ID, conf.State = no, "crawl1", frontier.Running
	f.Own(b.now, &frontier.Snapshot{
		Epoch: 2, Crawls: []frontier.Crawl{conf}, Hosts: rows, Ready: []frontier.ReadyRow{host.Ready},
		Stats: []frontier.StatsRow{{No: no, Stats: frontier.Stats{Queued: 6, Discovered: 6}}},
	})
	got := f.Host(b.now, no, host)
	want.Leased, want.Queued = got.Leased, got.Queued
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.State != frontier.HostSnoozed || got.Level != 2 || got.Adaptive != 7*time.Second || got.Address != "192.0.2.4" ||
		got.Robots != frontier.RobotsNone || got.Policy.Note != "asked" || got.Delay != 9*time.Second || got.Concurrency != 1 {
		t.Errorf("came back as %+v", got)
	}
	if at := f.WakeAt(b.now); !at.Equal(want.NextAt) {
		t.Errorf("the next visit is at %s, want %s", at, want.NextAt)
	}
}

// TestRedirectedRobotsTakesItsTargetsSlot: a robots.txt that is on another host is one
// visit of that host too.
func TestRedirectedRobotsTakesItsTargetsSlot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{Delay: time.Second, ObeyRobots: true, Agent: "weir"})
	other := b.crawl(frontier.Crawl{Delay: 5 * time.Second})
	b.add(other, "http://www.a.test/1", "http://www.a.test/2", "http://www.a.test/3")
	b.add(no, "http://a.test/")
	var page, robots frontier.Lease
	for _, l := range b.f.Next(b.now, 9) {
		if l.Robots {
			robots = l
		} else {
			page = l
		}
	}
	target, err := weburl.FromCanonical("http://www.a.test/robots.txt")
	if err != nil {
		t.Fatal(err)
	}
	b.f.CompleteRobots(b.now, robots.ID, frontier.Exchange{Status: 301}, nil, target)
	b.now = b.now.Add(2 * time.Second)
	if ls := b.f.Next(b.now, 9); len(ls) > 0 {
		t.Fatalf("visited %s beside a fetch of its host", ls[0].Item.URL)
	}
	b.f.Report(b.now, page.ID, frontier.Exchange{Status: 200})
	b.now = b.now.Add(5*time.Second - time.Millisecond)
	if ls := b.f.Next(b.now, 9); len(ls) > 0 {
		t.Fatalf("visited %s within its host's delay", ls[0].Item.URL)
	}
	b.now = b.now.Add(150 * time.Millisecond)
	ls := b.f.Next(b.now, 9)
	if len(ls) != 1 {
		t.Fatalf("%d visits of one host at once", len(ls))
	}
	if !ls[0].Robots { // the page had its turn first
		b.f.Report(b.now, ls[0].ID, frontier.Exchange{Status: 200})
		b.now = b.now.Add(5*time.Second + 150*time.Millisecond)
		if ls = b.f.Next(b.now, 9); len(ls) != 1 {
			t.Fatalf("%d visits of one host at once", len(ls))
		}
	}
}

// TestHostStates: what each event leads to, as lists and explanations show it.
func TestHostStates(t *testing.T) {
	t.Parallel()
	const origin = "http://a.test"
	for want, prepare := range map[string]func(b *bundle){
		frontier.HostReady: func(b *bundle) { b.urls(b.crawl(frontier.Crawl{}), origin, 1) },
		frontier.HostVisited: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{}), origin, 2)
			b.one()
		},
		frontier.HostDelay: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{Delay: time.Second}), origin, 2)
			b.done(b.one(), frontier.Exchange{Status: 200})
		},
		frontier.HostSnoozed: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{}), origin, 2)
			b.f.Report(b.now, b.one().ID, throttled(0))
		},
		frontier.HostRobots: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{ObeyRobots: true}), origin, 1)
			b.one()
		},
		frontier.HostDomainCap: func(b *bundle) {
			no := b.crawl(frontier.Crawl{PerDomain: 1})
			b.urls(no, "http://b.a.test", 1)
			b.urls(no, origin, 1)
			b.one()
		},
		frontier.HostIPCap: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{PerIP: 1}), origin, 1)
			b.f.Next(b.now, 9)
		},
		frontier.HostBlocked: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{}), origin, 1)
			b.policy(origin, frontier.HostPolicy{Blocked: true, Note: "by law"}, false)
		},
		frontier.HostIdle: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{}), origin, 1)
			b.done(b.one(), frontier.Exchange{Status: 200})
		},
		frontier.HostDead: func(b *bundle) {
			b.urls(b.crawl(frontier.Crawl{}), origin, 9)
			for range 2 {
				b.f.Report(b.now, b.one().ID, frontier.Exchange{Class: crawl.ClassConnectRefused})
				b.wait()
			}
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *frontier.Config) { c.HostTries = 2 })
			prepare(b)
			u, err := weburl.FromCanonical(origin + "/1/0")
			if err != nil {
				t.Fatal(err)
			}
			ref := b.f.Ref(1, u)
			v := b.f.Host(b.now, 1, frontier.HostState{Host: frontier.HostRow{Partition: ref.Partition, Host: ref.Host}})
			if v.State != want || v.Origin != origin {
				t.Errorf("got %+v", v)
			}
			if waits := want == frontier.HostDelay || want == frontier.HostSnoozed || want == frontier.HostDead; waits == v.NextAt.IsZero() {
				t.Errorf("next visit at %s", v.NextAt)
			}
		})
	}
}
