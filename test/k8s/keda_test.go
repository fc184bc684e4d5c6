//go:build k8s && keda

package k8s

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// TestKEDA needs KEDA in the cluster and an overlay with components/keda; README.md has
// one. Nobody scales here but KEDA.
func TestKEDA(t *testing.T) {
	t.Run("parser", func(t *testing.T) {
		ctx := driver.Limit(t, 15*time.Minute)
		bottleneck(ctx, t, "parser", "WEIR_PARSER_CONCURRENCY=1", `"20m"`)
		if got := watchKEDA(ctx, t, "parser", "parse", shape{pages: 700, bytes: 131072, latency: "0s"}, "", 1); got < 3 {
			t.Errorf("at most %d parsers were ready, want 3 or more", got)
		}
	})
	t.Run("render", func(t *testing.T) {
		ctx := driver.Limit(t, 15*time.Minute)
		if got := watchKEDA(ctx, t, "render", "fetch-render", shape{pages: 3, bytes: 2048, latency: "0s"}, "fetch: {render: always}\n", 0); got < 1 {
			t.Error("no browser was ready")
		}
	})
}

// watchKEDA crawls a site with a stage at its least, checks that nothing was lost or asked
// for again, waits until the stage is at its least again, and says the most replicas that
// were ready.
func watchKEDA(ctx context.Context, t *testing.T, component, consumer string, s shape, more string, least int) (most int) {
	t.Helper()
	if err := weir.settled(ctx, component, least); err != nil {
		t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
	}
	sub, err := weir.serve(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	watch, stop := context.WithCancel(ctx)
	seen := make(chan int, 1)
	go func() { seen <- weir.changes(watch, t, component, consumer) }()
	defer func() { stop(); most = <-seen }() // it logs, which it may not do after the test
	begin := time.Now()
	sub.submit(ctx, t, more)
	sum := sub.finish(ctx, t)
	end := time.Now()
	sub.check(ctx, t, sum, 0)
	if err := weir.settled(ctx, component, least); err != nil {
		t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
	}
	t.Logf("crawl over %.0f s after its begin, %d of %s again %.0f s later", end.Sub(begin).Seconds(), least, component, time.Since(end).Seconds())
	return most
}

// changes logs when the number of ready replicas changes, and the lag then, until the
// context ends, and says the most that there were.
func (in *installation) changes(ctx context.Context, t *testing.T, component, consumer string) int {
	begin, most, last := time.Now(), 0, ""
	for ctx.Err() == nil {
		wanted, err := kubectl(ctx, "", "-n", namespace, "get", workload(component), "-o", "jsonpath={.spec.replicas}")
		pods, failed := in.pods(ctx, component)
		lag, unknown := in.metric(ctx, "scheduler", fmt.Sprintf("weir_bus_lag_messages{consumer=%q}", consumer))
		if err == nil && failed == nil && unknown == nil {
			ready := 0
			for _, p := range pods {
				if p.ready() {
					ready++
				}
			}
			most = max(most, ready)
			if now := fmt.Sprintf("%s of %s wanted, %d ready", strings.TrimSpace(wanted), component, ready); now != last {
				t.Logf("%.0f s: %s, lag %.0f", time.Since(begin).Seconds(), now, lag)
				last = now
			}
		}
		driver.Pause(ctx, time.Second)
	}
	return most
}
