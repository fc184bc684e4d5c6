//go:build k8s

package k8s

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
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
