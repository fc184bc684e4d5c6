package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/test/driver"
)

// mostStop is the longest that a process may take to stop while nothing is slow: far
// below the grace of docs/operations.md, and above what a busy machine does to it.
const mostStop = 20 * time.Second

// TestDrain stops each service of a cluster in turn with SIGTERM during a crawl, and
// starts it again, in another order every round. A stop is not a kill: no page is asked
// for twice, no attempt is used up, every process ends with 0, and the clients that
// follow the crawl go on.
func TestDrain(t *testing.T) {
	beside(t)
	rounds := 1
	if *long {
		rounds = 4
	}
	ctx := driver.Limit(t, 20*time.Minute)
	sub := newSubject(t)
	server := pgtest.Start(t, pgtest.Options{})
	c := startCluster(t, driver.ClusterConfig{
		Fetchers: 2, Parsers: 2, Schedulers: 2, Store: server.Database(t), Storages: 2, Catalogue: server.Database(t),
		Settings: []string{"--shutdown-delay", "100ms"},
	})
	id, err := c.Submit(ctx, sub.job)
	if err != nil {
		t.Fatal(err)
	}
	followers := follow(t, c, id)
	// Those that the followers ask come last, lest a follower that starts slowly finds nobody.
	victims := strings.Fields("fetcher-1 scheduler-2 parser-1 storage-2 fetcher-2 parser-2 scheduler-1 storage-1")
	pace := watchPace(ctx, t, sub)
	for i, at := range sub.evenly(rounds * len(victims)) {
		round, n := i/len(victims), i%len(victims)
		victim := victims[(n*(2*round+1)+round)%len(victims)] // an odd step meets all of them
		sub.reached(ctx, t, at, func() bool { return true })
		stop(ctx, t, c, victim)
		checkSteps(t, c.Proc(victim))
		if err := c.Start(victim); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(ctx, victim); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the site waited at most %v for a request while services were stopped", pace())
	res, err := c.Finish(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, 0)
	checkAttempts(ctx, t, &c.Client, id, len(sub.pages))
	for name, p := range followers {
		if code, err := p.Wait(ctx); err != nil || code != 0 {
			t.Errorf("weir %s ended with %d, %v\n%s", name, code, err, p.Tail())
		}
	}
	if items := strings.Count(followers["items"].Stdout(), "\n"); items != len(sub.pages) {
		t.Errorf("weir items -f wrote %d items, want %d", items, len(sub.pages))
	}
}

// TestDrainAllInOne interrupts the one process at random moments and goes on each time.
func TestDrainAllInOne(t *testing.T) {
	beside(t)
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
	stops := 3
	if *long {
		stops = 10
	}
	began := 0 // requests when the process was started
	for _, at := range sub.moments(t, stops) {
		// One that has not begun to work may not have heard of signals yet.
		at = max(at, began+1)
		if !sub.reached(ctx, t, at, p.Running) {
			t.Fatalf("the crawl ended before request %d\n%s", at, p.Tail())
		}
		const interrupted = 130
		if code, took := terminate(ctx, t, p); code != interrupted || took > mostStop {
			t.Errorf("ended with %d after %v, want %d within %v\n%s", code, took, interrupted, mostStop, p.Tail())
		}
		stats, err := sub.site.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		began = stats.Total()
		if p, err = r.Start("--resume"); err != nil {
			t.Fatal(err)
		}
	}
	res, err := r.Finish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, 0)
}

// evenly are n numbers of requests, spread over the crawl, with some left at its end.
func (s subject) evenly(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = len(s.pages) * (i + 1) / (n + 2)
	}
	return out
}

// terminate stops a process with SIGTERM and returns how it ended and how long it took.
func terminate(ctx context.Context, t *testing.T, p *driver.Proc) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return code, time.Since(began)
}

// stop stops a service of a cluster.
func stop(ctx context.Context, t *testing.T, c *driver.Cluster, name string) {
	t.Helper()
	code, took := terminate(ctx, t, c.Proc(name))
	t.Logf("%s stopped in %.2f s", name, took.Seconds())
	if code != 0 || took > mostStop {
		t.Errorf("%s ended with %d after %v, want 0 within %v\n%s", name, code, took, mostStop, c.Proc(name).Tail())
	}
}

// stopped is the last but one line of a process, with the steps of its stop in order.
var stopped = regexp.MustCompile(`msg=stopped .*unready=\S+ delay=(\S+) streams=\S+ .*bus=\S+ admin=`)

// checkSteps reads in a process's log how it stopped.
func checkSteps(t *testing.T, p *driver.Proc) {
	t.Helper()
	lines := stopped.FindAllStringSubmatch(p.Stderr(), -1)
	if len(lines) == 0 {
		t.Errorf("%s does not say that it stopped in order\n%s", p.Name, p.Tail())
		return
	}
	delay, err := time.ParseDuration(lines[len(lines)-1][1])
	if err != nil || delay < 100*time.Millisecond {
		t.Errorf("%s waited for %v, %v; want 100ms", p.Name, delay, err)
	}
}

// follow begins the clients that follow a crawl.
func follow(t *testing.T, c *driver.Cluster, id string) map[string]*driver.Proc {
	t.Helper()
	out := make(map[string]*driver.Proc)
	for name, args := range map[string][]string{
		"watch": {"watch", id}, "wait": {"wait", id}, "items": {"items", id, "-f"},
	} {
		p, err := c.BeginAs(name, args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Kill() })
		out[name] = p
	}
	return out
}

// watchPace looks at the site until the function that it returns is called, which says
// how long the longest time without a new request was.
func watchPace(ctx context.Context, t *testing.T, sub subject) func() time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var longest time.Duration
	wg.Go(func() {
		last, since := 0, time.Now()
		for ctx.Err() == nil {
			if stats, err := sub.site.Stats(ctx); err == nil && stats.Total() != last {
				if last > 0 {
					longest = max(longest, time.Since(since))
				}
				last, since = stats.Total(), time.Now()
			}
			driver.Pause(ctx, 20*time.Millisecond)
		}
	})
	return func() time.Duration {
		cancel()
		wg.Wait()
		return longest.Round(10 * time.Millisecond)
	}
}

// checkAttempts reads the log of a crawl: one attempt at each page, and that the first.
func checkAttempts(ctx context.Context, t *testing.T, c *driver.Client, id string, pages int) {
	t.Helper()
	out, err := c.Weir(ctx, "pages", id, "--json")
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	for line := range strings.Lines(out) {
		var p struct {
			URL     string `json:"url"`
			Attempt uint32 `json:"attempt"`
			Error   string `json:"error"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if strings.HasSuffix(p.URL, "/robots.txt") {
			continue
		}
		attempts++
		if p.Attempt > 1 || p.Error != "" {
			t.Errorf("a visit that a stop has cost: %s", fmt.Sprint(p))
		}
	}
	if attempts != pages {
		t.Errorf("%d attempts in the log, want %d", attempts, pages)
	}
}
