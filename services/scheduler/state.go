package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// State is what a scheduler does at a moment, for people.
type State struct {
	// Error is why there is no more to say: it has not begun, or hangs.
	Error string `json:"error,omitempty"`
	// Replica is its name among Replicas that live.
	Replica  string `json:"replica"`
	Replicas int    `json:"replicas"`
	// Partitions that it owns, of StorePartitions.
	Partitions      int `json:"partitions"`
	StorePartitions int `json:"store_partitions"`
	// Leases are the URLs between dispatch and result, at most MaxLeases.
	Leases    int `json:"leases"`
	MaxLeases int `json:"max_leases"`
	// Windows are the tasks that may be with the fetchers of a pool, and Unreported
	// those that are.
	Windows    map[string]int `json:"windows"`
	Unreported map[string]int `json:"unreported"`
	// Draining: nothing is handed out any more.
	Draining bool `json:"draining,omitempty"`
	// Crawls by state, hosts by what they wait for, URLs by state: of its own partitions.
	Crawls map[string]int    `json:"crawls"`
	Hosts  map[string]int    `json:"hosts"`
	URLs   map[string]uint64 `json:"urls"`
}

// State returns what the scheduler does, as a State.
func (s *Service) State(ctx context.Context) any {
	out := State{Replica: s.cfg.Replica, Replicas: 1, MaxLeases: s.cfg.MaxLeases}
	ses, err := s.current()
	if err == nil {
		err = ses.read(ctx, func(l *loop, now time.Time) error {
			out.take(ses, l, now)
			return nil
		})
	}
	if err != nil {
		return State{Error: err.Error(), Replica: s.cfg.Replica}
	}
	return out
}

// take reads the frontier; in the loop.
func (o *State) take(s *session, l *loop, now time.Time) {
	o.StorePartitions, o.Leases, o.Draining = len(s.held), l.f.Leased(), l.draining
	for p := range s.held {
		if s.held[p].Load() != nil {
			o.Partitions++
		}
	}
	if s.tenure != nil {
		o.Replicas = s.tenure.replicas()
	}
	o.Windows, o.Unreported = map[string]int{}, map[string]int{}
	for p, name := range poolNames {
		o.Windows[name], o.Unreported[name] = l.window[p], l.f.Unreported(frontier.Pool(p))
	}
	c := l.f.Census(now)
	o.Crawls, o.Hosts = map[string]int{}, c.Hosts
	for state, n := range c.Crawls {
		o.Crawls[state.String()] = n
	}
	d := &c.Ledger
	o.URLs = map[string]uint64{
		"discovered": d.Discovered, "queued": d.Queued, "leased": d.Leased, "delayed": d.Delayed, "done": d.Done, "failed": d.Failed,
	}
}
