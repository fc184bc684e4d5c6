//go:build k8s

package k8s

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// inFlight bounds the pages that one kill may cause to be fetched again: those that the
// site was answering, and as many that had been answered and not handed on.
const inFlight = 2 * hosts * hostConcurrency

// long is a site that keeps the crawl going for minutes: 80 pages a second at most.
func long() shape { return shape{pages: 1300, bytes: 8192, latency: "400ms"} }

// TestRestart restarts each service in turn, as an upgrade does, during a crawl: nothing
// is lost, nothing is fetched twice, no attempt is burnt.
func TestRestart(t *testing.T) {
	ctx := driver.Limit(t, 20*time.Minute)
	replicas(ctx, t, 2)
	sub := serveAndSubmit(ctx, t, long())
	sub.reached(ctx, t, 300)
	for _, component := range services() {
		begin := time.Now()
		if _, err := kubectl(ctx, "", "-n", namespace, "rollout", "restart", workload(component)); err != nil {
			t.Fatal(err)
		}
		if _, err := kubectl(ctx, "", "-n", namespace, "rollout", "status", workload(component), "--timeout=5m"); err != nil {
			t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
		}
		if err := weir.settled(ctx, component, 2); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s restarted in %.1f s", component, time.Since(begin).Seconds())
		sub.running(ctx, t, "the restart of "+component)
	}
	sub.check(ctx, t, sub.finish(ctx, t), 0)
}

// TestKill takes one pod of each service away without warning during a crawl.
func TestKill(t *testing.T) {
	ctx := driver.Limit(t, 20*time.Minute)
	replicas(ctx, t, 2)
	sub := serveAndSubmit(ctx, t, long())
	sub.reached(ctx, t, 300)
	for _, component := range services() {
		begin := time.Now()
		weir.kill(ctx, t, component)
		if err := weir.settled(ctx, component, 2); err != nil {
			t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
		}
		t.Logf("a %s killed; two ready again after %.1f s", component, time.Since(begin).Seconds())
		sub.running(ctx, t, "the kill of a "+component)
	}
	sub.check(ctx, t, sub.finish(ctx, t), len(services())*inFlight)
}

// kill ends a pod: its process by SIGKILL, where WEIR_E2E_KILL says how, else the pod
// without a grace period, which leaves the process two seconds.
func (in *installation) kill(ctx context.Context, t *testing.T, component string) {
	t.Helper()
	pods, err := in.pods(ctx, component)
	if err != nil {
		t.Fatal(err)
	}
	victim := pods[0]
	if os.Getenv("WEIR_E2E_KILL") == "" {
		if _, err := kubectl(ctx, "", "-n", namespace, "delete", "pod", victim.Metadata.Name, "--grace-period=0", "--force"); err != nil {
			t.Fatal(err)
		}
		return
	}
	_, id, _ := strings.Cut(victim.Status.Containers[0].ContainerID, "://")
	if err := hook(ctx, "WEIR_E2E_KILL", id, victim.Spec.NodeName); err != nil {
		t.Fatal(err)
	}
	err = await(ctx, "the container's restart", func() (bool, error) {
		now, err := in.pods(ctx, component)
		if err != nil {
			return false, nil
		}
		for _, p := range now {
			if p.Metadata.Name == victim.Metadata.Name {
				return p.Status.Containers[0].RestartCount > victim.Status.Containers[0].RestartCount, nil
			}
		}
		return true, nil // the pod itself was replaced
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDrain drains the node that most of Weir is on. The budgets let one pod of a service
// go at a time, so that each service has one ready throughout; on a cluster with one node
// the next may go only when the node is back.
func TestDrain(t *testing.T) {
	ctx := driver.Limit(t, 20*time.Minute)
	replicas(ctx, t, 2)
	sub := serveAndSubmit(ctx, t, long())
	sub.reached(ctx, t, 300)
	node := weir.busiest(ctx, t)
	watch, stop := context.WithCancel(ctx)
	least := make(chan map[string]int, 1)
	go func() { least <- weir.leastReady(watch) }()
	var out strings.Builder
	drain := exec.CommandContext(ctx, "kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data",
		"--pod-selector=app.kubernetes.io/name=weir", "--timeout=45s")
	drain.Stdout, drain.Stderr = &out, &out
	held := drain.Run() != nil
	t.Cleanup(func() { _, _ = kubectl(context.Background(), "", "uncordon", node) }) // again, if the test ended early
	stop()
	ready := <-least
	budget := strings.Count(out.String(), "violate the pod's disruption budget")
	evicted := strings.Count(out.String(), "evicting pod "+namespace+"/") - budget
	t.Logf("drain of %s: held %v, refused %d times by budgets, least ready %v", node, held, budget, ready)
	if held && budget == 0 {
		t.Errorf("drain: evicted %d\n%.3000s", evicted, out.String())
	}
	for _, component := range services() {
		if ready[component] < 1 {
			t.Errorf("no %s was ready for a while", component)
		}
	}
	sub.running(ctx, t, "the drain")
	if _, err := kubectl(ctx, "", "uncordon", node); err != nil {
		t.Fatal(err)
	}
	for _, component := range services() {
		if err := weir.settled(ctx, component, 2); err != nil {
			t.Fatal(err)
		}
	}
	sub.check(ctx, t, sub.finish(ctx, t), 0)
}

// busiest is the node with the most of Weir's pods.
func (in *installation) busiest(ctx context.Context, t *testing.T) string {
	t.Helper()
	pods, err := in.pods(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, p := range pods {
		count[p.Spec.NodeName]++
	}
	var nodes []string
	for n := range count {
		nodes = append(nodes, n)
	}
	return slices.MaxFunc(nodes, func(a, b string) int { return count[a] - count[b] })
}

// leastReady watches the services until the context ends, and tells the least number of
// ready pods of each.
func (in *installation) leastReady(ctx context.Context) map[string]int {
	least := map[string]int{}
	for _, c := range services() {
		least[c] = 1 << 20
	}
	for ctx.Err() == nil {
		if pods, err := in.pods(ctx, ""); err == nil {
			now := map[string]int{}
			for _, p := range pods {
				if p.ready() {
					now[p.component()]++
				}
			}
			for c := range least {
				least[c] = min(least[c], now[c])
			}
		}
		driver.Pause(ctx, 200*time.Millisecond)
	}
	return least
}

// TestBrowser has a page shown by the pool of browsers, as the pods are: without
// privileges, on a root that cannot be written to.
func TestBrowser(t *testing.T) {
	ctx := driver.Limit(t, 10*time.Minute)
	sub, err := weir.serve(ctx, shape{pages: 3, bytes: 2048, latency: "0s"})
	if err != nil {
		t.Fatal(err)
	}
	sub.submit(ctx, t, "fetch: {render: always}\n")
	sub.check(ctx, t, sub.finish(ctx, t), 0)
	shown, err := weir.metric(ctx, "render", "weir_fetcher_browser_pages_total")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f of %d pages shown in a browser", shown, len(sub.pages))
	if fmt.Sprint(shown) != fmt.Sprint(float64(len(sub.pages))) {
		t.Errorf("%v pages were shown in a browser, want %d", shown, len(sub.pages))
	}
}
