package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// exited runs weir in dir and returns its exit code and what it wrote.
func exited(ctx context.Context, t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, bin.Weir, args...)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), context.Cause(ctx), errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestMistakes: each mistake gets one line that says what to do, and its exit code.
func TestMistakes(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	const seed = "seeds: {urls: ['http://127.0.0.2:1/']}\n"
	for _, tt := range []struct {
		name  string
		spec  string // written to spec.yaml; the arguments then are crawl spec.yaml
		args  []string
		codes []int
		says  []string
	}{
		{"unknown field", seed + "polite: {}\n", nil, []int{2}, []string{"spec.yaml:2:1", "polite", "politeness"}},
		{"unknown nested field", seed + "politeness:\n  dealy: 1s\n", nil, []int{2}, []string{"spec.yaml:3:3", "dealy", "delay"}},
		{"wrong type", seed + "limits: {pages: many}\n", nil, []int{2}, []string{"spec.yaml:2:", "many"}},
		{"bad duration", seed + "politeness: {delay: 5}\n", nil, []int{2}, []string{"spec.yaml:2:", "delay"}},
		{"bad URL", "seeds: {urls: ['ht tp://x/']}\n", nil, []int{2}, []string{"ht tp://x/"}},
		{"bad URL argument", "", []string{"crawl", "gopher://x/"}, []int{2}, []string{"gopher://x/"}},
		{"bad regex", seed + "scope: {rules: [{reject: 're:('}]}\n", nil, []int{2}, []string{"scope.rules", "re:("}},
		{"bad selector", seed + "extract: [{name: x, fields: {a: {css: 'p['}}}]\n", nil, []int{2}, []string{"p["}},
		{"bad override", seed, []string{"--set", "politeness.dealy=1s"}, []int{2}, []string{"politeness.dealy"}},
		{"bad network", seed, []string{"--allow-net", "loopback"}, []int{2}, []string{"allow-net", "loopback"}},
		{"no such flag", "", []string{"crawl", "--nope"}, []int{2}, []string{"nope"}},
		{"no such command", "", []string{"crwal"}, []int{2}, []string{"crwal"}},
		{"no seeds", "name: x\n", nil, []int{2}, []string{"seeds"}},
		{"no such spec", "", []string{"crawl", "nowhere.yaml"}, []int{2}, []string{"nowhere.yaml"}},
		{"network not allowed", seed, nil, []int{1, 2}, []string{"--allow-net"}},
		{"no such output folder", seed, []string{"--allow-net", "127.0.0.0/8", "-o", "no/such/x.jsonl"}, []int{1, 2}, []string{"no/such"}},
		{"port in use", "", []string{"up", "--data", "data", "--grpc.listen", busy.Addr().String(), "--console-listen", ""}, []int{1}, []string{busy.Addr().String(), "in use"}},
		{"no NATS", "", []string{"parser", "--nats.url", "nats://127.0.0.1:1", "--nats.connect-timeout", "1s"}, []int{1}, []string{"nats://127.0.0.1:1"}},
		{"no server", "", []string{"ls", "--server", "127.0.0.1:1"}, []int{1}, []string{"127.0.0.1:1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := tt.args
			if tt.spec != "" {
				writeFile(t, filepath.Join(dir, "spec.yaml"), tt.spec)
				args = append([]string{"crawl", "spec.yaml", "--quiet"}, tt.args...)
			}
			code, _, stderr := exited(driver.Limit(t, 2*time.Minute), t, dir, args...)
			if !slices.Contains(tt.codes, code) {
				t.Errorf("exit code %d, want one of %v", code, tt.codes)
			}
			for _, want := range tt.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr does not name %q", want)
				}
			}
			if lines := strings.Count(strings.TrimSpace(stderr), "\n") + 1; lines != 1 || strings.Contains(stderr, "goroutine ") {
				t.Errorf("%d lines, want one", lines)
			}
			t.Logf("exit code %d: %s", code, stderr)
		})
	}
}

// slowSite answers slowly enough that a crawl can be met in the middle, for some twenty
// seconds, by a test that waits for its turn.
func slowSite(t *testing.T) *driver.Site {
	t.Helper()
	return startSite(t, "-hosts", "2", "-pages", "100", "-links", "20", "-latency", "200ms")
}

// reached waits until the site has been asked for n pages.
func reached(ctx context.Context, t *testing.T, s *driver.Site, p *driver.Proc, n int) {
	t.Helper()
	err := driver.Await(ctx, "the crawl to get going", func() (bool, error) {
		stats, err := s.Stats(ctx)
		return stats.Total() >= n || !p.Running(), err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Running() {
		t.Fatalf("the crawl ended before it was met in the middle\n%s", p.Tail())
	}
}

const slow = "politeness: {delay: 10ms, concurrency_per_host: 1}"

// TestInterrupt: Ctrl-C once finishes what is in hand and twice exits at once; either
// way the crawl goes on where it was.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		signals int
		refetch int // pages that may be fetched twice
	}{
		{"once", 1, 0},
		{"twice", 2, 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := driver.Limit(t, 5*time.Minute)
			s := slowSite(t)
			r := newRun(t, driver.Job{Spec: specFor(s, slow)})
			p := startRun(t, r)
			reached(ctx, t, s, p, 40)
			for range tt.signals {
				if err := p.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
				// Two signals that wait for delivery at once are one.
				driver.Pause(ctx, 100*time.Millisecond)
			}
			code, err := p.Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if code != 130 {
				t.Errorf("exit code %d, want 130\n%s", code, p.Tail())
			}
			if tt.signals == 1 && !strings.Contains(p.Stderr(), "--resume") {
				t.Errorf("nothing tells how to go on:\n%s", p.Stderr())
			}
			finishResumed(ctx, t, s, r, tt.refetch)
		})
	}
}

// TestUnfinishedData: the data of an unfinished crawl is not overwritten, nor used by
// two processes at once.
func TestUnfinishedData(t *testing.T) {
	t.Parallel()
	ctx := driver.Limit(t, 5*time.Minute)
	s := slowSite(t)
	r := newRun(t, driver.Job{Spec: specFor(s, slow)})
	p := startRun(t, r)
	reached(ctx, t, s, p, 20)

	code, _, stderr := exited(ctx, t, r.Dir, r.Args("--resume")...)
	if code != 1 && code != 2 || !strings.Contains(stderr, r.DataDir()) {
		t.Errorf("a second process on the same data: exit code %d, %q", code, stderr)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = exited(ctx, t, r.Dir, r.Args()...)
	if code != 1 && code != 2 || !strings.Contains(stderr, "--resume") {
		t.Errorf("without --resume: exit code %d, %q", code, stderr)
	}
	finishResumed(ctx, t, s, r, 64)
}

// finishResumed resumes a run of slowSite and checks that nothing was lost, and that
// at most refetch pages were fetched twice.
func finishResumed(ctx context.Context, t *testing.T, s *driver.Site, r *driver.Run, refetch int) {
	t.Helper()
	if err := s.Set(ctx, site.Behaviour{}); err != nil { // the rest need not take its time
		t.Fatal(err)
	}
	p := startRun(t, r, "--resume")
	res, err := r.Finish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	want := pages(s, 100)
	wantOnce(t, "items", want, driver.CountURLs(res.Items))
	if err := res.Summary.Ledger.Balance(); err != nil {
		t.Error(err)
	}
	if got := res.Summary; got.Ledger.Done != uint64(len(want)) || got.Pages != uint64(len(want)) {
		t.Errorf("summary %+v; want %d pages done", got, len(want))
	}
	stats, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if again := stats.Total() - len(want); again > refetch || again < 0 {
		t.Errorf("%d pages were fetched again, at most %d allowed: %v", again, refetch, repeated(stats))
	}
}

// repeated are the URLs that were asked for more than once.
func repeated(stats site.Stats) map[string]int {
	out := stats.Requests()
	for u, n := range out {
		if n == 1 {
			delete(out, u)
		}
	}
	return out
}

func newRun(t *testing.T, job driver.Job) *driver.Run {
	t.Helper()
	r, err := driver.NewRun(*bin, t.TempDir(), job)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// startRun starts a process that is gone when the test ends.
func startRun(t *testing.T, r *driver.Run, more ...string) *driver.Proc {
	t.Helper()
	p, err := r.Start(more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
