package bus_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestBatchesGatherWhileTheHandlerWorks(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	publish(t, b, record, 1, 50)
	sizes := make(chan int, 50)
	leave := make(chan struct{})
	var now atomic.Int32
	background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 10, Age: time.Hour}, func(_ context.Context, ds []bus.Delivery) error {
			if now.Add(1) != 1 {
				t.Error("two calls at once")
			}
			sizes <- len(ds)
			<-leave
			now.Add(-1)
			return nil
		})
	})
	if n := await(t, sizes, "the first batch"); n != 10 {
		t.Errorf("batch of %d, want 10", n)
	}
	// Bounded: one batch in hand, one gathered, the rest stays in the stream.
	close(leave)
	for range 4 {
		if n := await(t, sizes, "a batch"); n != 10 {
			t.Errorf("batch of %d, want 10", n)
		}
	}
	eventually(t, "all are acked", func() bool { return lag(t, b, "WEIR_RECORDS/store") == 0 })
}

func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	publish(t, b, record, 1, 100)
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 5}, func(context.Context, []bus.Delivery) error {
			entered <- struct{}{}
			<-leave
			return nil
		})
	})
	await(t, entered, "the first batch")
	// Another process finds the other 90 messages.
	got := newSeen(90)
	other := s.Connect(bus.EmbeddedConfig())
	stop := background(t, func(ctx context.Context) error {
		return other.Consume(ctx, bus.StoreConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			got.add(leaseOf(t, d))
			return nil
		})
	})
	got.wait(t)
	stop()
	close(leave)
	if n := got.total(); n != 90 {
		t.Errorf("the other process got %d messages, want 90", n)
	}
}

func TestBatchLimits(t *testing.T) {
	t.Parallel()
	body := func(n uint64, size int) bus.Message {
		return bus.Record(&crawlv1.Record{Ref: ref(n), Body: &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: make([]byte, size)}}})
	}
	for name, tc := range map[string]struct {
		opt  bus.BatchOptions
		size int
		want int
	}{
		"age":                  {bus.BatchOptions{Max: 100, Age: time.Minute}, 10, 6}, // the first waits 3 s for others
		"max":                  {bus.BatchOptions{Max: 3, Age: time.Hour}, 10, 3},
		"bytes":                {bus.BatchOptions{Max: 100, Bytes: 250_000, Age: time.Hour}, 100_000, 2},
		"longer than the rest": {bus.BatchOptions{Max: 100, Bytes: 1000, Age: time.Hour}, 100_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := start(t, bus.EmbeddedConfig())
			for n := uint64(1); n <= 6; n++ {
				if err := b.PublishAll(t.Context(), body(n, tc.size)); err != nil {
					t.Fatal(err)
				}
			}
			sizes := make(chan int, 6)
			background(t, func(ctx context.Context) error {
				return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), tc.opt, func(_ context.Context, ds []bus.Delivery) error {
					sizes <- len(ds)
					return nil
				})
			})
			// The last messages of "bytes" do not fill a batch.
			for left := 6; left >= max(3, tc.want); left -= tc.want {
				if n := await(t, sizes, "a batch"); n != tc.want {
					t.Fatalf("batch of %d, want %d", n, tc.want)
				}
			}
		})
	}
}

// TestBatchesKeepTheirDistance: after a rest a message is handed over soon; those that come
// next wait until the age is over.
func TestBatchesKeepTheirDistance(t *testing.T) {
	t.Parallel()
	const age = 400 * time.Millisecond
	_, b := start(t, bus.EmbeddedConfig())
	batches := make(chan int, 10)
	begun := make(chan time.Time, 10)
	background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 100, Age: age}, func(_ context.Context, ds []bus.Delivery) error {
			begun <- time.Now()
			batches <- len(ds)
			return nil
		})
	})
	// The handler looks at the clock after the session has, perhaps long after: only this is
	// surely before the first batch began.
	before := time.Now()
	publish(t, b, record, 1, 1)
	if n := await(t, batches, "the first batch"); n != 1 {
		t.Errorf("a first batch of %d", n)
	}
	await(t, begun, "its time")
	publish(t, b, record, 2, 6)
	got := await(t, batches, "the second batch")
	if gap := await(t, begun, "its time").Sub(before); gap < age {
		t.Errorf("the second batch began %v after the first", gap)
	}
	for got < 5 { // where publishing took longer than the age
		got += await(t, batches, "more")
	}
}

func TestBatchOfSeveralConsumers(t *testing.T) {
	t.Parallel()
	s := start2(t, 16)
	var cs []bus.Consumer
	for p := range uint32(16) {
		cs = append(cs, bus.ResultConsumer(p))
	}
	got := newSeen(1600)
	var mu sync.Mutex
	order := make(map[uint32][]uint64)
	background(t, func(ctx context.Context) error {
		return s.ConsumeBatch(ctx, bus.NewConsumerSet(cs...), bus.BatchOptions{Max: 50}, func(_ context.Context, ds []bus.Delivery) error {
			for _, d := range ds {
				n := leaseOf(t, d)
				mu.Lock()
				order[uint32(n%16)] = append(order[uint32(n%16)], n)
				mu.Unlock()
				got.add(n)
			}
			return nil
		})
	})
	publish(t, s, func(n uint64) bus.Message {
		r := &crawlv1.Result{Ref: ref(n)}
		r.Ref.Partition = uint32(n % 16)
		return bus.Result(r)
	}, 1, 1600)
	got.wait(t)
	mu.Lock()
	defer mu.Unlock()
	for p, ns := range order {
		for i := 1; i < len(ns); i++ {
			if ns[i] < ns[i-1] {
				t.Fatalf("partition %d: %d after %d", p, ns[i], ns[i-1])
			}
		}
	}
}

func start2(tb testing.TB, partitions uint32) *bus.Bus {
	tb.Helper()
	_, b := start(tb, bus.EmbeddedConfig())
	if err := b.EnsureTopology(context.Background(), partitions); err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestPoisonInABatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		poison  func() error
		burials int
	}{
		"invalid": {func() error { return crawl.Errorf(crawl.Invalid, "cannot be read") }, 1},
		"bug":     {func() error { return errors.New("bug") }, 0},
		"panic":   {func() error { panic("bug") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := start(t, bus.EmbeddedConfig())
			var healed atomic.Bool
			got := newSeen(9)
			poisoned := make(chan int, 100)
			entered, leave := make(chan struct{}), make(chan struct{})
			background(t, func(ctx context.Context) error {
				return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 10}, func(_ context.Context, ds []bus.Delivery) error {
					if leaseOf(t, ds[0]) == 11 {
						close(entered)
						<-leave
						return nil
					}
					for _, d := range ds {
						if leaseOf(t, d) == 4 && !healed.Load() {
							poisoned <- len(ds)
							return tc.poison()
						}
					}
					for _, d := range ds {
						if n := leaseOf(t, d); n != 4 {
							got.add(n)
						}
					}
					return nil
				})
			})
			// One before them is handled while the ten come.
			publish(t, b, record, 11, 11)
			await(t, entered, "the handler")
			publish(t, b, record, 1, 10)
			eventually(t, "all are in hand", func() bool { return b.State().InHand["store"] == 11 })
			close(leave)
			got.wait(t)
			if n := await(t, poisoned, "the batch"); n != 10 {
				t.Errorf("first call with %d messages, want 10", n)
			}
			if n := await(t, poisoned, "the message alone"); n != 1 {
				t.Errorf("second call with %d messages, want 1", n)
			}
			healed.Store(true)
			eventually(t, "all are settled", func() bool { return lag(t, b, "WEIR_RECORDS/store") == 0 })
			if n := got.total(); n != 9 {
				t.Errorf("%d deliveries of the nine others", n)
			}
			if n := stored(t, b, bus.StreamDead); n != uint64(tc.burials) {
				t.Errorf("%d dead letters, want %d", n, tc.burials)
			}
		})
	}
}
