package bus_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func heldPages(tb testing.TB, b *bus.Bus) map[string]uint64 {
	tb.Helper()
	held, err := b.HeldPages(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return held
}

// TestHeldPages: pages that are put aside come to nobody, are in flight all the same,
// and come when they are released, also within the duplicate window and again.
func TestHeldPages(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	for round := range 3 {
		all := newSeen(20)
		if round == 0 {
			publish(t, b, page, 1, 20)
		} else if n, err := b.ReleasePages(t.Context(), crawlID, 1000); err != nil || n != 20 {
			t.Fatalf("round %d: released %d, %v; want 20", round, n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 4}, func(ctx context.Context, d bus.Delivery) error {
				n := leaseOf(t, d)
				if d.Failures != round {
					t.Errorf("page %d: %d failures in round %d", n, d.Failures, round)
				}
				if d.Number != 1 {
					t.Errorf("page %d: delivery %d; to put aside uses none up", n, d.Number)
				}
				defer all.add(n)
				if want := fmt.Sprintf("place-%d-%d", n, round-1); round > 0 && d.Trace != want {
					t.Errorf("page %d: trace %q, put aside with %q", n, d.Trace, want)
				}
				return b.HoldPage(ctx, &crawlv1.Page{Ref: ref(n)}, d.Failures+1, fmt.Sprintf("place-%d-%d", n, round))
			})
		}()
		all.wait(t)
		eventually(t, "nothing waits for parsers", func() bool { return lag(t, b, "WEIR_PAGES/parse") == 0 })
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]uint64{crawlID: 20}, heldPages(t, b)); diff != "" {
			t.Errorf("round %d: %s", round, diff)
		}
		leases, err := b.InFlight(t.Context())
		if err != nil || len(leases) != 20 {
			t.Errorf("round %d: %d leases in flight, %v; want 20", round, len(leases), err)
		}
	}
	if n, err := b.ReleasePages(t.Context(), crawlID, 5); err != nil || n != 5 {
		t.Errorf("released %d, %v; want 5", n, err)
	}
	if err := b.PurgeCrawl(t.Context(), crawlID); err != nil {
		t.Fatal(err)
	}
	if held := heldPages(t, b); len(held) != 0 {
		t.Errorf("held after the purge: %v", held)
	}
	if n, err := b.ReleasePages(t.Context(), crawlID, 5); err != nil || n != 0 {
		t.Errorf("released %d of nothing, %v", n, err)
	}
	if got := stored(t, b, bus.StreamPages); got != 5 {
		t.Errorf("%d pages for the parsers, want the 5 that came back", got)
	}
	eventually(t, "they wait for parsers", func() bool { return lag(t, b, "WEIR_PAGES/parse") == 5 })
}

// TestHeldPagesLeaveRoom: what is put aside never takes the room of other crawls' pages.
func TestHeldPagesLeaveRoom(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.Pages.Bytes = 64 << 10
	_, b := start(t, cfg)
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = b.HoldPage(t.Context(), &crawlv1.Page{Ref: ref(uint64(n + 1)), Body: &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: make([]byte, 1000)}}}, 0, "")
	}
	if crawl.KindOf(err) != crawl.Unavailable || n < 10 || n > 50 {
		t.Errorf("after %d pages: %v; want Unavailable when the stream is half full", n, err)
	}
	publish(t, b, page, 2000, 2010)
}
