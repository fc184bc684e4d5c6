package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

func mkdir(dir string) error { return os.MkdirAll(dir, 0o755) }

// mostMemory is far above what a process of the ring needs, and far below what the
// crawl would take if what waits were kept in memory.
const mostMemory = 512 << 20

// TestStorageAway leaves the ring without its storage for a while, frozen or dead.
// What waits is bounded, and the crawl goes on by itself afterwards.
func TestStorageAway(t *testing.T) {
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
			ctx := limit(t, 15*time.Minute)
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
			pause(ctx, away)
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

// TestDiskFull fills a small disk in the middle of a crawl: the program says so and
// ends, and with more room it goes on.
func TestDiskFull(t *testing.T) {
	if !*long {
		t.Log("runs with -args -long: it mounts a tmpfs, which needs root")
		return
	}
	ctx := limit(t, 10*time.Minute)
	sub := newSubject(t)
	dir := t.TempDir()
	r, err := driver.NewRun(*bin, dir, sub.job)
	if err != nil {
		t.Fatal(err)
	}
	if err := mkdir(r.DataDir()); err != nil {
		t.Fatal(err)
	}
	mount(t, "-t", "tmpfs", "-o", "size=48m", "tmpfs", r.DataDir())
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", r.DataDir()).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	p, err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	code, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.TrimSpace(p.Stderr())
	t.Logf("exit code %d: %s", code, said)
	if code != 1 || !strings.Contains(said, "space") && !strings.Contains(said, "disk") || !strings.Contains(said, "--resume") {
		t.Errorf("exit code %d, want 1 and a line about the disk that says how to go on", code)
	}
	if strings.Contains(said, "goroutine ") {
		t.Error("a stack trace instead of a message")
	}

	mount(t, "-o", "remount,size=2g", r.DataDir())
	if p, err = r.Start("--resume"); err != nil {
		t.Fatal(err)
	}
	res, err := r.Finish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, inFlight)
	if left, err := filepath.Glob(r.ItemsFile() + ".*"); err != nil || len(left) != 0 {
		t.Errorf("temporary files left beside the items: %v %v", left, err)
	}
}

func mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("mount %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
