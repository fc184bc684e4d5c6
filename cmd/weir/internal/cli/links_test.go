package cli

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linkSite has pages that are found in as many ways: robots.txt names an index of
// sitemaps, the front page a feed and a list of many pages.
func linkSite(t *testing.T) (base string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var paths []string
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, "<urlset><url><loc>/in-sitemap</loc></url><url><loc>/list?p=1</loc></url></urlset>")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.RequestURI())
		mu.Unlock()
		kind, body := "text/html", "<title>"+r.URL.Path+"</title>"
		page := 0
		_, _ = fmt.Sscanf(r.URL.RawQuery, "p=%d", &page) // 0 without
		switch {
		case r.URL.Path == "/robots.txt":
			kind, body = "text/plain", "Sitemap: /index.xml\nUser-agent: *\nDisallow: /secret\n"
		case r.URL.Path == "/index.xml":
			kind, body = "application/xml", "<sitemapindex><sitemap><loc>/s.xml.gz</loc></sitemap></sitemapindex>"
		case r.URL.Path == "/s.xml.gz":
			kind, body = "application/x-gzip", packed.String()
		case r.URL.Path == "/feed.xml":
			kind, body = "application/rss+xml", "<rss><channel><item><link>/in-feed</link></item></channel></rss>"
		case r.URL.Path == "/":
			body += "<link rel=alternate type=application/rss+xml href=/feed.xml><a href=/list?p=1>list</a><a href=/secret/x>x</a><img src=/i.png>"
		case r.URL.Path == "/list" && page < 6:
			body += fmt.Sprintf("<nav><a href='/list?p=%d'>next</a></nav><main><a href=/thing/%d>thing</a></main><a href=/about>about</a>", page+1, page)
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(body)) // a client that is gone needs none
	}))
	t.Cleanup(site.Close)
	return site.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(paths)
		return slices.Clone(paths)
	}
}

func linkSpec(t *testing.T, base string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "links.yaml")
	text := `name: links
seeds: {urls: ["` + base + `/"]}
scope: {max_depth: 2}
politeness: {delay: 0s}
follow:
  - {match: "*/list*", css: nav, pagination: true}
  - {match: "*/list*", css: main, priority: -1}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCrawlFindsEveryLink: sitemaps of robots.txt, feeds and the pages of a list, as
// deep as the spec allows and no deeper.
func TestCrawlFindsEveryLink(t *testing.T) {
	t.Parallel()
	base, asked := linkSite(t)
	dir := t.TempDir()
	items := filepath.Join(dir, "items.jsonl")
	r := weir(t, "crawl", linkSpec(t, base), "--data", filepath.Join(dir, "data"), "--allow-net", "127.0.0.0/8", "--quiet", "-o", items)
	if r.code != 0 {
		t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	want := []string{
		"/", "/feed.xml", "/in-feed", "/in-sitemap", "/index.xml", "/list?p=1", "/list?p=2", "/list?p=3", "/list?p=4", "/list?p=5", "/list?p=6",
		"/robots.txt", "/s.xml.gz", "/thing/1", "/thing/2", "/thing/3", "/thing/4", "/thing/5",
	}
	if diff := cmp.Diff(want, asked()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	// Sitemaps and robots.txt give no items.
	if rows := lines(t, items); len(rows) != len(want)-3 || strings.Contains(strings.Join(rows, ""), "index.xml") {
		t.Errorf("%d items", len(rows))
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	base, asked := linkSite(t)
	spec := linkSpec(t, base)
	r := weir(t, "crawl", spec, "--dry-run", "7", "--allow-net", "127.0.0.0/8")
	if r.code != 0 {
		t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	for _, want := range []string{
		base + "/\n  200, depth 0, text/html; 1 items; 3 links followed, 3 of them new; not followed: 1 kind\n",
		base + "/index.xml\n  200, depth 0, application/xml; 0 items; 1 links followed, 1 of them new\n",
		base + "/in-sitemap\n", "\n7 pages, ", "URLs are left to visit, first of all:\n  " + base + "/", "nothing was kept\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	if n := len(asked()); n != 8 {
		t.Errorf("%d requests, want 7 pages and robots.txt: %v", n, asked())
	}
	all := weir(t, "crawl", spec, "--dry-run", "100", "--allow-net", "127.0.0.0/8")
	for _, want := range []string{"not visited: robots.txt says", "nothing is left to visit; nothing was kept\n"} {
		if all.code != 0 || !strings.Contains(all.stdout, want) {
			t.Errorf("code %d, no %q in\n%s%s", all.code, want, all.stdout, all.stderr)
		}
	}
	for _, c := range []struct{ arg, want string }{{"--dry-run=0", "1 to 1000 pages"}, {"--dry-run=5000", "1 to 1000 pages"}} {
		if r := weir(t, "crawl", spec, c.arg, "--allow-net", "127.0.0.0/8"); r.code != 2 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: code %d, %q", c.arg, r.code, r.stderr)
		}
	}
	if r := weir(t, "crawl", spec, "--dry-run", "1", "--json"); r.code != 2 || !strings.Contains(r.stderr, "leave out") {
		t.Errorf("code %d, %q", r.code, r.stderr)
	}
}
