package crawl

import (
	"math"
	"time"
)

// Backoff is a retry schedule that grows geometrically. It holds no state, so it
// can be shared and its results persisted.
type Backoff struct {
	// Base is the delay before the first retry.
	Base time.Duration
	// Max bounds every delay, jitter included; 0 means no bound.
	Max time.Duration
	// Factor multiplies the delay from one retry to the next; below 1 means 2.
	Factor float64
	// Jitter spreads each delay by ± this share of it, from 0 to 1, so that what
	// failed together does not come back together.
	Jitter float64
}

// Delay returns the wait before the nth retry, counted from 1. r gives numbers in
// [0, 1) for the jitter (rand.Float64); nil means no jitter.
func (b Backoff) Delay(n int, r func() float64) time.Duration {
	factor := b.Factor
	if !(factor >= 1) { // also catches NaN
		factor = 2
	}
	d := float64(b.Base) * math.Pow(factor, float64(max(n, 1)-1))
	if b.Max > 0 {
		d = min(d, float64(b.Max))
	}
	if r != nil && b.Jitter > 0 {
		d *= 1 + min(b.Jitter, 1)*(2*r()-1)
	}
	if b.Max > 0 {
		d = min(d, float64(b.Max))
	}
	switch {
	case !(d > 0):
		return 0
	case d >= math.MaxInt64:
		return math.MaxInt64
	}
	return time.Duration(d)
}
