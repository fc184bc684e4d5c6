//go:build k8s

package k8s

import (
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// TestReady wants everything up within two minutes of kubectl apply.
func TestReady(t *testing.T) {
	t.Logf("all pods ready %.1f s after kubectl apply -k", weir.started.Seconds())
	if weir.started > 2*time.Minute {
		t.Errorf("it took %v until all pods were ready", weir.started)
	}
	pods, err := weir.pods(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		for _, c := range p.Status.Containers {
			// Without what it keeps its data in a storage ends, and is started again.
			if t.Logf("%s: %d restarts", p.Metadata.Name, c.RestartCount); c.RestartCount > 2 {
				t.Errorf("%s was restarted %d times", p.Metadata.Name, c.RestartCount)
			}
		}
	}
}

// TestCrawl crawls 5,000 pages through the Services, from a pod of another namespace.
func TestCrawl(t *testing.T) {
	ctx := driver.Limit(t, 10*time.Minute)
	sub := serveAndSubmit(ctx, t, shape{pages: 625, bytes: 8192, latency: "5ms"})
	sub.check(ctx, t, sub.finish(ctx, t), 0)
}
