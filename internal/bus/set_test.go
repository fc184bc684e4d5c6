package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// resultOf makes results of a partition.
func resultOf(partition uint32) func(uint64) bus.Message {
	return func(n uint64) bus.Message {
		r := &crawlv1.Result{Ref: ref(n)}
		r.Ref.Partition = partition
		return bus.Result(r)
	}
}

// collector handles batches: it notes what came for each partition, and stays inside
// the call while it is closed.
type collector struct {
	tb      testing.TB
	entered chan []uint64
	gate    chan struct{} // handlers wait until it is closed

	mu    sync.Mutex
	count map[uint64]int
}

func newCollector(tb testing.TB) *collector {
	return &collector{tb: tb, entered: make(chan []uint64, 10_000), gate: make(chan struct{}), count: make(map[uint64]int)}
}

func (c *collector) handle(_ context.Context, ds []bus.Delivery) error {
	var ns []uint64
	for _, d := range ds {
		ns = append(ns, leaseOf(c.tb, d))
	}
	c.entered <- ns
	<-c.gate
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range ns {
		c.count[n]++
	}
	return nil
}

// handled returns how many different messages were handled from a range, and how
// often the most frequent one.
func (c *collector) handled(from, to uint64) (different, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := from; n <= to; n++ {
		if c.count[n] > 0 {
			different++
		}
		most = max(most, c.count[n])
	}
	return different, most
}

func TestSetChangesWhileItIsConsumed(t *testing.T) {
	t.Parallel()
	b := start2(t, 3)
	set := bus.NewConsumerSet() // empty at first
	c := newCollector(t)
	close(c.gate)
	background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 20}, c.handle)
	})
	all := func(from, to uint64) func() bool {
		return func() bool { n, _ := c.handled(from, to); return n == int(to-from+1) }
	}
	publish(t, b, resultOf(0), 1, 100)
	publish(t, b, resultOf(1), 101, 200)
	set.Add(bus.ResultConsumer(0))
	set.Add(bus.ResultConsumer(0))
	eventually(t, "partition 0 is handled", all(1, 100))
	if n, _ := c.handled(101, 200); n != 0 {
		t.Errorf("%d messages of a partition that is not in the set", n)
	}
	set.Add(bus.ResultConsumer(1))
	set.Add(bus.LinksConsumer(1)) // another kind, with nothing in it
	eventually(t, "partition 1 is handled", all(101, 200))
	for _, gone := range []bus.Consumer{bus.ResultConsumer(1), bus.ResultConsumer(1), bus.ResultConsumer(2)} {
		if err := set.Remove(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, resultOf(1), 201, 300)
	publish(t, b, resultOf(0), 301, 400)
	eventually(t, "partition 0 goes on", all(301, 400))
	eventually(t, "100 messages wait for the next owner", func() bool { return lag(t, b, "WEIR_RESULTS/result-1") == 100 })
	set.Add(bus.ResultConsumer(1))
	eventually(t, "partition 1 is handled again", all(201, 300))
	if _, most := c.handled(1, 400); most != 1 {
		t.Errorf("a message was handled %d times", most)
	}
}

// Remove waits for what is in the handler, gives back what is not, and the other
// consumers' messages stay where they are.
func TestRemoveWaitsForWhatIsInHand(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	if err := b.EnsureTopology(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	set := bus.NewConsumerSet(bus.ResultConsumer(0), bus.ResultConsumer(1))
	c := newCollector(t)
	background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 10}, c.handle)
	})
	open := sync.OnceFunc(func() { close(c.gate) })
	defer open()
	publish(t, b, resultOf(0), 1, 10)
	await(t, c.entered, "a batch of partition 0")
	publish(t, b, resultOf(0), 11, 15) // behind it
	publish(t, b, resultOf(1), 101, 105)

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := set.Remove(short, bus.ResultConsumer(0)); crawl.KindOf(err) != crawl.Unavailable {
		t.Fatalf("removed while its messages are in the handler: %v", err)
	}
	// What was not begun is the next owner's already.
	successor := s.Connect(bus.EmbeddedConfig())
	next := newSeen(5)
	background(t, func(ctx context.Context) error {
		return successor.Consume(ctx, bus.ResultConsumer(0), bus.Options{Concurrency: 10}, func(_ context.Context, d bus.Delivery) error {
			if n := leaseOf(t, d); n > 10 {
				next.add(n)
			}
			return nil
		})
	})
	next.wait(t)

	// In again, and this time there is nobody to wait for but the handler.
	set.Add(bus.ResultConsumer(0))
	again, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := set.Remove(again, bus.ResultConsumer(0)); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("removed while messages of before are in the handler: %v", err)
	}
	removed := make(chan error, 1)
	go func() { removed <- set.Remove(t.Context(), bus.ResultConsumer(0)) }()
	open()
	eventually(t, "partition 1 goes on", func() bool { n, _ := c.handled(101, 105); return n == 5 })
	if err := await(t, removed, "the removal"); err != nil {
		t.Error(err)
	}
	for _, consumer := range []string{"WEIR_RESULTS/result-0", "WEIR_RESULTS/result-1"} {
		eventually(t, consumer+" is empty", func() bool { return lag(t, b, consumer) == 0 })
	}
	if _, most := c.handled(1, 105); most != 1 {
		t.Errorf("a message was handled %d times", most)
	}
}

func TestSetIsUsedByOneAtATime(t *testing.T) {
	t.Parallel()
	b := start2(t, 1)
	set := bus.NewConsumerSet(bus.ResultConsumer(0))
	c := newCollector(t)
	close(c.gate)
	for round := range uint64(2) { // one after the other
		stop := background(t, func(ctx context.Context) error {
			return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 20}, c.handle)
		})
		publish(t, b, resultOf(0), round+1, round+1)
		await(t, c.entered, "a batch")
		if err := b.ConsumeBatch(t.Context(), set, bus.BatchOptions{Max: 1}, c.handle); crawl.KindOf(err) != crawl.Internal {
			t.Errorf("used twice: %v", err)
		}
		stop()
	}
	if err := set.Remove(t.Context(), bus.ResultConsumer(0)); err != nil {
		t.Errorf("nobody uses the set: %v", err)
	}
}

// However the ends of a removal and of the session meet, nobody waits for ever and
// nothing is lost.
func TestRemoveWhileTheSessionEnds(t *testing.T) {
	t.Parallel()
	b := start2(t, 8)
	got := newSeen(8 * 50)
	for p := range uint32(8) {
		publish(t, b, resultOf(p), uint64(p)*50+1, uint64(p)*50+50)
	}
	for round := range 20 {
		set := bus.NewConsumerSet()
		for p := range uint32(8) {
			set.Add(bus.ResultConsumer(p))
		}
		stop := background(t, func(ctx context.Context) error {
			return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 7}, func(_ context.Context, ds []bus.Delivery) error {
				for _, d := range ds {
					got.add(leaseOf(t, d))
				}
				return nil
			})
		})
		var wg sync.WaitGroup
		for p := range uint32(8) {
			wg.Go(func() {
				if err := set.Remove(t.Context(), bus.ResultConsumer(p)); err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("round %d: %v", round, err)
				}
				if round%2 == 0 {
					set.Add(bus.ResultConsumer(p))
				}
			})
		}
		stop()
		wg.Wait()
	}
	background(t, func(ctx context.Context) error {
		set := bus.NewConsumerSet()
		for p := range uint32(8) {
			set.Add(bus.ResultConsumer(p))
		}
		return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 100}, func(_ context.Context, ds []bus.Delivery) error {
			for _, d := range ds {
				got.add(leaseOf(t, d))
			}
			return nil
		})
	})
	got.wait(t)
}
