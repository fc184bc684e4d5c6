//go:build long

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

// TestDiskFull fills the disk in the middle of a crawl, to the last byte or until
// the space that storage insists on is gone: the program says so and ends, and with
// more room it goes on.
func TestDiskFull(t *testing.T) {
	for _, tt := range []struct {
		name string
		flag string // limit of storage
		left int64  // bytes that the ballast leaves
	}{
		{"nearly full", "--storage.min-free=268435456", 200 << 20},
		{"full", "--storage.min-free=0", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := driver.Limit(t, 10*time.Minute)
			sub := newSubject(t)
			r, err := driver.NewRun(*bin, t.TempDir(), sub.job)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(r.DataDir(), 0o755); err != nil {
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
