package seats

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBoundHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Seats
		var now, most atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := s.Take(t.Context(), 3); err != nil {
					t.Error(err)
					return
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				<-time.After(time.Second)
				now.Add(-1)
				s.Leave()
			})
		}
		synctest.Wait()
		if s.Waiting() != 47 {
			t.Errorf("%d wait, want 47", s.Waiting())
		}
		wg.Wait()
		if most.Load() != 3 || s.Waiting() != 0 {
			t.Errorf("%d at a time, %d wait; want 3 and none", most.Load(), s.Waiting())
		}
	})
}

// TestGivingUp: one that gives up takes no seat with it and stands in nobody's way.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Seats
		for range 2 {
			if err := s.Take(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
		}
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		gone, seated := make(chan error, 1), make(chan error, 1)
		go func() { gone <- s.Take(ctx, 1) }() // its limit is lower than what is taken
		synctest.Wait()
		go func() { seated <- s.Take(t.Context(), 3) }()
		synctest.Wait()
		cancel(why)
		if err := <-gone; !errors.Is(err, why) {
			t.Errorf("gave up with %v", err)
		}
		if err := <-seated; err != nil {
			t.Error(err)
		}
		for range 3 {
			s.Leave()
		}
		if err := s.Take(t.Context(), 1); err != nil {
			t.Error(err)
		}
		s.Leave()
	})
}
