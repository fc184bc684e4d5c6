package site_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/internal/testkit/site"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg site.Config) (*site.Server, *http.Client) {
	t.Helper()
	s, err := site.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	noFollow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s, &http.Client{Transport: transport, CheckRedirect: noFollow}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

var href = regexp.MustCompile(`href="([^"]+)"`)

func TestGraphIsCompleteAndCounted(t *testing.T) {
	t.Parallel()
	s, c := start(t, site.Config{Hosts: 3, Pages: 57, Links: 10, PageBytes: 4096, CrossEvery: 3})

	seen := map[string]int{}
	queue := []string{s.Seeds()[0]} // one root must be enough: links cross hosts
	seen[queue[0]] = 1
	for len(queue) > 0 {
		url := queue[0]
		queue = queue[1:]
		resp, body := get(t, c, url)
		if resp.StatusCode != http.StatusOK || len(body) != 4096 {
			t.Fatalf("%s: status %d, %d bytes", url, resp.StatusCode, len(body))
		}
		origin := url[:strings.Index(url[len("http://"):], "/")+len("http://")]
		links := href.FindAllStringSubmatch(body, -1)
		if len(links) != 10 {
			t.Fatalf("%s: %d links", url, len(links))
		}
		for _, m := range links {
			next := m[1]
			if strings.HasPrefix(next, "/") {
				next = origin + next
			}
			if seen[next] == 0 {
				seen[next] = 1
				queue = append(queue, next)
			}
		}
	}

	want := map[string]int{}
	for _, u := range s.URLs() {
		want[u] = 1
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("pages found by walking (-want +got):\n%s", diff)
	}
	stats, err := site.Control{URL: s.ControlURL()}.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stats.Requests()); diff != "" {
		t.Errorf("requests counted (-want +got):\n%s", diff)
	}
	if stats.Total() != 171 || stats.Hosts[1].Pages.MaxConcurrent != 1 {
		t.Errorf("total %d, host 1 %+v", stats.Total(), stats.Hosts[1].Pages)
	}
}

func TestSameConfigSamePages(t *testing.T) {
	t.Parallel()
	cfg := site.Config{Pages: 5, Links: 4, PageBytes: 2000}
	a, ca := start(t, cfg)
	b, cb := start(t, cfg)
	_, one := get(t, ca, a.URLs()[3])
	_, two := get(t, cb, b.URLs()[3])
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("pages differ:\n%s", diff)
	}
	if !strings.Contains(one, "<title>"+a.Title(0, "/p/3")+"</title>") {
		t.Errorf("no title %q in %q", a.Title(0, "/p/3"), one[:200])
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s, c := start(t, site.Config{Extra: []string{"/moved", "/plain?x=1"}})
	control := site.Control{URL: s.ControlURL()}
	err := control.Set(t.Context(), site.Behaviour{
		Robots: "User-agent: *\nDisallow: /x\n",
		Routes: map[string]site.Route{
			"/moved": {Status: 301, Header: map[string]string{"Location": "/plain?x=1"}},
			"/flaky": {FailFirst: 2, Size: 5000, Gzip: true},
			"/gone":  {Status: 410, Body: "gone"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		status     int
		body       string
	}{
		{"robots", "/robots.txt", 200, "User-agent: *\nDisallow: /x\n"},
		{"redirect", "/moved", 301, "<!doctype html>\n<title>/moved</title>\n"},
		{"extra path", "/plain?x=1", 200, "<!doctype html>\n<title>/plain</title>\n"},
		{"status", "/gone", 410, "gone"},
		{"not there", "/p/99", 404, "<title>Not found</title>\n"},
	} {
		resp, body := get(t, c, "http://"+s.Hosts()[0]+tt.path)
		if resp.StatusCode != tt.status || body != tt.body {
			t.Errorf("%s: %d %q", tt.name, resp.StatusCode, body)
		}
	}
	var statuses []int
	for range 3 {
		resp, body := get(t, c, "http://"+s.Hosts()[0]+"/flaky")
		statuses = append(statuses, resp.StatusCode)
		if len(body) != 5000 {
			t.Errorf("flaky: %d bytes after decompression", len(body))
		}
	}
	if diff := cmp.Diff([]int{503, 503, 200}, statuses); diff != "" {
		t.Errorf("flaky route (-want +got):\n%s", diff)
	}
}

func TestPaceSeesOverlapsAndGaps(t *testing.T) {
	t.Parallel()
	s, c := start(t, site.Config{Pages: 9, Behaviour: site.Behaviour{Latency: 200 * time.Millisecond}})
	var wg sync.WaitGroup
	for _, u := range s.URLs()[:4] {
		wg.Go(func() { get(t, c, u) })
	}
	wg.Wait()
	got := s.Stats().Hosts[0].Pages
	if got.MaxConcurrent < 2 || got.Overlaps < 1 || got.MinGap != 0 {
		t.Errorf("four at once: %+v", got)
	}

	if err := (site.Control{URL: s.ControlURL()}).Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	get(t, c, s.URLs()[0])
	get(t, c, s.Seeds()[0]+"robots.txt")
	get(t, c, s.URLs()[1])
	h := s.Stats().Hosts[0]
	if h.All.Gaps != 2 || h.Pages.Gaps != 1 || h.All.MaxConcurrent != 1 {
		t.Errorf("one after another: all %+v, pages %+v", h.All, h.Pages)
	}
	if h.Pages.MinGap < 200*time.Millisecond {
		t.Errorf("the exchange for robots.txt lies in the gap between pages, yet it is %v", h.Pages.MinGap)
	}
	if diff := cmp.Diff([]string{"/", "/robots.txt", "/p/1"}, h.Order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	s, c := start(t, site.Config{Behaviour: site.Behaviour{
		Routes: map[string]site.Route{"/cut": {Size: 10_000, Abort: true}},
	}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Seeds()[0]+"cut", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n != 5000 {
		t.Errorf("read %d bytes, error %v; want 5000 and an error", n, err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index.html": "<title>root</title>", "sub/index.html": "<title>sub</title>", "a.txt": "text", "empty/x": "",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, c := start(t, site.Config{Dir: dir})
	for _, tt := range []struct {
		path   string
		status int
		body   string
		kind   string
	}{
		{"/", 200, "<title>root</title>", "text/html; charset=utf-8"},
		{"/index.html", 200, "<title>root</title>", "text/html; charset=utf-8"},
		{"/sub", 301, "", "text/html; charset=utf-8"},
		{"/sub/", 200, "<title>sub</title>", "text/html; charset=utf-8"},
		{"/a.txt", 200, "text", "text/plain; charset=utf-8"},
		{"/empty/", 404, "<title>Not found</title>\n", "text/html; charset=utf-8"},
		{"/../site.go", 404, "<title>Not found</title>\n", "text/html; charset=utf-8"},
	} {
		resp, body := get(t, c, "http://"+s.Hosts()[0]+tt.path)
		if resp.StatusCode != tt.status || body != tt.body || resp.Header.Get("Content-Type") != tt.kind {
			t.Errorf("%s: %d %q %s", tt.path, resp.StatusCode, body, resp.Header.Get("Content-Type"))
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]site.Config{
		"not loopback":      {FirstAddr: "192.0.2.1"},
		"no address":        {FirstAddr: "x"},
		"too many hosts":    {Hosts: 1000},
		"negative":          {Pages: -1},
		"relative extra":    {Extra: []string{"x"}},
		"missing directory": {Dir: "/does/not/exist"},
	} {
		if s, err := site.Start(cfg); err == nil {
			t.Errorf("%s: started", name)
			_ = s.Close()
		}
	}
}
