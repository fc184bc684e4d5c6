package bus

import (
	"fmt"
	"sync"
	"time"
)

// hangs is for how long the loop of a session may not have turned: it does so four
// times a second and never waits for anybody.
const hangs = time.Minute

// sessions are those that run.
type sessions struct {
	mu  sync.Mutex
	all map[*session]struct{}
}

// enter adds a session, and returns what takes it out again.
func (ss *sessions) enter(s *session) (leave func()) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.all == nil {
		ss.all = make(map[*session]struct{})
	}
	ss.all[s] = struct{}{}
	return func() {
		ss.mu.Lock()
		defer ss.mu.Unlock()
		delete(ss.all, s)
	}
}

// declared tells all that consumers are there now: a pull that failed need not wait for its
// time. In one process the services start beside the scheduler, who declares.
func (ss *sessions) declared() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for s := range ss.all {
		select {
		case s.declared <- struct{}{}:
		default: // it has yet to hear of the last time
		}
	}
}

// Alive returns an error when a loop that takes messages has hung for a minute, which
// only a new process mends. A server that is away is no reason, nor is a slow handler.
func (b *Bus) Alive() error {
	now := time.Now()
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	for s := range b.sessions.all {
		if still := now.Sub(time.Unix(0, s.seen.Load())); still > hangs {
			return fmt.Errorf("the loop that takes messages has hung for %v", still.Round(time.Second))
		}
	}
	return nil
}
