package bus_test

import (
	"context"
	"testing"

	"github.com/weircrawl/weir/internal/bus"
)

// TestBell: a bell counts as one message that waits, however often it is rung, whoever
// comes takes it away, and no handler hears of it.
func TestBell(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	for range 3 {
		if err := b.Ring(t.Context(), "render"); err != nil {
			t.Fatal(err)
		}
	}
	if n := stored(t, b, bus.StreamTasks); n != 1 {
		t.Fatalf("%d messages wait, want the bell", n)
	}
	eventually(t, "the bell waits in its pool", func() bool { return lag(t, b, "WEIR_TASKS/fetch-render") == 1 })
	if n := lag(t, b, "WEIR_TASKS/fetch-http"); n != 0 {
		t.Errorf("%d messages wait in the other pool", n)
	}
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.FetchConsumer("render"), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			t.Errorf("a handler got %s", d.Subject)
			return nil
		})
	})
	eventually(t, "the bell is taken", func() bool { return lag(t, b, "WEIR_TASKS/fetch-render") == 0 })
}
