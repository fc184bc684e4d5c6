// Package breaker decides whether a program that fails is still called.
//
//	        enough failures in a row               the pause is over
//	closed ──────────────────────────► open ──────────────────────────► half-open
//	   ▲                                 ▲    one call may try, others      │
//	   │                                 └──────────── it fails ────────────┤
//	   └─────────────────────────────────── it succeeds ────────────────────┘
package breaker

import (
	"sync"
	"time"
)

// Config of a breaker.
type Config struct {
	// Failures in a row that open it. At least 1.
	Failures int
	// First is the first pause, Longest bounds what it doubles to.
	First, Longest time.Duration
	// Probe is how long a call may take to try before another one may.
	Probe time.Duration
}

// State of a breaker.
type State uint8

// The states, a closed set.
const (
	// Closed lets all calls through.
	Closed State = iota
	// Open lets none through.
	Open
	// HalfOpen lets one through, to try.
	HalfOpen
)

// Breaker counts the failures of one program. Make it with New; it is safe for
// concurrent use.
type Breaker struct {
	cfg Config

	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // of this opening; 0 while closed
	until    time.Time     // when it is over
	probing  time.Time     // until when a call that tries has the turn to itself
}

// New returns a closed breaker.
func New(cfg Config) *Breaker { return &Breaker{cfg: cfg} }

// Allow reports whether a call may be made now. Whoever was allowed to calls Success,
// Failure or Cancel when it is over.
func (b *Breaker) Allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state(now) {
	case Closed:
		return true
	case HalfOpen:
		b.probing = now.Add(b.cfg.Probe)
		return true
	}
	return false
}

// State is what Allow would decide by. It takes no turn.
func (b *Breaker) State(now time.Time) State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state(now)
}

func (b *Breaker) state(now time.Time) State {
	switch {
	case b.pause == 0:
		return Closed
	case now.Before(b.until) || now.Before(b.probing):
		return Open
	}
	return HalfOpen
}

// Success closes the breaker.
func (b *Breaker) Success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.pause, b.probing = 0, 0, time.Time{}
}

// Failure counts a call that failed, and opens the breaker where there are enough or
// the call was the one that tried. It reports whether it has just opened.
func (b *Breaker) Failure(now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	switch {
	case b.pause > 0 && now.Before(b.until):
		return false // a call from before it opened
	case b.pause == 0 && b.failures < b.cfg.Failures:
		return false
	case b.pause == 0:
		b.pause, opened = b.cfg.First, true
	default:
		b.pause = min(2*b.pause, b.cfg.Longest)
	}
	b.until, b.probing = now.Add(b.pause), time.Time{}
	return opened
}

// Cancel gives the turn back of a call that was broken off by its caller, which says
// nothing of the program.
func (b *Breaker) Cancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = time.Time{}
}
