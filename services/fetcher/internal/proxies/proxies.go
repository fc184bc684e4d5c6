// Package proxies chooses the proxy that a host is asked through.
//
// A host keeps to one proxy, by rendezvous hashing: sites tie sessions to addresses,
// and a host that changes its proxy at every request looks like an attack. A proxy that
// fails several times in a row is left for a while, longer each time; only its own
// hosts move meanwhile, each to the next of its own order, and come back afterwards.
package proxies

import (
	"hash/fnv"
	"sync"
	"time"
)

const (
	// failures in a row after which a proxy is left: one may be the network's.
	failures = 3
	// firstRest and longestRest bound how long a proxy is left.
	firstRest   = 10 * time.Second
	longestRest = 5 * time.Minute
)

// List is a list of proxies and how they do. Safe for concurrent use.
type List struct {
	names []string

	mu     sync.Mutex
	states []state
}

// state of a proxy: of failed, those since it last worked.
type state struct {
	failed int
	rests  int
	until  time.Time
}

// New makes a list of the proxies of those names, at least one. A name only has to
// tell a proxy from the others, the same in every fetcher.
func New(names []string) *List {
	return &List{names: names, states: make([]state, len(names))}
}

// Pick returns the index of the proxy for a host: the first of the host's order that
// is not left now; of all of them, when all are, the one that comes back first.
func (l *List) Pick(host string, now time.Time) int {
	if len(l.names) == 1 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	best, soonest := -1, 0
	var most uint64
	for i, name := range l.names {
		s := &l.states[i]
		if s.until.Before(l.states[soonest].until) {
			soonest = i
		}
		if now.Before(s.until) {
			continue
		}
		if w := weight(name, host); best < 0 || w > most {
			best, most = i, w
		}
	}
	if best < 0 {
		return soonest
	}
	return best
}

// weight places a proxy in a host's order.
func weight(name, host string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(host))
	// FNV's upper bits hardly differ between texts that differ at their end.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Worked notes that a proxy gave a connection.
func (l *List) Worked(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[i] = state{}
}

// Failed notes that a proxy did not, by its own fault. It is left from now on when
// that was once too often.
func (l *List) Failed(i int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.states[i]
	if s.failed++; s.failed < failures || now.Before(s.until) {
		return // the exchanges that were under way say nothing new
	}
	s.until = now.Add(min(firstRest<<min(s.rests, 10), longestRest))
	s.rests++
	s.failed = failures - 1 // the next one is enough
}

// Resting returns how many proxies are left now.
func (l *List) Resting(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for i := range l.states {
		if now.Before(l.states[i].until) {
			n++
		}
	}
	return n
}
