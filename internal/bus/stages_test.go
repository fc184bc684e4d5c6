package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
)

// TestStages: what waits, what is in hand, what was given up, by stage and not by
// partition.
func TestStages(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	if err := b.EnsureTopology(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	publish(t, b, task, 1, 2)
	publish(t, b, page, 1, 5)
	publish(t, b, record, 1, 3)
	publish(t, b, result, 1, 4)

	// A storage that finds one of three records bad, and keeps the others in hand.
	bad, busy := make(chan struct{}), make(chan struct{}, 2)
	stop := background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.StoreConsumer(), bus.Options{Concurrency: 3, SoftStop: time.Millisecond}, func(ctx context.Context, d bus.Delivery) error {
			if leaseOf(t, d) == 1 {
				defer close(bad)
				return crawl.Errorf(crawl.Invalid, "not a record")
			}
			busy <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
	})
	defer stop()
	<-bad
	<-busy
	<-busy
	want := []bus.Stage{
		{Name: "fetch-http", Stream: "WEIR_TASKS", Consumers: 1, Waiting: 2},
		{Name: "fetch-render", Stream: "WEIR_TASKS", Consumers: 1},
		{Name: "parse", Stream: "WEIR_PAGES", Consumers: 1, Waiting: 5},
		{Name: "store", Stream: "WEIR_RECORDS", Consumers: 1, Working: 2, Delivered: 3, Dead: 1},
		{Name: "result", Stream: "WEIR_RESULTS", Consumers: 3, Waiting: 4},
		{Name: "links", Stream: "WEIR_RESULTS", Consumers: 3},
		{Name: "dead", Stream: "WEIR_DEAD", Consumers: 1, Waiting: 1},
	}
	var queues []bus.Queue
	// The server counts a moment after it stores, and the stream is asked before its consumers.
	settles(t, "two records are in hand and one is given up", func() string {
		var stages []bus.Stage
		var err error
		if stages, queues, err = b.Stages(t.Context()); err != nil {
			t.Fatal(err)
		}
		switch {
		case queues[2].Messages != 2:
			return "the bad record is in its stream"
		case stages[3].Pulls == 0:
			return "a storage runs, and no pull is open"
		}
		return cmp.Diff(want, stages, cmpopts.IgnoreFields(bus.Stage{}, "Pulls", "MaxWorking"))
	})
	for i, messages := range []uint64{2, 5, 2, 4, 1} {
		q := queues[i]
		if q.Messages != messages || q.Bytes == 0 || q.MaxBytes == 0 || q.Published < messages || time.Since(q.Oldest) > deadline {
			t.Errorf("queue %+v, want %d messages", q, messages)
		}
	}
}
