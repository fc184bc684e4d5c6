package bus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/weircrawl/weir/internal/bus"
)

// TestWatchStages: the lag of every consumer is there within one look, by its name
// without the partition, and gone when nobody looks any more.
func TestWatchStages(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	if err := b.EnsureTopology(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	publish(t, b, page, 1, 5)
	publish(t, b, result, 1, 4)
	reg := prometheus.NewRegistry()
	watcher, err := bus.Connect(t.Context(), bus.EmbeddedConfig(), bus.Deps{Name: "watch", Registry: reg, InProcess: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Close)
	stop := background(t, watcher.WatchStages)
	const want = `
		# HELP weir_bus_lag_messages Messages that wait for a consumer or are in its hands, over all replicas; every scheduler exports the same number. Growing: that stage is behind, add replicas of it. The consumer with the most lag is the bottleneck.
		# TYPE weir_bus_lag_messages gauge
		weir_bus_lag_messages{consumer="dead"} 0
		weir_bus_lag_messages{consumer="fetch-http"} 0
		weir_bus_lag_messages{consumer="fetch-render"} 0
		weir_bus_lag_messages{consumer="links"} 0
		weir_bus_lag_messages{consumer="parse"} 5
		weir_bus_lag_messages{consumer="result"} 4
		weir_bus_lag_messages{consumer="store"} 0
		# HELP weir_bus_stream_messages Messages that a stream holds.
		# TYPE weir_bus_stream_messages gauge
		weir_bus_stream_messages{stream="WEIR_DEAD"} 0
		weir_bus_stream_messages{stream="WEIR_PAGES"} 5
		weir_bus_stream_messages{stream="WEIR_RECORDS"} 0
		weir_bus_stream_messages{stream="WEIR_RESULTS"} 4
		weir_bus_stream_messages{stream="WEIR_TASKS"} 0
	`
	names := []string{"weir_bus_lag_messages", "weir_bus_stream_messages"}
	// The server counts a moment after it stores: perhaps it takes a second look.
	settles(t, "the numbers are there", func() string {
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
			return err.Error()
		}
		if n, err := testutil.GatherAndCount(reg, "weir_bus_dead_letters"); n != 4 || err != nil {
			return fmt.Sprintf("dead letters of %d streams, %v", n, err)
		}
		return ""
	})
	stop()
	if n, err := testutil.GatherAndCount(reg, names...); n != 0 || err != nil {
		t.Errorf("%d numbers are left when nobody looks: %v", n, err)
	}
}

// TestAlive: a session that runs is alive, and what it has in hand shows.
func TestAlive(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	stop := background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(context.Context, bus.Delivery) error {
			entered <- struct{}{}
			<-hold
			return nil
		})
	})
	publish(t, b, page, 1, 1)
	await(t, entered, "the handler")
	eventually(t, "what is in hand shows", func() bool { return b.State().InHand["parse"] == 1 })
	if err := b.Alive(); err != nil {
		t.Error(err)
	}
	// Between the two calls the loop may turn.
	eventually(t, "a loop that has hung for two minutes is told", func() bool {
		bus.Hang(b)
		err := b.Alive()
		return err != nil && strings.Contains(err.Error(), "has hung for 2m")
	})
	close(hold)
	stop()
	if err := b.Alive(); err != nil {
		t.Errorf("after the last session: %v", err)
	}
}
