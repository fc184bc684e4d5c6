package run

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// order notes what happens.
type order struct {
	mu sync.Mutex
	s  []string
}

func (o *order) note(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.s = append(o.s, s)
}

// member stops as it should, after d.
func (o *order) member(name string, d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		o.note("stop " + name)
		time.Sleep(d) // in a bubble
		o.note("end " + name)
		return context.Cause(ctx)
	}
}

func TestGroupStopsInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o order
		var g Group
		for i, name := range []string{"server", "store", "consumer"} {
			g.Add(name, o.member(name, time.Duration(3-i)*time.Second))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		want := []string{"stop consumer", "end consumer", "stop store", "end store", "stop server", "end server"}
		if diff := cmp.Diff(want, o.s); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGroupFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o order
		var g Group
		bad := errors.New("disk full")
		g.Add("server", o.member("server", 0))
		g.Add("store", func(context.Context) error { time.Sleep(time.Second); return bad })
		g.Add("consumer", o.member("consumer", 0))
		err := g.Run(t.Context())
		if !errors.Is(err, bad) || err.Error() != "store: disk full" {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]string{"stop consumer", "end consumer", "stop server", "end server"}, o.s); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGroupFailureWhileStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Group
		bad := errors.New("flush failed")
		g.Add("store", func(ctx context.Context) error { <-ctx.Done(); return bad })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Run(ctx); !errors.Is(err, bad) {
			t.Errorf("got %v", err)
		}
	})
}

func TestGroupCauses(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	for name, tc := range map[string]struct{ cause, want error }{
		"plain cancel": {nil, ErrStopping},
		"own cause":    {mine, mine},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got error
			var g Group
			g.Add("m", func(ctx context.Context) error {
				<-ctx.Done()
				got = context.Cause(ctx)
				return nil
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(tc.cause)
			if err := g.Run(ctx); err != nil {
				t.Error(err)
			}
			if !errors.Is(got, tc.want) {
				t.Errorf("cause %v, want %v", got, tc.want)
			}
		})
	}
}

func TestGroupMembersMayFinish(t *testing.T) {
	t.Parallel()
	var g Group
	for range 3 {
		g.Add("m", func(context.Context) error { return nil })
	}
	if err := g.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := new(Group).Run(t.Context()); err != nil {
		t.Errorf("empty group: %v", err)
	}
}

func TestGroupNamesWhoDoesNotStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var o order
		g := Group{SoftStop: time.Second}
		g.Add("server", o.member("server", 0))
		g.Add("stuck", func(context.Context) error { <-release; return nil })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := g.Run(ctx)
		if err == nil || !strings.Contains(err.Error(), "stuck: did not stop within 1s") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]string{"stop server", "end server"}, o.s); diff != "" {
			t.Error(diff)
		}
		close(release)
		synctest.Wait()
	})
}

// Stops, failures and ends of members race with each other and with the start.
func TestGroupStress(t *testing.T) {
	t.Parallel()
	bad := errors.New("bad")
	var wg sync.WaitGroup
	for worker := range 10 {
		wg.Go(func() {
			for i := range 50 {
				var running atomic.Int32
				var g Group
				for m := range 5 {
					g.Add("m", func(ctx context.Context) error {
						running.Add(1)
						defer running.Add(-1)
						switch {
						case i%5 == m && worker%3 == 1:
							return bad
						case i%5 == m && worker%3 == 2:
							return nil
						}
						<-ctx.Done()
						return ctx.Err()
					})
				}
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				if err := g.Run(ctx); err != nil && !errors.Is(err, bad) {
					t.Errorf("got %v", err)
				}
				if n := running.Load(); n != 0 {
					t.Errorf("%d members left", n)
				}
			}
		})
	}
	wg.Wait()
}

// Not parallel: signals reach the whole process.
func TestSignals(t *testing.T) {
	exited := make(chan int, 1)
	ctx, stop := signals(t.Context(), func(code int) { exited <- code })
	defer stop()
	raise := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	raise()
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), ErrStopping) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
	raise()
	if code := <-exited; code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	stop()
	stop() // idempotent
}

func TestSignalsGivenBack(t *testing.T) {
	ctx, stop := Signals(t.Context())
	stop()
	if errors.Is(context.Cause(ctx), ErrStopping) {
		t.Error("stopping without a signal")
	}
}
