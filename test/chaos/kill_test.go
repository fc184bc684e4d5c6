package chaos

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// inFlight bounds the pages that one kill may cause to be fetched again: those that
// the hosts were answering, and as many that had been answered and not handed on.
const inFlight = 2 * 4 * hostConcurrency

// TestKillAllInOne kills the one process at random moments and resumes it each time.
func TestKillAllInOne(t *testing.T) {
	beside(t)
	kills := 3
	if *long {
		kills = 10
	}
	ctx := driver.Limit(t, 20*time.Minute)
	sub := newSubject(t)
	r, err := driver.NewRun(*bin, t.TempDir(), sub.job)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	for _, at := range sub.moments(t, kills) {
		if !sub.reached(ctx, t, at, p.Running) {
			t.Fatalf("the crawl ended before request %d\n%s", at, p.Tail())
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if p, err = r.Start("--resume"); err != nil {
			t.Fatal(err)
		}
	}
	res, err := r.Finish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, kills*inFlight)
}

// TestKillWhileStarting kills the process again and again before it is up, when its
// stores are being opened.
func TestKillWhileStarting(t *testing.T) {
	beside(t)
	ctx := driver.Limit(t, 10*time.Minute)
	sub := newSubject(t)
	r, err := driver.NewRun(*bin, t.TempDir(), sub.job)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	if !sub.reached(ctx, t, 100, p.Running) {
		t.Fatalf("the crawl ended early\n%s", p.Tail())
	}
	kills := 0
	for after := 10 * time.Millisecond; after < 500*time.Millisecond; after = after * 3 / 2 {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		kills++
		if p, err = r.Start("--resume"); err != nil {
			t.Fatal(err)
		}
		driver.Pause(ctx, after)
	}
	res, err := r.Finish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, kills*inFlight)
}

// TestKillServices kills each process of the cluster in turn, and NATS too, and
// starts it again.
func TestKillServices(t *testing.T) {
	beside(t)
	victims := []string{"fetcher-1", "parser-2", "storage", "scheduler", "nats"}
	if *long {
		victims = append(victims, "nats", "scheduler", "storage", "parser-1", "fetcher-2")
	}
	ctx := driver.Limit(t, 20*time.Minute)
	sub := newSubject(t)
	c := newCluster(t, 2, 2)
	id, err := c.Submit(ctx, sub.job)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range sub.moments(t, len(victims)) {
		victim := victims[i]
		sub.reached(ctx, t, at, func() bool { return true })
		if err := c.Proc(victim).Kill(); err != nil {
			t.Fatal(err)
		}
		driver.Pause(ctx, time.Duration(i%3)*500*time.Millisecond)
		if err := c.Start(victim); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(ctx, victim); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.Names() {
			if !c.Proc(name).Running() {
				t.Fatalf("%s ended when %s was killed\n%s", name, victim, c.Proc(name).Tail())
			}
		}
		t.Logf("killed %s at request %d", victim, at)
	}
	res, err := c.Finish(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, len(victims)*inFlight)
}

// newCluster starts a cluster with one scheduler.
func newCluster(t *testing.T, fetchers, parsers int) *driver.Cluster {
	t.Helper()
	return startCluster(t, driver.ClusterConfig{Fetchers: fetchers, Parsers: parsers})
}

// startCluster starts a cluster that is stopped when the test ends, each process
// within its time.
func startCluster(t *testing.T, cfg driver.ClusterConfig) *driver.Cluster {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cluster")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := driver.StartCluster(t.Context(), *bin, dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
