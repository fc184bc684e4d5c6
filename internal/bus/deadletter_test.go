package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	type letter struct {
		Stream, Subject, Reason string
		Lease                   uint64
	}
	_, b := start(t, bus.EmbeddedConfig())
	letters := make(chan letter, 10)
	var tries atomic.Int32
	background(t, func(ctx context.Context) error {
		return b.DeadLetters(ctx, func(_ context.Context, dl *crawlv1.DeadLetter) error {
			if tries.Add(1) == 1 {
				return crawl.Errorf(crawl.Unavailable, "the frontier is down")
			}
			letters <- letter{dl.GetStream(), dl.GetSubject(), dl.GetReason(), leaseOf(t, bus.Delivery{Data: dl.GetData()})}
			return nil
		})
	})
	var handled sync.Map
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
			handled.Store(fmt.Sprintf("%d/%d", leaseOf(t, d), d.Number), true)
			switch leaseOf(t, d) {
			case 1:
				return crawl.Errorf(crawl.Invalid, "nonsense")
			case 2:
				return errors.New("bug")
			}
			return nil
		})
	})
	publish(t, b, page, 1, 3)
	got := map[uint64]letter{}
	for range 2 {
		l := await(t, letters, "a dead letter")
		got[l.Lease] = l
	}
	want := map[uint64]letter{
		1: {"WEIR_PAGES", "weir.page." + crawlID, "nonsense", 1},
		2: {"WEIR_PAGES", "weir.page." + crawlID, "not handled after 3 deliveries to parse: bug", 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range []string{"WEIR_PAGES/parse", "WEIR_DEAD/dead"} {
		eventually(t, c+" is empty", func() bool { return lag(t, b, c) == 0 })
	}
	// A message leaves its stream a moment after its consumer is done with it.
	eventually(t, "dead letters are gone from their stream", func() bool {
		leases, err := b.InFlight(t.Context())
		return err == nil && len(leases) == 0
	})
	all := map[string]bool{}
	handled.Range(func(k, _ any) bool { all[k.(string)] = true; return true })
	if diff := cmp.Diff(map[string]bool{"1/1": true, "2/1": true, "2/2": true, "2/3": true, "3/1": true}, all); diff != "" {
		t.Error(diff)
	}
}

// raw speaks to the server past the bus.
func raw(tb testing.TB, s *natstest.Server) jetstream.JetStream {
	tb.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

// useUp has the server deliver all that is there for the parser until it gives up, as when
// each delivery kills the process.
func useUp(tb testing.TB, s *natstest.Server) {
	tb.Helper()
	js := raw(tb, s)
	stream, err := js.Stream(tb.Context(), "WEIR_PAGES")
	if err != nil {
		tb.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	c, err := js.Consumer(tb.Context(), "WEIR_PAGES", "parse")
	if err != nil {
		tb.Fatal(err)
	}
	eventually(tb, "the deliveries are used up", func() bool {
		batch, err := c.FetchNoWait(10)
		if err != nil {
			tb.Fatal(err)
		}
		for m := range batch.Messages() {
			if err := m.Nak(); err != nil {
				tb.Error(err)
			}
		}
		info, err := c.Info(tb.Context())
		// The server counts what waits a moment after it stores.
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0 && info.Delivered.Stream == last
	})
}

// A stop takes no try away: only failures give a message up.
func TestGivenBackAtStopsIsNotGivenUp(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	publish(t, b, page, 1, 1)
	for range 5 { // more than MaxDeliver
		entered := make(chan struct{}, 1)
		stop := background(t, func(ctx context.Context) error {
			return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1, SoftStop: time.Millisecond}, func(ctx context.Context, _ bus.Delivery) error {
				entered <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			})
		})
		await(t, entered, "the handler")
		stop()
	}
	if n := stored(t, b, bus.StreamDead); n != 0 {
		t.Fatalf("%d dead letters after stops", n)
	}
	numbers := make(chan uint64, 10)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			numbers <- d.Number
			return errors.New("bug")
		})
	})
	if n := await(t, numbers, "the handler"); n != 6 {
		t.Errorf("delivery %d, want 6", n)
	}
	eventually(t, "the failure is the last", func() bool {
		return lag(t, b, "WEIR_DEAD/dead") == 1 && lag(t, b, "WEIR_PAGES/parse") == 0
	})
	if len(numbers) != 0 {
		t.Error("delivered again")
	}
}

// Several processes may take dead letters, also what the server gave up.
func TestDeadLettersInSeveralProcesses(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	publish(t, b, page, 1, 5)
	useUp(t, s)
	got := newSeen(5)
	for range 3 {
		other := s.Connect(bus.EmbeddedConfig())
		background(t, func(ctx context.Context) error {
			return other.DeadLetters(ctx, func(_ context.Context, dl *crawlv1.DeadLetter) error {
				if want := "not handled after 12 deliveries to parse"; dl.GetReason() != want {
					t.Errorf("reason %q, want %q", dl.GetReason(), want)
				}
				got.add(leaseOf(t, bus.Delivery{Data: dl.GetData()}))
				return nil
			})
		})
	}
	got.wait(t)
	eventually(t, "all are settled", func() bool { return lag(t, b, "WEIR_DEAD/dead") == 0 })
	if n := got.total(); n != 5 {
		t.Errorf("%d letters handled, want 5", n)
	}
	if leases, err := b.InFlight(t.Context()); err != nil || len(leases) != 0 {
		t.Errorf("in flight %v, %v", leases, err)
	}
}

func TestSweepFindsWhatNoAdvisoryCameFor(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	fence(t, b, 0)
	publish(t, b, page, 1, 3)
	useUp(t, s)
	publish(t, b, page, 4, 6) // wait for their first delivery
	publish(t, b, task, 7, 9)
	dead, err := raw(t, s).Stream(t.Context(), "WEIR_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	round := bus.Sweeper(b)
	for i, want := range []int{0, 3, 3} { // what is seen twice moves
		if err := round(t.Context()); err != nil {
			t.Fatal(err)
		}
		letters, err := b.ListDead(t.Context(), 0, 100)
		if err != nil || len(letters) != want {
			t.Errorf("round %d: %d letters, %v; want %d", i, len(letters), err, want)
		}
	}
	leases, err := b.InFlight(t.Context())
	if want := map[uint64]struct{}{4: {}, 5: {}, 6: {}, 7: {}, 8: {}, 9: {}}; err != nil || !cmp.Equal(want, leases) {
		t.Errorf("in flight %v, %v; want %v", leases, err, want)
	}
}

func TestListAndDeleteDead(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	publish(t, b, page, 101, 102)
	useUp(t, s)
	eventually(t, "two advisories, which are no letters", func() bool { return stored(t, b, bus.StreamDead) == 2 })
	publish(t, b, page, 1, 30)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(context.Context, bus.Delivery) error {
			return crawl.Errorf(crawl.Invalid, "nonsense")
		})
	})
	list := func(after uint64, n int) (leases, places []uint64) {
		t.Helper()
		letters, err := b.ListDead(t.Context(), after, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range letters {
			leases = append(leases, leaseOf(t, bus.Delivery{Data: l.GetData()}))
			places = append(places, l.Sequence)
		}
		return leases, places
	}
	eventually(t, "thirty letters", func() bool { l, _ := list(0, 100); return len(l) == 30 })
	// In pages, each message once.
	pages := map[uint64]bool{}
	after, requests := uint64(0), 0
	for {
		leases, places := list(after, 12)
		if len(leases) == 0 {
			break
		}
		requests++
		for _, l := range leases {
			pages[l] = true
		}
		after = places[len(places)-1]
	}
	if len(pages) != 30 || requests != 3 {
		t.Errorf("%d letters in %d pages, want 30 in 3", len(pages), requests)
	}
	_, places := list(0, 1)
	if err := b.DeleteDead(t.Context(), places[0]); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]uint64{"deleted": places[0], "an advisory": 1, "above all": 1000} {
		if err := b.DeleteDead(t.Context(), place); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if leases, _ := list(0, 100); len(leases) != 29 {
		t.Errorf("%d letters left, want 29", len(leases))
	}
}
