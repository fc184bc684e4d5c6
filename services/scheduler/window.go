package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// firstWindow is where the dispatch window starts, leastWindow its lower bound.
	firstWindow, leastWindow = 256, 64
	// The tasks that wait for a fetcher should be the work of so many seconds: with
	// fewer fetchers may idle, with more a small crawl waits behind a big one.
	leastAhead, mostAhead = 2, 5
	// gaugeEvery is how often the gauges of crawls are set: they look at every host.
	gaugeEvery = 5
)

// startWindow is the window that a session begins with.
func (c Config) startWindow() int {
	if c.Window > 0 {
		return c.Window
	}
	return min(firstWindow, c.MaxLeases)
}

// dispatchWindow decides how many tasks may be with the fetchers, not yet reported.
type dispatchWindow struct {
	size, most int
	rate       float64 // reports a second, smoothed
}

// next returns the window for the next second. waiting is this replica's share of
// the tasks that no fetcher has taken, unreported how many of its own are out, and
// reports how many have come in the last second.
func (w *dispatchWindow) next(waiting, unreported, reports int) int {
	w.rate += (float64(reports) - w.rate) / 3
	switch {
	case float64(waiting) > mostAhead*max(w.rate, 1) && w.size > leastWindow:
		// Not below what is fetched and some: what waits too long goes away by itself.
		w.size = max(leastWindow, w.size-max(1, w.size/8), unreported-waiting+int(leastAhead*w.rate))
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
	w := dispatchWindow{size: s.cfg.startWindow(), most: s.cfg.MaxLeases}
	known := map[string]bool{}
	var before int64
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			s.setGauges(nil, known)
			return nil
		case <-tick.C:
		}
		waiting, working, err := s.deps.Bus.FetchBacklog(ctx, Pool)
		if err != nil {
			continue // the next second is as good
		}
		s.m.backlog.WithLabelValues("waiting").Set(float64(waiting))
		s.m.backlog.WithLabelValues("working").Set(float64(working))
		if s.tenure != nil {
			waiting /= s.tenure.replicas()
		}
		var gauges []frontier.Gauge
		_ = s.read(ctx, func(l *loop, now time.Time) error {
			if s.tenure != nil {
				l.f.Divide(now, s.tenure.replicas())
			}
			if s.cfg.Window == 0 {
				l.window = w.next(waiting, l.f.Unreported(), int(l.seen-before))
				l.f.SetWindow(l.window)
				before = l.seen
			}
			s.m.window.Set(float64(l.window))
			if n%gaugeEvery == 0 {
				gauges = l.f.Gauges(now)
			}
			return nil
		})
		if n%gaugeEvery == 0 {
			s.setGauges(gauges, known)
		}
	}
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
		if names[name] {
			continue // an older crawl has the name too; the numbers would mix
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
