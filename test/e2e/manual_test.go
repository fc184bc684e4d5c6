//go:build long

package e2e

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/test/driver"
)

// manualDir is where Debian's python3-doc package has its pages, which nobody here
// wrote.
const manualDir = "/usr/share/doc/python3-doc/html"

// TestPythonManual crawls a real site and compares what was found with a walk of
// the link graph and with wget.
func TestPythonManual(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join(manualDir, "index.html")); err != nil {
		t.Fatalf("install python3-doc and wget: %v", err)
	}
	oracle := startSite(t, "-dir", manualDir)
	walked := walkLinks(t, oracle.Info.Seeds[0])
	wget := wgetPages(t, oracle.Info.Seeds[0])
	t.Logf("walk: %d pages, wget: %d", len(walked), len(wget))
	for path := range wget {
		if _, ok := walked[path]; !ok {
			t.Errorf("wget found %s, the walk did not", path)
		}
	}
	for path := range walked {
		if !wget[path] {
			t.Errorf("the walk found %s, wget did not", path)
		}
	}

	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-dir", manualDir)
		res := crawl(t, mode, driver.Job{Spec: specFor(s, fast)})
		got := map[string]string{}
		origin := strings.TrimSuffix(s.Info.Seeds[0], "/")
		for _, i := range res.Items {
			if kind, _ := i["content_type"].(string); strings.HasPrefix(kind, "text/html") {
				got[strings.TrimPrefix(i.URL(), origin)] = i.Title()
			}
		}
		if diff := cmp.Diff(walked, got); diff != "" {
			t.Errorf("pages and titles (-walked +crawled):\n%s", diff)
		}
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for u, n := range stats.Requests() {
			if n != 1 {
				t.Errorf("%s was asked for %d times", u, n)
			}
		}
	})
}

// walkLinks finds the HTML pages that can be reached, with their titles, by nothing
// but net/http, net/url and goquery.
func walkLinks(t *testing.T, seed string) map[string]string {
	t.Helper()
	out := map[string]string{}
	base, err := url.Parse(seed)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{base.Path: true}
	for queue := []*url.URL{base}; len(queue) > 0; queue = queue[1:] {
		page := queue[0]
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			_ = resp.Body.Close()
			continue
		}
		doc, err := goquery.NewDocumentFromReader(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		out[page.EscapedPath()] = strings.Join(strings.Fields(doc.Find("title").First().Text()), " ")
		doc.Find("a[href], area[href], link[href]").Each(func(_ int, s *goquery.Selection) {
			href, _ := s.Attr("href")
			next, err := page.Parse(strings.TrimSpace(href))
			if err != nil || next.Host != base.Host || next.Scheme != base.Scheme {
				return
			}
			next.Fragment, next.RawFragment = "", ""
			if !seen[next.RequestURI()] {
				seen[next.RequestURI()] = true
				queue = append(queue, next)
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
	return out
}

// wgetPages are the paths of the HTML pages that wget -r keeps.
func wgetPages(t *testing.T, seed string) map[string]bool {
	t.Helper()
	dir := t.TempDir()
	ctx := driver.Limit(t, 5*time.Minute)
	cmd := exec.CommandContext(ctx, "wget", "-q", "-r", "-l", "inf", "-nH", "--no-check-certificate", seed)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// Exit code 8 says that some answer was an error, which is so for a link that leads nowhere.
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 8 {
		t.Fatalf("wget: %v\n%s", err, stderr.String())
	}
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".html" {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		// wget keeps / as index.html; the manual links to index.html too.
		out["/"+filepath.ToSlash(rel)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out["/"] = true
	return out
}
