package chaos

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/test/driver"
)

const (
	// partitions of the cluster's frontier, the program's default.
	partitions = 64
	// replicaDelay is the delay of each host, long enough to see who breaks it.
	replicaDelay = time.Second
)

// TestReplicas takes three schedulers on one database away in turn, by SIGKILL and by
// SIGSTOP for longer than their ownership lasts. Their partitions go to the others and
// come back, no host is ever visited by two owners at once or too soon, and the crawl
// ends with every page.
func TestReplicas(t *testing.T) {
	beside(t)
	hosts, perHost, rounds := 24, 25, 1
	if *long {
		hosts, perHost, rounds = 60, 80, 3
	}
	ctx := driver.Limit(t, 20*time.Minute)
	sub := newSite(t, hosts, perHost, "-links", "10", "-cross-every", "3", "-latency", "10ms")
	sub.job.Spec += fmt.Sprintf("politeness: {delay: %v, concurrency_per_host: 1}\n", replicaDelay)
	r := newReplicas(ctx, t)
	id, err := r.Submit(ctx, sub.job)
	if err != nil {
		t.Fatal(err)
	}
	events := 2 * rounds
	for i := range events {
		sub.reached(ctx, t, len(sub.pages)*(i+1)/(events+2), func() bool { return true })
		victim := r.names[i%len(r.names)]
		r.Ask(r.names[(i+1)%len(r.names)])
		if i%2 == 0 {
			r.kill(ctx, t, victim)
		} else {
			r.freeze(ctx, t, victim)
		}
	}
	res, err := r.Finish(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, events*hosts)
	stats, err := sub.site.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	least := time.Hour
	for _, h := range stats.Hosts {
		least = min(least, h.All.MinGap)
		if h.All.MaxConcurrent != 1 || h.All.Overlaps != 0 || h.All.MinGap < replicaDelay {
			t.Errorf("%s: pace %+v; want one at a time and gaps of %v", h.Host, h.All, replicaDelay)
		}
	}
	t.Logf("least gap of %d hosts %v", len(stats.Hosts), least)
}

// replicas is a cluster with three schedulers.
type replicas struct {
	*driver.Cluster
	names []string
}

func newReplicas(ctx context.Context, t *testing.T) *replicas {
	t.Helper()
	database := pgtest.Start(t, pgtest.Options{}).Database(t)
	r := &replicas{
		Cluster: startCluster(t, driver.ClusterConfig{Schedulers: 3, Store: database, Fetchers: 2, Parsers: 2}),
		names:   []string{"scheduler-1", "scheduler-2", "scheduler-3"},
	}
	r.balanced(ctx, t)
	return r
}

// owned is the number of partitions that each of the schedulers says it owns.
func (r *replicas) owned(ctx context.Context, names []string) ([]int, error) {
	var out []int
	for _, name := range names {
		n, err := r.Metric(ctx, name, "weir_scheduler_partitions", "")
		if err != nil {
			return nil, err
		}
		out = append(out, int(n))
	}
	return out, nil
}

// balanced waits until each scheduler owns its share, and returns how long that took.
func (r *replicas) balanced(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	most := (partitions + len(r.names) - 1) / len(r.names)
	return r.owning(ctx, t, r.names, func(n int) bool { return n > 0 && n <= most })
}

// owning waits until some schedulers own all partitions, each a number that is fair.
func (r *replicas) owning(ctx context.Context, t *testing.T, names []string, fair func(n int) bool) time.Duration {
	t.Helper()
	start := time.Now()
	var last []int
	err := driver.Await(ctx, fmt.Sprintf("%v to own all partitions", names), func() (bool, error) {
		owned, err := r.owned(ctx, names)
		if err != nil {
			return false, err
		}
		last = owned
		sum := 0
		for _, n := range owned {
			sum += n
		}
		return sum == partitions && !slices.ContainsFunc(owned, func(n int) bool { return !fair(n) }), nil
	})
	if err != nil {
		t.Fatalf("%v; they own %v", err, last)
	}
	return time.Since(start)
}

// others are the schedulers but one.
func (r *replicas) others(name string) []string {
	return slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return n == name })
}

func anyNumber(int) bool { return true }

// kill ends a scheduler without warning and starts it again when the others have its
// partitions.
func (r *replicas) kill(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if err := r.Proc(name).Kill(); err != nil {
		t.Fatal(err)
	}
	moved := r.owning(ctx, t, r.others(name), anyNumber)
	if err := r.Start(name); err != nil {
		t.Fatal(err)
	}
	if err := r.Ready(ctx, name); err != nil {
		t.Fatal(err)
	}
	back := r.balanced(ctx, t)
	t.Logf("%s killed: its partitions moved in %.1f s; balanced %.1f s after its return", name, moved.Seconds(), back.Seconds())
}

// freeze stops a scheduler until the others have its partitions. When it goes on it
// must learn that they are not its own any more, and take its share again.
func (r *replicas) freeze(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	const restarts = "weir_scheduler_restarts_total"
	before, err := r.Metric(ctx, name, restarts, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Proc(name).Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	moved := r.owning(ctx, t, r.others(name), anyNumber)
	if err := r.Proc(name).Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	err = driver.Await(ctx, name+" to begin anew", func() (bool, error) {
		now, err := r.Metric(ctx, name, restarts, "")
		return now > before, err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Proc(name).Tail())
	}
	back := r.balanced(ctx, t)
	t.Logf("%s frozen: its partitions moved in %.1f s; balanced %.1f s after it went on", name, moved.Seconds(), back.Seconds())
}
