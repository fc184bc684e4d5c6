package bus

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a wait that doubles, with full jitter over its upper half, so that
// replicas that failed together do not come again together.
type backoff struct{ base, max time.Duration }

// Delay returns the wait before the try after the n-th failure, n from 0.
func (b backoff) Delay(n int, r func() float64) time.Duration {
	d := b.max
	if n < 16 {
		d = min(b.max, b.base<<n)
	}
	return d/2 + time.Duration(r()*float64(d/2))
}

// The waits of the bus. A full stream empties in tens of milliseconds when the
// next stage is alive; a server takes a second to come back.
var (
	connectBackoff = backoff{50 * time.Millisecond, time.Second}
	busyBackoff    = backoff{time.Millisecond, 50 * time.Millisecond}
	publishBackoff = backoff{20 * time.Millisecond, time.Second}
	retryBackoff   = backoff{50 * time.Millisecond, 5 * time.Second}
	bindBackoff    = backoff{20 * time.Millisecond, time.Second}
)

// random is where jitter comes from.
func random() float64 { return rand.Float64() }

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
