// Package budget bounds the memory that exchanges hold, whatever sites send.
//
// The total is split in two halves. Every exchange opens an account with a small
// share of the first half and takes more of it as its body grows, as long as some
// is left. When none is left, growing goes through a single lane: the account
// that has the lane may take all of the second half, and the others wait for it,
// holding what they have.
//
// That cannot deadlock. Opening waits only while holding nothing. Of the accounts
// that grow, the one in the lane never waits, since the second half is its alone;
// a body that outgrows even that is cut. So the lane's holder always ends, by its
// exchange's deadline at the latest, and with it the wait of the next one.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// ErrTooLarge: the body needs more memory than one exchange may have.
var ErrTooLarge = errors.New("body needs more than half of the memory that the fetcher may use for bodies")

// Budget is an amount of memory shared by exchanges. Safe for concurrent use.
type Budget struct {
	shared *semaphore.Weighted
	lane   chan struct{}
	half   int64
	held   atomic.Int64
	waits  atomic.Int64
}

// New makes a budget of total bytes.
func New(total int64) *Budget {
	b := &Budget{half: total / 2, shared: semaphore.NewWeighted(total / 2), lane: make(chan struct{}, 1)}
	return b
}

// Held returns the bytes held now.
func (b *Budget) Held() int64 { return b.held.Load() }

// Waits counts how often growing had to wait for the lane.
func (b *Budget) Waits() int64 { return b.waits.Load() }

// Account is what one exchange holds. It is not safe for concurrent use.
type Account struct {
	b      *Budget
	shared int64
	laned  int64
	inLane bool
}

// Open waits until n bytes are free and gives them to a new account. The caller
// closes it.
func (b *Budget) Open(ctx context.Context, n int64) (*Account, error) {
	if n > b.half {
		return nil, fmt.Errorf("open account of %d bytes: %w", n, ErrTooLarge)
	}
	if err := b.shared.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("wait for memory: %w", context.Cause(ctx))
	}
	b.held.Add(n)
	return &Account{b: b, shared: n}, nil
}

// Grow adds n bytes to the account. It may wait for other exchanges to end;
// ErrTooLarge when the account can never have them.
func (a *Account) Grow(ctx context.Context, n int64) error {
	if a.b.shared.TryAcquire(n) {
		a.shared += n
		a.b.held.Add(n)
		return nil
	}
	if !a.inLane {
		a.b.waits.Add(1)
		select {
		case a.b.lane <- struct{}{}:
			a.inLane = true
		case <-ctx.Done():
			return fmt.Errorf("wait for memory: %w", context.Cause(ctx))
		}
	}
	if a.laned+n > a.b.half {
		return ErrTooLarge
	}
	a.laned += n
	a.b.held.Add(n)
	return nil
}

// Held returns the bytes in the account.
func (a *Account) Held() int64 { return a.shared + a.laned }

// Close gives everything back. Closing again does nothing.
func (a *Account) Close() {
	a.b.held.Add(-a.Held())
	if a.shared > 0 {
		a.b.shared.Release(a.shared)
	}
	if a.inLane {
		<-a.b.lane
	}
	a.shared, a.laned, a.inLane = 0, 0, false
}
