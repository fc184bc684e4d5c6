package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/bus"
)

// TestTrace: a place in a trace arrives with its message, and with the time at which the
// stream got it; other messages have neither.
func TestTrace(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	const place = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	before := time.Now()
	traced := page(1)
	traced.Trace = place
	if err := b.PublishAll(t.Context(), traced, page(2)); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	got := make(chan bus.Delivery, 2)
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			got <- d
			return nil
		})
	})
	for range 2 {
		d := await(t, got, "a page")
		switch leaseOf(t, d) {
		case 1:
			if d.Trace != place || d.Stored.Before(before) || d.Stored.After(after) {
				t.Errorf("trace %q, stored at %s; published between %s and %s", d.Trace, d.Stored, before, after)
			}
		default:
			if d.Trace != "" || !d.Stored.IsZero() {
				t.Errorf("a message without a trace has %q and %s", d.Trace, d.Stored)
			}
		}
	}
}
