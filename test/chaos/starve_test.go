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

// TestDiskFull fills the disk in the middle of a crawl, to the last byte or until
// the space that storage insists on is gone: the program says so and ends, and with
// more room it goes on.
func TestDiskFull(t *testing.T) {
	if !*long {
		t.Log("runs with -args -long: it mounts a tmpfs, which needs root")
		return
	}
	for _, tt := range []struct {
		name string
		flag string // limit of storage
		left int64  // bytes that the ballast leaves
	}{
		{"nearly full", "--storage.min-free=268435456", 200 << 20},
		{"full", "--storage.min-free=0", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := limit(t, 10*time.Minute)
			sub := newSubject(t)
			r, err := driver.NewRun(*bin, t.TempDir(), sub.job)
			if err != nil {
				t.Fatal(err)
			}
			if err := mkdir(r.DataDir()); err != nil {
				t.Fatal(err)
			}
			mount(t, "-t", "tmpfs", "-o", "size=1g", "tmpfs", r.DataDir())
			t.Cleanup(func() {
				if out, err := exec.Command("umount", "-l", r.DataDir()).CombinedOutput(); err != nil {
					t.Errorf("umount: %v: %s", err, out)
				}
			})
			p, err := r.Start(tt.flag)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Kill() })
			if !sub.reached(ctx, t, len(sub.pages)/5, p.Running) {
				t.Fatalf("the crawl ended early\n%s", p.Tail())
			}
			ballast := filepath.Join(r.DataDir(), "ballast")
			fill(t, ballast, tt.left)
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
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if p, err = r.Start("--resume", tt.flag); err != nil {
				t.Fatal(err)
			}
			res, err := r.Finish(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			sub.check(t, res, inFlight)
		})
	}
}

// fill writes a file that leaves so many bytes of its disk.
func fill(t *testing.T, file string, left int64) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for {
		var st syscall.Statfs_t
		if err := syscall.Statfs(file, &st); err != nil {
			t.Fatal(err)
		}
		free := int64(st.Bavail) * st.Bsize
		if free <= left {
			return
		}
		if _, err := f.Write(block[:min(free-left, int64(len(block)))]); err != nil {
			return // the crawl took the last bytes meanwhile
		}
	}
}

func mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("mount %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
