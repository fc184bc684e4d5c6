package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// firstWindow is where the dispatch window starts, leastWindow its lower bound.
	firstWindow, leastWindow = 256, 64
	// Those of browsers, which take seconds for a page, and their share of MaxLeases: a
	// pool without a browser keeps nothing from the other.
	firstBrowsers, leastBrowsers, browserShare = 16, 4, 4
	// mostAway is how many seconds nobody may be seen in the pool of browsers before
	// nothing is handed out to it any more: a visit that waits there holds its host.
	mostAway = 3
	// ringEvery is how many seconds lie between two bells in a pool where nobody is and
	// somebody is wanted; a bell lasts for a minute.
	ringEvery = 20
	// The tasks that wait for a fetcher should be the work of so many seconds: with
	// fewer fetchers may idle, with more a small crawl waits behind a big one.
	leastAhead, mostAhead = 2, 5
	// gaugeEvery and censusEvery are how often the gauges are set: they look at every
	// host, and at every crawl.
	gaugeEvery, censusEvery = 5, 15
	// mostGauges is how many crawls have gauges of their own.
	mostGauges = 100
)

// startWindow is the window of a pool that a session begins with.
func (c Config) startWindow(p frontier.Pool) int {
	n, first := c.Window, firstWindow
	if n == 0 {
		n = c.MaxLeases
	}
	if p == frontier.PoolBrowser {
		first = firstBrowsers
		n = max(1, n/browserShare)
	}
	if c.Window > 0 {
		return n
	}
	return min(first, n)
}

// dispatchWindow returns what decides the window of a pool.
func (c Config) dispatchWindow(p frontier.Pool) *dispatchWindow {
	if p == frontier.PoolBrowser {
		return &dispatchWindow{size: c.startWindow(p), least: leastBrowsers, most: max(1, c.MaxLeases/browserShare)}
	}
	return &dispatchWindow{size: c.startWindow(p), least: leastWindow, most: c.MaxLeases}
}

// dispatchWindow decides how many tasks may be with the fetchers, not yet reported.
type dispatchWindow struct {
	size, least, most int
	rate              float64 // reports a second, smoothed
}

// next returns the window for the next second. waiting is this replica's share of
// the tasks that no fetcher has taken, unreported how many of its own are out, and
// reports how many have come in the last second.
func (w *dispatchWindow) next(waiting, unreported, reports int) int {
	w.rate += (float64(reports) - w.rate) / 3
	switch {
	case float64(waiting) > mostAhead*max(w.rate, 1) && w.size > w.least:
		// Not below what is fetched and some: what waits too long goes away by itself.
		w.size = max(w.least, w.size-max(1, w.size/8), unreported-waiting+int(leastAhead*w.rate))
	case float64(waiting) < leastAhead*w.rate && unreported*10 >= w.size*9:
		w.size *= 2 // fetchers idle, or will soon, because of the window
	}
	w.size = min(w.size, w.most)
	return w.size
}

// pace keeps the dispatch window and the gauges until ctx ends.
func (s *session) pace(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var w [frontier.Pools]*dispatchWindow
	for p := range frontier.Pools {
		w[p] = s.cfg.dispatchWindow(p)
	}
	known := map[string]bool{}
	var before [frontier.Pools]int64
	var away [frontier.Pools]int // times in a row that nobody was there
	rung := -ringEvery
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			s.setGauges(nil, known)
			s.m.setCensus(&frontier.Census{})
			return nil
		case <-tick.C:
		}
		waiting, asked, unmanned := s.backlogs(ctx)
		for p := range frontier.Pools {
			if away[p]++; !asked[p] || !unmanned[p] {
				away[p] = 0
			}
		}
		var gauges []frontier.Gauge
		var census *frontier.Census
		wanted := false // a browser, where there is none
		err := s.read(ctx, func(l *loop, now time.Time) error {
			if s.tenure != nil {
				l.f.Divide(now, s.tenure.replicas())
			}
			for p := range frontier.Pools {
				switch {
				case !asked[p]:
				case p == frontier.PoolBrowser && (away[p] >= mostAway || away[p] > 0 && l.window[p] == 0):
					l.window[p] = 0
					wanted = l.f.Lacked()
				case s.cfg.Window == 0:
					l.window[p] = w[p].next(waiting[p], l.f.Unreported(p), int(l.f.Ended(p)-before[p]))
				default:
					l.window[p] = w[p].size
				}
				before[p] = l.f.Ended(p)
				s.m.window.WithLabelValues(poolNames[p]).Set(float64(l.window[p]))
			}
			if n%gaugeEvery == 0 {
				gauges = l.f.Gauges(now)
			}
			if n%censusEvery == 0 {
				c := l.f.Census(now)
				census = &c
			}
			return nil
		})
		if err != nil { // it is over, and the loop may yet do what it was asked
			s.setGauges(nil, known)
			s.m.setCensus(&frontier.Census{})
			return nil
		}
		if wanted && n-rung >= ringEvery && s.deps.Bus.Ring(ctx, BrowserPool) == nil {
			rung = n // else in the next second
		}
		if n%gaugeEvery == 0 {
			s.setGauges(gauges, known)
		}
		if census != nil {
			s.m.setCensus(census)
		}
	}
}

// backlogs returns this replica's share of the tasks of each pool that wait for a
// fetcher, and whether nobody is there to take them, where the bus tells.
func (s *session) backlogs(ctx context.Context) (waiting [frontier.Pools]int, asked, unmanned [frontier.Pools]bool) {
	for p, name := range poolNames {
		b, err := s.deps.Bus.FetchBacklog(ctx, name)
		if err != nil {
			continue // the next second is as good
		}
		s.m.backlog.WithLabelValues(name, "waiting").Set(float64(b.Waiting))
		s.m.backlog.WithLabelValues(name, "working").Set(float64(b.Working))
		waiting[p], asked[p], unmanned[p] = b.Waiting, true, !b.Manned
		if s.tenure != nil {
			waiting[p] /= s.tenure.replicas()
		}
	}
	return waiting, asked, unmanned
}

// setGauges shows what the active crawls do, and no longer what others did.
func (s *session) setGauges(gauges []frontier.Gauge, known map[string]bool) {
	names := make(map[string]bool, len(gauges))
	for _, g := range gauges {
		e := s.crawls.number(g.No)
		if e == nil {
			continue
		}
		name := e.spec.Spec.GetName()
		if names[name] || len(names) >= mostGauges {
			continue // an older crawl has the name too, and the numbers would mix
		}
		names[name], known[name] = true, true
		s.m.hosts.WithLabelValues(name, "ready").Set(float64(g.Ready))
		s.m.hosts.WithLabelValues(name, "waiting").Set(float64(g.Waiting))
		s.m.urls.WithLabelValues(name, "queued").Set(float64(g.Queued))
		s.m.urls.WithLabelValues(name, "leased").Set(float64(g.Leased))
	}
	for name := range known {
		if !names[name] {
			s.m.hosts.DeletePartialMatch(map[string]string{"crawl": name})
			s.m.urls.DeletePartialMatch(map[string]string{"crawl": name})
			delete(known, name)
		}
	}
}

// setCensus shows what all crawls together do.
func (m *metrics) setCensus(c *frontier.Census) {
	l := &c.Ledger
	dropped := uint64(0)
	m.dropped.Reset() // a reason may be gone with its crawl
	for reason, n := range l.Dropped {
		dropped += n
		m.dropped.WithLabelValues(reason).Set(float64(n))
	}
	for state, n := range map[string]uint64{
		"discovered": l.Discovered, "queued": l.Queued, "leased": l.Leased, "delayed": l.Delayed,
		"done": l.Done, "failed": l.Failed, "dropped": dropped,
	} {
		m.ledger.WithLabelValues(state).Set(float64(n))
	}
	for s := frontier.Running; s <= frontier.Failed; s++ {
		m.states.WithLabelValues(s.String()).Set(float64(c.Crawls[s]))
	}
	for _, s := range frontier.HostStates() {
		m.waits.WithLabelValues(s).Set(float64(c.Hosts[s]))
	}
}
