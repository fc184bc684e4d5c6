package budget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/budget"
)

func TestGrowNeverDeadlocks(t *testing.T) {
	t.Parallel()
	const total, base, most = 1000, 10, 500
	b := budget.New(total)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 200 {
				a, err := b.Open(t.Context(), base)
				if err != nil {
					t.Error(err)
					return
				}
				for a.Held() < most-50 {
					if err := a.Grow(t.Context(), 1+r.Int64N(50)); err != nil {
						t.Error(err)
						break
					}
					if h := b.Held(); h > total {
						t.Errorf("held %d of %d", h, total)
					}
				}
				a.Close()
			}
		})
	}
	wg.Wait()
	if b.Held() != 0 {
		t.Errorf("held %d at the end", b.Held())
	}
}

func TestGrowTooLarge(t *testing.T) {
	t.Parallel()
	b := budget.New(100)
	a, err := b.Open(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for range 9 { // 40 of the shared half, 50 of the lane
		if err := a.Grow(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Grow(t.Context(), 10); !errors.Is(err, budget.ErrTooLarge) {
		t.Errorf("grow beyond the total: %v", err)
	}
	a.Close()
	a.Close()
	if b.Held() != 0 {
		t.Errorf("held %d", b.Held())
	}
	if _, err := b.Open(t.Context(), 51); !errors.Is(err, budget.ErrTooLarge) {
		t.Errorf("open of more than half: %v", err)
	}
}

func TestWaitsEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(100)
		first, _ := b.Open(t.Context(), 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Open(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open: %v", err)
		}
		if err := first.Grow(t.Context(), 10); err != nil {
			t.Errorf("grow in the free lane: %v", err)
		}
		first.Close()
		a, _ := b.Open(t.Context(), 25)
		c, _ := b.Open(t.Context(), 25)
		_ = a.Grow(t.Context(), 1)
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		if err := c.Grow(ctx2, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("grow: %v", err)
		}
		done := make(chan error)
		go func() { done <- c.Grow(t.Context(), 1) }()
		synctest.Wait()
		a.Close()
		if err := <-done; err != nil {
			t.Errorf("grow after the lane's holder ended: %v", err)
		}
		c.Close()
		if b.Waits() != 4 {
			t.Errorf("waits = %d", b.Waits())
		}
	})
}
