//go:build k8s

package k8s

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// bottleneck makes one stage slow, with one replica, and gives it back as it was when the test ends.
func bottleneck(ctx context.Context, t *testing.T, component string, env, limit string) {
	t.Helper()
	set := func(ctx context.Context, env, limit string) error {
		if _, err := kubectl(ctx, "", "-n", namespace, "set", "env", workload(component), env); err != nil {
			return err
		}
		patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"weir","resources":{"limits":{"cpu":%s}}}]}}}}`, limit)
		if _, err := kubectl(ctx, "", "-n", namespace, "patch", workload(component), "-p", patch); err != nil {
			return err
		}
		if _, err := kubectl(ctx, "", "-n", namespace, "rollout", "status", workload(component), "--timeout=3m"); err != nil {
			return err
		}
		return weir.settled(ctx, component, 1)
	}
	if err := weir.scale(ctx, component, 1); err != nil { // the tests before leave two
		t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
	}
	if err := set(ctx, env, limit); err != nil {
		t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		name, _, _ := strings.Cut(env, "=")
		if err := weir.scale(ctx, component, 1); err != nil {
			t.Error(err)
		}
		if err := set(ctx, name+"-", "null"); err != nil {
			t.Error(err)
		}
	})
}

// TestScale scales a stage that is the bottleneck from 1 to 3 and back: the fetchers with
// one exchange at a time each on a slow site, the parsers with a fiftieth of a processor.
func TestScale(t *testing.T) {
	for _, tc := range []struct {
		component  string
		env, limit string
		shape      shape
	}{
		{"fetcher", "WEIR_FETCHER_CONCURRENCY=1", "null", shape{pages: 2000, bytes: 4096, latency: "100ms"}},
		{"parser", "WEIR_PARSER_CONCURRENCY=1", `"20m"`, shape{pages: 2000, bytes: 131072, latency: "0s"}},
	} {
		t.Run(tc.component, func(t *testing.T) {
			ctx := driver.Limit(t, 15*time.Minute)
			bottleneck(ctx, t, tc.component, tc.env, tc.limit)
			sub := serveAndSubmit(ctx, t, tc.shape)
			sub.reached(ctx, t, 100)
			one := done(ctx, t, sub, 30*time.Second)
			if err := weir.scale(ctx, tc.component, 3); err != nil {
				t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
			}
			driver.Pause(ctx, 5*time.Second) // what waited for the one is over
			three := done(ctx, t, sub, 30*time.Second)
			if err := weir.scale(ctx, tc.component, 1); err != nil {
				t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
			}
			driver.Pause(ctx, 5*time.Second)
			again := done(ctx, t, sub, 30*time.Second)
			t.Logf("pages a second: %.1f with one %s, %.1f with three (%.2f times), %.1f with one again", one, tc.component, three, three/one, again)
			if three < 2*one || again > three/2 {
				t.Errorf("three %ss make no difference: %.1f, %.1f, %.1f pages a second", tc.component, one, three, again)
			}
			if _, err := sub.weir(ctx, "", "pause", sub.id); err != nil {
				t.Error(err)
			}
			t.Logf("crawl %s paused", sub.id)
		})
	}
}

// done is the number of URLs that become done in a second, over a time.
func done(ctx context.Context, t *testing.T, sub *subject, d time.Duration) float64 {
	t.Helper()
	begin, err := sub.summary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	driver.Pause(ctx, d)
	end, err := sub.summary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return float64(end.Ledger.Done-begin.Ledger.Done) / time.Since(at).Seconds()
}

// TestAutoscale has a HorizontalPodAutoscaler add parsers while there are pages for more
// than one, and take them away when the crawl is over. It needs the cluster's metrics API.
// A cluster looks every 15 seconds, at figures that are older still, and may need two
// minutes until there are three: the parsers are slow enough for the crawl to outlast that.
func TestAutoscale(t *testing.T) {
	ctx := driver.Limit(t, 15*time.Minute)
	bottleneck(ctx, t, "parser", "WEIR_PARSER_CONCURRENCY=1", `"20m"`)
	const scaler = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: e2e-parser, namespace: weir}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: weir-parser}
  minReplicas: 1
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0}
    scaleDown: {stabilizationWindowSeconds: 15}
`
	if _, err := kubectl(ctx, scaler, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := kubectl(ctx, "", "-n", namespace, "delete", "hpa", "e2e-parser"); err != nil {
			t.Error(err)
		}
	})
	sub := serveAndSubmit(ctx, t, shape{pages: 1000, bytes: 131072, latency: "0s"})
	begin := time.Now()
	up, stop := context.WithTimeout(ctx, 5*time.Minute)
	defer stop()
	if err := weir.settled(up, "parser", 3); err != nil {
		hpa, _ := kubectl(ctx, "", "-n", namespace, "describe", "hpa")
		t.Fatalf("%v\n%s", err, hpa)
	}
	grown := time.Since(begin)
	sub.running(ctx, t, "three parsers")
	sub.check(ctx, t, sub.finish(ctx, t), 0)
	end := time.Now()
	if err := weir.settled(ctx, "parser", 1); err != nil {
		t.Fatal(err)
	}
	t.Logf("three parsers ready %.0f s after the crawl began, one %.0f s after its end", grown.Seconds(), time.Since(end).Seconds())
}
