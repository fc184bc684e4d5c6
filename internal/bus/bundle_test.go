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

// results of as many visits from one on, of partitions in turn.
func results(from, to uint64, partitions uint32) []bus.Message {
	var out []bus.Message
	for n := from; n <= to; n++ {
		r := &crawlv1.Result{Ref: ref(n)}
		r.Ref.Partition = uint32(n) % partitions
		out = append(out, bus.Result(r))
	}
	return out
}

// together publishes pages or records at the same time, each by somebody of its own.
func together(t *testing.T, b *bus.Bus, msg func(uint64) bus.Message, from, to uint64) {
	t.Helper()
	var wg sync.WaitGroup
	for n := from; n <= to; n++ {
		wg.Go(func() {
			if err := b.PublishBundled(t.Context(), msg(n)); err != nil {
				t.Errorf("publish %d: %v", n, err)
			}
		})
	}
	wg.Wait()
}

// TestBundlesArrive: every result of every partition, once, in order, its lease in flight
// until it is acked, whether it came alone or with others.
func TestBundlesArrive(t *testing.T) {
	t.Parallel()
	b := start2(t, 3)
	if err := b.PublishBundles(t.Context(), results(1, 500, 3)...); err != nil {
		t.Fatal(err)
	}
	if err := b.PublishAll(t.Context(), results(501, 502, 3)...); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, b, bus.StreamResults); n != 11 { // three bundles of each partition, and two alone
		t.Errorf("%d messages", n)
	}
	leases, err := b.InFlight(t.Context())
	if err != nil || len(leases) != 502 {
		t.Fatalf("in flight: %d of 502, %v", len(leases), err)
	}
	got := newSeen(502)
	last := map[uint32]uint64{}
	set := bus.NewConsumerSet(bus.ResultConsumer(0), bus.ResultConsumer(1), bus.ResultConsumer(2))
	stop := background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 64}, func(_ context.Context, ds []bus.Delivery) error {
			if len(ds) > 64 {
				t.Errorf("a batch of %d", len(ds))
			}
			for _, d := range ds {
				n := leaseOf(t, d)
				if p := uint32(n % 3); n < last[p] {
					t.Errorf("partition %d: %d after %d", p, n, last[p])
				}
				last[uint32(n%3)] = n
				got.add(n)
			}
			return nil
		})
	})
	got.wait(t)
	eventually(t, "all are acked", func() bool { return stored(t, b, bus.StreamResults) == 0 })
	stop()
	if got.total() != 502 {
		t.Errorf("%d deliveries of 502 results", got.total())
	}
	if leases, err := b.InFlight(t.Context()); err != nil || len(leases) != 0 {
		t.Errorf("in flight after all: %v, %v", leases, err)
	}
}

// TestPublishBundled: what many publish at the same time goes as few messages, each of
// which is handled, and a single one goes as itself.
func TestPublishBundled(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.BundleAge = time.Second // all have come by then
	_, b := start(t, cfg)
	together(t, b, page, 1, 200)
	if n := stored(t, b, bus.StreamPages); n > 50 {
		t.Errorf("200 pages are %d messages", n)
	}
	together(t, b, page, 201, 201)
	got := newSeen(201)
	var running, most atomic.Int64
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			got.add(leaseOf(t, d))
			return nil
		})
	})
	got.wait(t)
	eventually(t, "all are acked", func() bool { return stored(t, b, bus.StreamPages) == 0 })
	if got.total() != 201 {
		t.Errorf("%d deliveries of 201 pages", got.total())
	}
}

// TestPublishAlone: without an age nothing is bundled.
func TestPublishAlone(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.BundleAge = 0
	_, b := start(t, cfg)
	together(t, b, page, 1, 20)
	if n := stored(t, b, bus.StreamPages); n != 20 {
		t.Errorf("20 pages are %d messages", n)
	}
}

// TestGatherersLeave: whose context ends gets its error; the others' messages arrive.
func TestGatherersLeave(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.BundleAge = time.Second
	s, b := start(t, cfg)
	s.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- b.PublishBundled(ctx, page(1)) }()
	others := make(chan struct{})
	go func() {
		defer close(others)
		together(t, b, page, 2, 9)
	}()
	cancel()
	if err := await(t, first, "the one who leaves"); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("got %v", err)
	}
	s.Restart()
	await(t, others, "the others")
}

// TestBadMessageInABundle: of what is published at the same time, the one that cannot be
// fails alone.
func TestBadMessageInABundle(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	bad := page(10)
	bad.Body = &crawlv1.Page{Ref: &crawlv1.TaskRef{Url: "no UTF-8: \xff"}}
	failed := make(chan error, 1)
	go func() { failed <- b.PublishBundled(t.Context(), bad) }()
	together(t, b, page, 1, 9)
	if err := await(t, failed, "the bad one"); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("got %v", err)
	}
	if leases, err := b.InFlight(t.Context()); err != nil || len(leases) != 9 {
		t.Errorf("in flight: %v, %v", leases, err)
	}
}

// TestPoisonInABundle: the message that cannot be handled becomes a dead letter, and the
// others are handled once.
func TestPoisonInABundle(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]func() error{
		"invalid": func() error { return crawl.Errorf(crawl.Invalid, "nonsense") },
		"bug":     func() error { return errors.New("bug") },
		"panic":   func() error { panic("bug") },
	} {
		handle := func(t *testing.T, got *seen, ds ...bus.Delivery) error {
			for _, d := range ds {
				if leaseOf(t, d) == 4 {
					return poison()
				}
			}
			for _, d := range ds {
				got.add(leaseOf(t, d))
			}
			return nil
		}
		t.Run("alone/"+name, func(t *testing.T) {
			t.Parallel()
			_, b := start(t, bus.EmbeddedConfig())
			together(t, b, page, 1, 10)
			got := newSeen(9)
			background(t, func(ctx context.Context) error {
				return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
					return handle(t, got, d)
				})
			})
			checkPoison(t, b, got, bus.StreamPages)
		})
		t.Run("batch/"+name, func(t *testing.T) {
			t.Parallel()
			cfg := bus.EmbeddedConfig()
			cfg.Store.MaxDeliver = 3
			_, b := start(t, cfg)
			together(t, b, record, 1, 10)
			got := newSeen(9)
			background(t, func(ctx context.Context) error {
				return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 10, Age: time.Millisecond}, func(_ context.Context, ds []bus.Delivery) error {
					return handle(t, got, ds...)
				})
			})
			checkPoison(t, b, got, bus.StreamRecords)
		})
	}
}

func checkPoison(t *testing.T, b *bus.Bus, got *seen, stream string) {
	t.Helper()
	got.wait(t)
	eventually(t, "all are settled", func() bool { return stored(t, b, stream) == 0 })
	letters, err := b.ListDead(t.Context(), 0, 10)
	if err != nil || len(letters) != 1 || leaseOf(t, bus.Delivery{Data: letters[0].GetData()}) != 4 || got.total() != 9 {
		t.Errorf("%v: %d dead letters %v, %d of the 9 others", err, len(letters), letters, got.total())
	}
}
