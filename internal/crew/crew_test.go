package crew_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crew"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeepsGoroutines(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name             string
		keep, work, want int
	}{
		{"as many as there is work", 4, 3, 3},
		{"no more than the bound", 2, 5, 2},
		{"none", 0, 3, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := crew.New(tc.keep)
				var ran, now, most atomic.Int64
				for range 10 {
					leave := make(chan struct{})
					for range tc.work {
						c.Go(func() {
							most.Store(max(most.Load(), now.Add(1)))
							<-leave
							ran.Add(1)
							now.Add(-1)
						})
						synctest.Wait()
					}
					close(leave)
					synctest.Wait()
				}
				if ran.Load() != int64(10*tc.work) || most.Load() != int64(tc.work) {
					t.Errorf("%d ran, %d at a time; want %d and %d", ran.Load(), most.Load(), 10*tc.work, tc.work)
				}
				if n := crew.Idle(c); n != tc.want {
					t.Errorf("%d are kept, want %d", n, tc.want)
				}
				c.Close()
				c.Close()
				synctest.Wait()
				c.Go(func() { ran.Add(1) })
				synctest.Wait()
				if ran.Load() != int64(10*tc.work)+1 || crew.Idle(c) != 0 {
					t.Errorf("after the end: %d ran, %d are kept", ran.Load(), crew.Idle(c))
				}
			})
		})
	}
}

// TestRaces: work and the end come from everywhere at the same time, and nothing is lost.
func TestRaces(t *testing.T) {
	t.Parallel()
	c := crew.New(3)
	var ran atomic.Int64
	var all, callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 200 {
				all.Add(1)
				c.Go(func() { ran.Add(1); all.Done() })
			}
		})
	}
	callers.Go(c.Close)
	callers.Wait()
	all.Wait()
	if ran.Load() != 1600 {
		t.Errorf("%d of 1600 ran", ran.Load())
	}
}

// TestDo: the caller waits, gets a panic for its own, and the goroutine goes on.
func TestDo(t *testing.T) {
	t.Parallel()
	c := crew.New(1)
	defer c.Close()
	for range 3 {
		ran := false
		c.Do(func() { ran = true })
		if !ran {
			t.Error("it did not wait")
		}
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "oh") || !strings.Contains(p, "TestDo") {
					t.Errorf("panic %q, want one with its stack", p)
				}
			}()
			c.Do(func() { panic("oh") })
		}()
	}
}
