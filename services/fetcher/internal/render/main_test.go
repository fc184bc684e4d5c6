package render

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(run{m}) }

// run closes the pool that tests share before leaks are looked for.
type run struct{ m *testing.M }

func (r run) Run() int {
	code := r.m.Run()
	if p := common.pool; p != nil {
		p.Close()
	}
	return code
}

// common is the pool that tests share which do nothing to its browser: to start one
// costs more than most of them.
var common struct {
	sync.Once
	pool *Pool
}

func shared(t testing.TB) *Pool {
	t.Helper()
	common.Do(func() { common.pool = New(config()) })
	return common.pool
}

func config() Config {
	return Config{RecyclePages: 1000, RecycleMemory: 2 << 30, Idle: time.Minute, Log: slog.New(slog.DiscardHandler)}
}

// site is a web site that counts what is asked for.
type site struct {
	*httptest.Server

	mu    sync.Mutex
	asked map[string]int
	seen  map[string]http.Header // of the last request of a path
}

// serve starts a site whose pages are HTML unless their path says otherwise.
func serve(t testing.TB, pages map[string]string) *site {
	t.Helper()
	s := &site{asked: map[string]int{}, seen: map[string]http.Header{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		s.seen[r.URL.Path] = r.Header
		s.mu.Unlock()
		body, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		kind := map[string]string{".js": "text/javascript", ".json": "application/json", ".png": "image/png"}[filepath.Ext(r.URL.Path)]
		if kind == "" {
			kind = "text/html; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *site) header(path string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[path]
}

// pool starts a pool whose browsers end with the test.
func pool(t testing.TB, change func(*Config)) *Pool {
	t.Helper()
	cfg := config()
	if change != nil {
		change(&cfg)
	}
	p := New(cfg)
	t.Cleanup(p.Close)
	return p
}

// plain dials anything.
func plain(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// pageOf is a page of a site with a body.
func pageOf(s *site, path, body string, change func(*Page)) *Page {
	p := &Page{
		URL: s.URL + path, Status: 200, Header: []Header{{"Content-Type", "text/html; charset=utf-8"}}, Body: []byte(body),
		UserAgent: "Weir/test", AcceptLanguage: "en", Dial: plain, MaxRequests: 50, MaxBytes: 16 << 20, MaxHTML: 4 << 20,
		Width: 1280, Height: 800, WaitTimeout: 2 * time.Minute, // far beyond what a page takes on a busy machine
	}
	if change != nil {
		change(p)
	}
	return p
}

// show shows a page that must be shown.
func show(t testing.TB, p *Pool, page *Page) *Shown {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := p.Show(ctx, page)
	if err != nil {
		t.Fatalf("show %s: %v", page.URL, err)
	}
	return out
}

// left lists what there is of a browser that is gone, zombies among them.
func left(b *process) []int {
	out := strays(b.cmd.Process.Pid, b.profile)
	for pid := range processes() {
		if g, err := syscall.Getpgid(pid); err == nil && g == b.cmd.Process.Pid || slices.Contains(b.strays, pid) {
			out = append(out, pid)
		}
	}
	return out
}
