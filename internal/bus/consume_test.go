package bus_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/run"
)

func TestConsumeAll(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]bus.Options{
		"one worker":     {Concurrency: 1},
		"no prefetch":    {Concurrency: 4, Prefetch: -1},
		"many workers":   {Concurrency: 64},
		"bound of bytes": {Concurrency: 8, MaxBytes: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := start(t, bus.EmbeddedConfig())
			got := newSeen(500)
			stop := background(t, func(ctx context.Context) error {
				return b.Consume(ctx, bus.ParseConsumer(), opt, func(_ context.Context, d bus.Delivery) error {
					got.add(leaseOf(t, d))
					return nil
				})
			})
			publish(t, b, page, 1, 500)
			got.wait(t)
			stop()
			if n := got.total(); n != 500 {
				t.Errorf("%d deliveries of 500 messages", n)
			}
			eventually(t, "all are acked", func() bool { return lag(t, b, "WEIR_PAGES/parse") == 0 })
		})
	}
}

// TestLimitFollows: no more handlers begin than the limit of the moment says.
func TestLimitFollows(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	var limit atomic.Int64
	var running crowd
	limit.Store(8)
	release := make(chan struct{})
	got := newSeen(40)
	background(t, func(ctx context.Context) error {
		opt := bus.Options{Concurrency: 8, Limit: func() int { return int(limit.Load()) }}
		return b.Consume(ctx, bus.ParseConsumer(), opt, func(_ context.Context, d bus.Delivery) error {
			running.add(1)
			defer running.add(-1)
			<-release
			got.add(leaseOf(t, d))
			return nil
		})
	})
	publish(t, b, page, 1, 40)
	eventually(t, "all workers run", func() bool { return running.size() == 8 })
	limit.Store(2)
	for range 6 {
		release <- struct{}{}
	}
	eventually(t, "two are left", func() bool { return running.size() == 2 })
	running.forget()
	for range 10 { // one ends, the next begins, and never a third
		release <- struct{}{}
		eventually(t, "the next one runs", func() bool { return running.size() == 2 })
	}
	if n := running.peak(); n > 2 {
		t.Errorf("%d ran at a time", n)
	}
	limit.Store(8)
	eventually(t, "all workers run again", func() bool { return running.size() == 8 })
	close(release)
	got.wait(t)
}

func TestFreeWorkerTakesTheNextMessageAtOnce(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	slow := make(chan struct{})
	got := newSeen(99)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
			if n := leaseOf(t, d); n == 1 {
				<-slow // one worker is busy all the time
			} else {
				got.add(n)
			}
			return nil
		})
	})
	publish(t, b, page, 1, 100)
	got.wait(t)
	close(slow)
}

func TestWorkersRunAtOnceUpToConcurrency(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	var running crowd
	entered, leave := make(chan struct{}, 20), make(chan struct{})
	stop := background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 5}, func(context.Context, bus.Delivery) error {
			running.add(1)
			defer running.add(-1)
			entered <- struct{}{}
			<-leave
			return nil
		})
	})
	publish(t, b, page, 1, 20)
	for range 5 {
		await(t, entered, "five handlers at once")
	}
	close(leave)
	for range 15 {
		await(t, entered, "the rest")
	}
	stop()
	if n := running.peak(); n != 5 {
		t.Errorf("%d handlers at once, want 5", n)
	}
}

func TestSlowHandlerIsKeptAlive(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.Parse.AckWait = 5 * time.Second // longer than the machine may stand still
	_, b := start(t, cfg)
	var calls atomic.Int32
	finish := make(chan struct{})
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1, Prefetch: 3}, func(context.Context, bus.Delivery) error {
			calls.Add(1)
			<-finish
			return nil
		})
	})
	publish(t, b, page, 1, 3)
	// A second consumer's session would get what the server believes lost: both
	// the message in the handler and those that wait behind it.
	var stolen atomic.Int32
	stop := background(t, func(ctx context.Context) error {
		eventually(t, "the first session holds all", func() bool { return calls.Load() == 1 })
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 3}, func(_ context.Context, d bus.Delivery) error {
			if d.Number > 1 {
				stolen.Add(1)
			}
			return nil
		})
	})
	after := time.NewTimer(2 * cfg.Parse.AckWait)
	defer after.Stop()
	await(t, after.C, "twice AckWait")
	stop()
	close(finish)
	if n := stolen.Load(); n != 0 {
		t.Errorf("%d messages were delivered again in spite of heart-beats", n)
	}
}

func TestRedeliveryAfterABug(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("bug") },
		"panic": func() error { panic("bug") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := start(t, bus.EmbeddedConfig())
			numbers := make(chan uint64, 10)
			background(t, func(ctx context.Context) error {
				return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
					numbers <- d.Number
					if d.Number < 3 {
						return fail()
					}
					return nil
				})
			})
			publish(t, b, page, 1, 1)
			for want := uint64(1); want <= 3; want++ {
				if n := await(t, numbers, "a delivery"); n != want {
					t.Errorf("delivery %d, want %d", n, want)
				}
			}
			eventually(t, "it is acked", func() bool { return lag(t, b, "WEIR_PAGES/parse") == 0 })
		})
	}
}

func TestKindsThatAck(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	got := newSeen(3)
	kinds := []crawl.Kind{1: crawl.Conflict, 2: crawl.Precondition, 3: crawl.Throttled}
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.StoreConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			n := leaseOf(t, d)
			got.add(n)
			return crawl.Errorf(kinds[n], "no")
		})
	})
	publish(t, b, record, 1, 3)
	got.wait(t)
	eventually(t, "all are acked", func() bool { return lag(t, b, "WEIR_RECORDS/store") == 0 })
	if n := got.total(); n != 3 {
		t.Errorf("%d deliveries, want 3", n)
	}
}

func TestUnavailableHoldsTheMessage(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	var down atomic.Bool
	down.Store(true)
	var tries, worst atomic.Int64
	got := newSeen(50)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
			worst.Store(max(worst.Load(), int64(d.Number)))
			if down.Load() {
				tries.Add(1)
				return crawl.Errorf(crawl.Unavailable, "store is down")
			}
			got.add(leaseOf(t, d))
			return nil
		})
	})
	publish(t, b, page, 1, 50)
	eventually(t, "the handler was tried often", func() bool { return tries.Load() >= 8 })
	if n := stored(t, b, bus.StreamPages); n != 50 {
		t.Errorf("%d messages left while the store is down, want 50", n)
	}
	down.Store(false)
	got.wait(t)
	if n := worst.Load(); n != 1 {
		t.Errorf("a message was delivered %d times: holding must use up no delivery", n)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	var begun atomic.Int32
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	stopped := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(stopped)
		err := b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2, Prefetch: 4, SoftStop: deadline}, func(hctx context.Context, d bus.Delivery) error {
			begun.Add(1)
			entered <- struct{}{}
			<-leave
			return hctx.Err() // must be alive although ctx is not
		})
		if err != nil {
			t.Errorf("consume: %v", err)
		}
	}()
	publish(t, b, page, 1, 10)
	await(t, entered, "the first handler")
	await(t, entered, "the second handler")
	cancel()
	// What was pulled and not started is another process's at once, while the
	// handlers in hand still work.
	got := newSeen(8)
	stop := background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			got.add(leaseOf(t, d))
			return nil
		})
	})
	got.wait(t)
	select {
	case <-stopped:
		t.Error("Consume returned while handlers were working")
	default:
	}
	close(leave)
	await(t, stopped, "Consume")
	stop()
	if n := begun.Load(); n != 2 {
		t.Errorf("%d handlers begun, want 2", n)
	}
	eventually(t, "all are acked", func() bool { return lag(t, b, "WEIR_PAGES/parse") == 0 })
}

func TestDrainCancelsAfterSoftStop(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	entered := make(chan struct{}, 1)
	cause := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1, SoftStop: 50 * time.Millisecond},
			func(hctx context.Context, d bus.Delivery) error {
				entered <- struct{}{}
				<-hctx.Done()
				cause <- context.Cause(hctx)
				return hctx.Err()
			})
	}()
	publish(t, b, page, 1, 1)
	await(t, entered, "the handler")
	cancel()
	if err := await(t, stopped, "Consume"); err != nil {
		t.Error(err)
	}
	if err := await(t, cause, "the cause"); !errors.Is(err, run.ErrStopping) {
		t.Errorf("cause %v, want ErrStopping", err)
	}
	// Given back at once: no AckWait of half a minute.
	got := newSeen(1)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			got.add(leaseOf(t, d))
			return nil
		})
	})
	got.wait(t)
}

func TestDrainWhileAPartIsDown(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	tried := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1, SoftStop: time.Hour},
			func(context.Context, bus.Delivery) error {
				tried <- struct{}{}
				return crawl.Errorf(crawl.Unavailable, "down")
			})
	}()
	publish(t, b, page, 1, 2)
	await(t, tried, "a try")
	cancel()
	if err := await(t, stopped, "Consume"); err != nil {
		t.Error(err)
	}
	if n := stored(t, b, bus.StreamPages); n != 2 {
		t.Errorf("%d messages left, want 2", n)
	}
}

func TestConsumeBeforeTheTopologyExists(t *testing.T) {
	t.Parallel()
	s, _ := start(t, bus.EmbeddedConfig())
	b := s.Connect(bus.EmbeddedConfig())
	got := newSeen(3)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ResultConsumer(7), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			got.add(leaseOf(t, d))
			return nil
		})
	})
	if err := b.EnsureTopology(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	publish(t, b, func(n uint64) bus.Message {
		m := result(n)
		m.Subject = "weir.result.7"
		return m
	}, 1, 3)
	got.wait(t)
}

func TestConsumerIsDeletedAndMadeAnew(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	got := newSeen(20)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
			got.add(leaseOf(t, d))
			return nil
		})
	})
	publish(t, b, page, 1, 10)
	if err := b.ResetConsumers(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, b, page, 11, 20)
	if err := b.EnsureTopology(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	got.wait(t)
}

func TestResetConsumersRedeliversAtOnceWithFreshCounts(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	entered := make(chan struct{}, 5)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	first := s.Connect(bus.EmbeddedConfig())
	wg.Go(func() {
		_ = first.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 5}, func(hctx context.Context, _ bus.Delivery) error {
			entered <- struct{}{}
			<-ctx.Done()
			return nil
		})
	})
	publish(t, b, page, 1, 5)
	for range 5 {
		await(t, entered, "a handler")
	}
	first.Close() // as a killed process would: no ack, no nak
	cancel()
	wg.Wait()
	publish(t, b, task, 6, 8)
	if err := b.ResetConsumers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureTopology(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	// Tasks are the frontier's to hand out again.
	if left, err := b.InFlight(t.Context()); err != nil || len(left) != 5 {
		t.Errorf("in flight after the reset: %v %v, want the 5 pages", left, err)
	}
	got := newSeen(5)
	var numbers sync.Map
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			numbers.Store(d.Number, true)
			got.add(leaseOf(t, d))
			return nil
		})
	})
	got.wait(t)
	want := map[any]any{uint64(1): true}
	all := map[any]any{}
	numbers.Range(func(k, v any) bool { all[k] = v; return true })
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}
