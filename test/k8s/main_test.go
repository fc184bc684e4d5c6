//go:build k8s

package k8s

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// weir is the installation that all tests share.
var weir = new(installation)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	in, err := install(ctx)
	code := 1
	if err == nil {
		*weir = *in
		code = m.Run()
	}
	if in != nil {
		down, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if gone := in.uninstall(down); gone != nil {
			fmt.Fprintln(os.Stderr, gone)
			code = 1
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// serveAndSubmit starts a site and a crawl of it.
func serveAndSubmit(ctx context.Context, t *testing.T, s shape) *subject {
	t.Helper()
	sub, err := weir.serve(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	sub.submit(ctx, t, "")
	return sub
}

// replicas sets the numbers of replicas of the four services.
func replicas(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for _, component := range services() {
		if err := weir.scale(ctx, component, n); err != nil {
			t.Fatalf("%v\n%v", err, weir.explain(t.Context()))
		}
	}
}

func services() []string { return []string{"fetcher", "parser", "storage", "scheduler"} }

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
			if c.RestartCount > 0 {
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
