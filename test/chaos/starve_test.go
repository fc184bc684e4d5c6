package chaos

import (
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// mostMemory is far above what a process of the ring needs, and far below what the
// crawl would take if what waits were kept in memory.
const mostMemory = 512 << 20

// TestStorageAway leaves the ring without its storage for a while, frozen or dead.
// What waits is bounded, and the crawl goes on by itself afterwards.
func TestStorageAway(t *testing.T) {
	beside(t)
	away := 3 * time.Second
	if *long {
		away = 30 * time.Second
	}
	for _, tt := range []struct {
		name       string
		take, give func(c *driver.Cluster) error
	}{
		{"frozen",
			func(c *driver.Cluster) error { return c.Proc("storage").Signal(syscall.SIGSTOP) },
			func(c *driver.Cluster) error { return c.Proc("storage").Signal(syscall.SIGCONT) }},
		{"dead",
			func(c *driver.Cluster) error { return c.Proc("storage").Kill() },
			func(c *driver.Cluster) error { return c.Start("storage") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := driver.Limit(t, 15*time.Minute)
			sub := newSubject(t)
			c := newCluster(t, 2, 2)
			id, err := c.Submit(ctx, sub.job)
			if err != nil {
				t.Fatal(err)
			}
			sub.reached(ctx, t, len(sub.pages)/5, func() bool { return true })
			if err := tt.take(c); err != nil {
				t.Fatal(err)
			}
			before, err := sub.site.Stats(ctx)
			if err != nil {
				t.Fatal(err)
			}
			driver.Pause(ctx, away)
			during, err := sub.site.Stats(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.give(c); err != nil {
				t.Fatal(err)
			}
			res, err := c.Finish(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("storage away for %v at request %d; %d requests meanwhile", away, before.Total(), during.Total()-before.Total())
			// A frozen storage finds its own messages delivered again: no page is fetched for that.
			sub.check(t, res, inFlight)
			for _, name := range c.Names() {
				rss, err := c.Proc(name).PeakRSS()
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%-10s at most %d MiB", name, rss>>20)
				if rss > mostMemory {
					t.Errorf("%s held %d MiB, at most %d allowed", name, rss>>20, mostMemory>>20)
				}
			}
		})
	}
}
