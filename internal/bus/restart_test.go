package bus_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// The whole ring in small: pages become records, records results, while the
// server goes away again and again.
func TestNothingIsLostWhenTheServerGoesAway(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(*natstest.Server){
		"restart": func(s *natstest.Server) { s.Restart() },
		"kill":    func(s *natstest.Server) { s.Kill(); s.Restart() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := bus.EmbeddedConfig()
			cfg.Parse.AckWait, cfg.Store.AckWait, cfg.Result.AckWait = 3*time.Second, 3*time.Second, 3*time.Second
			cfg.Parse.MaxDeliver = -1 // every restart uses up a delivery
			s, b := start(t, cfg)
			const messages = 3000
			got := newSeen(messages)
			var passed atomic.Int32
			background(t, func(ctx context.Context) error {
				return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 8}, func(ctx context.Context, d bus.Delivery) error {
					passed.Add(1)
					return b.PublishAll(ctx, record(leaseOf(t, d)))
				})
			})
			background(t, func(ctx context.Context) error {
				return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 50, Age: 5 * time.Millisecond}, func(ctx context.Context, ds []bus.Delivery) error {
					var out []bus.Message
					for _, d := range ds {
						out = append(out, result(leaseOf(t, d)))
					}
					return b.PublishAll(ctx, out...)
				})
			})
			background(t, func(ctx context.Context) error {
				return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.ResultConsumer(0)), bus.BatchOptions{Max: 50}, func(_ context.Context, ds []bus.Delivery) error {
					for _, d := range ds {
						got.add(leaseOf(t, d))
					}
					return nil
				})
			})
			published := make(chan struct{})
			go func() {
				defer close(published)
				for i := uint64(0); i < messages; i += 100 {
					publish(t, b, page, i+1, i+100)
				}
			}()
			for i := range int32(3) {
				eventually(t, "pages move", func() bool { return passed.Load() > 300*(i+1) })
				down(s)
			}
			await(t, published, "the publisher")
			got.wait(t)
			t.Logf("%d messages, %d deliveries of results", messages, got.total())
		})
	}
}

func TestPublishInFlightWhenTheServerDies(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.PublishTimeout = time.Second
	cfg.DuplicateWindow = deadline // longer than the server is away, and then some
	s, b := start(t, cfg)
	for round := range uint64(3) {
		var pendings []bus.Pending
		for i := range uint64(200) {
			pendings = append(pendings, b.Publish(t.Context(), page(round*1000+i+1)))
		}
		s.Kill()
		lost := 0
		for _, p := range pendings {
			if err := p.Wait(t.Context()); err != nil { // none may hang
				lost++
			}
		}
		s.Restart()
		// Every one that was acked is there; publishing all again adds the rest.
		publish(t, b, page, round*1000+1, round*1000+200)
		if n := stored(t, b, bus.StreamPages); n != 200*(round+1) {
			t.Errorf("round %d: %d messages, want %d (%d had no ack)", round, n, 200*(round+1), lost)
		}
	}
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	publish(t, b, task, 1, 20)
	publish(t, b, page, 101, 2700) // more than one request
	publish(t, b, record, 3001, 3010)
	publish(t, b, result, 4001, 4010)
	got, err := b.InFlight(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]struct{}{}
	for _, r := range [][2]uint64{{1, 20}, {101, 2700}, {3001, 3010}, {4001, 4010}} {
		for i := r[0]; i <= r[1]; i++ {
			want[i] = struct{}{}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInFlightWithoutTopology(t *testing.T) {
	t.Parallel()
	b := natstest.Start(t).Connect(bus.EmbeddedConfig())
	if got, err := b.InFlight(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

// While messages run round the ring, InFlight must find every one at any moment:
// the result handler sends each straight back as a page.
func TestInFlightIsCompleteWhileMessagesMove(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	const messages = 300
	var moved atomic.Int64
	move := func(c bus.Consumer, next func(*crawlv1.TaskRef) bus.Message) {
		background(t, func(ctx context.Context) error {
			return b.Consume(ctx, c, bus.Options{Concurrency: 4}, func(ctx context.Context, d bus.Delivery) error {
				moved.Add(1)
				return b.PublishAll(ctx, next(ref(leaseOf(t, d))))
			})
		})
	}
	var round atomic.Uint64
	move(bus.FetchConsumer("http"), func(r *crawlv1.TaskRef) bus.Message { return bus.Page(&crawlv1.Page{Ref: r}) })
	move(bus.ParseConsumer(), func(r *crawlv1.TaskRef) bus.Message { return bus.Record(&crawlv1.Record{Ref: r}) })
	move(bus.StoreConsumer(), func(r *crawlv1.TaskRef) bus.Message { return bus.Result(&crawlv1.Result{Ref: r}) })
	// The last stage holds what it gets: going round would let a message slip past
	// the reader from the end to the beginning, which no real message does.
	hold := make(chan struct{})
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ResultConsumer(0), bus.Options{Concurrency: messages}, func(context.Context, bus.Delivery) error {
			<-hold
			return nil
		})
	})
	defer close(hold)
	published := make(chan struct{})
	go func() {
		defer close(published)
		for i := uint64(1); i <= messages; i++ {
			publish(t, b, task, i, i)
			round.Store(i)
		}
	}()
	for last := false; !last; {
		select {
		case <-published:
			last = true
		default:
		}
		sure := round.Load() // these were published before the look
		got, err := b.InFlight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := uint64(1); i <= sure; i++ {
			if _, ok := got[i]; !ok {
				t.Fatalf("lease %d of %d is missing", i, sure)
			}
		}
	}
	if moved.Load() == 0 {
		t.Error("nothing moved")
	}
}

func TestCrawls(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	other := s.Connect(bus.EmbeddedConfig())
	cache, err := other.WatchCrawls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	crawlOf := func(revision uint64, agent string) *crawlv1.Crawl {
		return &crawlv1.Crawl{Id: crawlID, Revision: revision, SeedHosts: []string{"a.example"},
			Spec: &crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: []string{"http://a.example/"}}, Name: agent}}
	}
	if _, err := cache.Get(t.Context(), crawlID); fmt.Sprint(err) != "crawl "+crawlID+" does not exist" {
		t.Errorf("unknown crawl: %v", err)
	}
	if err := b.PutCrawl(t.Context(), crawlOf(1, "one")); err != nil {
		t.Fatal(err)
	}
	// Without Run it asks the server.
	c, err := cache.Get(t.Context(), crawlID)
	if err != nil || c.Revision != 1 || c.Spec.GetName() != "one" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if again, _ := cache.Get(t.Context(), crawlID); again != c {
		t.Error("compiled twice")
	}
	if err := b.PutCrawl(t.Context(), crawlOf(2, "two")); err != nil {
		t.Fatal(err)
	}
	// The news are not here yet, but a message speaks of them.
	if c, err := cache.At(t.Context(), crawlID, 1); err != nil || c.Revision != 1 {
		t.Errorf("got %+v, %v; the cache is good enough", c, err)
	}
	if c, err := cache.At(t.Context(), crawlID, 2); err != nil || c.Revision != 2 {
		t.Errorf("got %+v, %v, want revision 2", c, err)
	}
	background(t, cache.Run)
	eventually(t, "the change arrives", func() bool {
		c, err := cache.Get(t.Context(), crawlID)
		return err == nil && c.Revision == 2
	})
	s.Kill()
	s.Restart()
	eventually(t, "a change after a restart can be made", func() bool {
		return b.PutCrawl(t.Context(), crawlOf(3, "three")) == nil
	})
	eventually(t, "and arrives", func() bool {
		c, err := cache.Get(t.Context(), crawlID)
		return err == nil && c.Revision == 3
	})
	if err := b.DeleteCrawl(t.Context(), crawlID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the crawl is gone", func() bool {
		_, err := cache.Get(t.Context(), crawlID)
		return err != nil
	})
}
