package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/run"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }

// result is what a command left.
type result struct {
	code           int
	stdout, stderr string
}

// weir runs a command in this process.
func weir(t *testing.T, args ...string) result {
	t.Helper()
	return weirWith(t, t.Context(), "", args...)
}

// weirEnv runs a command with an environment.
func weirEnv(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var stdout, stderr buffer
	code := Main(Env{
		Args: args, Environ: environ, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Version: "v1.2.3", Context: t.Context(),
	})
	return result{code, stdout.String(), stderr.String()}
}

func weirWith(t *testing.T, ctx context.Context, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr buffer
	code := Main(Env{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Version: "v1.2.3", Context: ctx,
	})
	return result{code, stdout.String(), stderr.String()}
}

// buffer may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// testSite is a binary tree of pages on loopback.
type testSite struct {
	*httptest.Server
	mu   sync.Mutex
	hits map[string]int
	each func(total int) // called for each page asked for
}

func newSite(t *testing.T, pages int) *testSite {
	t.Helper()
	s := &testSite{hits: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		if _, err := fmt.Sscanf(r.URL.Path, "/p/%d", &n); err != nil || n < 1 || n > pages {
			http.NotFound(w, r)
			return
		}
		s.mu.Lock()
		s.hits[r.URL.Path]++
		total, each := len(s.hits), s.each
		s.mu.Unlock()
		if each != nil {
			each(total)
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<title>Page %d</title><a href="/p/%d">a</a><a href="/p/%d">b</a>`, n, 2*n, 2*n+1)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *testSite) seed() string { return s.URL + "/p/1" }

// again counts the pages that were asked for more than once.
func (s *testSite) again() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, hits := range s.hits {
		n += hits - 1
	}
	return n
}

// crawlArgs are those of a quick crawl of a loopback site.
func crawlArgs(dir string, more ...string) []string {
	return append([]string{"crawl", "--data", filepath.Join(dir, "data"), "--allow-net", "127.0.0.0/8", "--quiet", "--storage.min-free", "0"}, more...)
}

// eager overrides the politeness that would make tests wait.
func eager() []string { return []string{"--set", "politeness.delay=0s", "--set", "fetch.retries=0"} }

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// interruptible is a context with a Ctrl-C.
func interruptible(t *testing.T) (ctx context.Context, interrupt func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, func() { cancel(run.ErrStopping) }
}

// await polls until f is true; the test's own deadline is the limit.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%s did not come", what)
		}
	}
}
