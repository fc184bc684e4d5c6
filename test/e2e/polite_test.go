package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/test/driver"
)

// TestDelay: with many fetchers a host never sees two requests at once, nor a gap
// below the delay; robots.txt counts like any request.
func TestDelay(t *testing.T) {
	t.Parallel()
	perHost := 15
	if *long {
		perHost = 100
	}
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		const delay = 200 * time.Millisecond
		s := startSite(t, "-hosts", "2", "-pages", fmt.Sprint(perHost), "-links", "10", "-latency", "20ms")
		crawl(t, mode, driver.Job{
			Spec:     specFor(s, fmt.Sprintf("politeness: {delay: %v, concurrency_per_host: 1}", delay)),
			Fetchers: 8, Processes: 8,
		})
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantOnce(t, "requests", pages(s, perHost), stats.Requests())
		for _, h := range stats.Hosts {
			t.Logf("%s: least gap %v over %d", h.Host, h.All.MinGap, h.All.Gaps)
			if h.All.MaxConcurrent != 1 || h.All.Overlaps != 0 || h.All.MinGap < delay || h.All.Gaps < perHost-1 {
				t.Errorf("%s: pace %+v; want one at a time and gaps of %v", h.Host, h.All, delay)
			}
		}
	})
}

// TestOrder: the lowest priority number first, then first in first out, or the
// newest first with depth_first.
func TestOrder(t *testing.T) {
	t.Parallel()
	priority := func(path string) int {
		switch {
		case strings.HasPrefix(path, "/p/1"):
			return -5
		case strings.HasPrefix(path, "/p/2"):
			return 10
		}
		return 0
	}
	rules := "priorities:\n  - {match: \"*/p/1*\", priority: -5}\n  - {match: \"*/p/2*\", priority: 10}"
	none := func(string) int { return 0 }
	one := "politeness: {delay: 0s, concurrency_per_host: 1}"
	for _, tt := range []struct {
		name     string
		spec     []string
		lifo     bool
		priority func(string) int
	}{
		{"first in first out", []string{one}, false, none},
		{"priorities", []string{one, rules}, false, priority},
		{"depth first", []string{one, "order: depth_first"}, true, none},
		{"depth first with priorities", []string{one, "order: depth_first", rules}, true, priority},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBothModes(t, func(t *testing.T, mode driver.Mode) {
				// The root links to all pages, so the order does not depend on which pages were
				// parsed when the next one was handed out.
				s := startSite(t, "-pages", "81", "-links", "160")
				checkOrder(t, s, mode, driver.Job{Spec: specFor(s, tt.spec...), Fetchers: 4, Processes: 2}, tt.priority, tt.lifo)
			})
		})
	}
}

// TestDepthFirstTree walks a tree whose pages are known only when their parents have
// been parsed; the delay, long against what a page takes on a machine that pauses, lets
// the ring close.
func TestDepthFirstTree(t *testing.T) {
	t.Parallel()
	const delay = 8 * time.Second
	n := 6
	if *long {
		n = 31
	}
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-pages", fmt.Sprint(n), "-links", "4")
		spec := specFor(s, fmt.Sprintf("politeness: {delay: %v}", delay), "order: depth_first")
		checkOrder(t, s, mode, driver.Job{Spec: spec}, func(string) int { return 0 }, true)
	})
}

// checkOrder crawls a site of one host and compares the order of its requests.
func checkOrder(t *testing.T, s *driver.Site, mode driver.Mode, job driver.Job, priority func(string) int, lifo bool) {
	t.Helper()
	want := walkInOrder(t, s, priority, lifo)
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	crawl(t, mode, job)
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := stats.Hosts[0].Order
	if len(got) == 0 || got[0] != "/robots.txt" {
		t.Fatalf("the first request was not for robots.txt: %v", got)
	}
	if diff := cmp.Diff(want, got[1:]); diff != "" {
		t.Errorf("order of requests (-want +got):\n%s", diff)
	}
}

var hrefs = regexp.MustCompile(`<a href="(/[^"]*)"`)

// walkInOrder is the order in which one polite visitor sees a host's pages.
func walkInOrder(t *testing.T, s *driver.Site, priority func(string) int, lifo bool) []string {
	t.Helper()
	var order []string
	waiting, seen := []string{"/"}, map[string]bool{"/": true}
	for len(waiting) > 0 {
		best := 0
		for i, p := range waiting {
			if priority(p) < priority(waiting[best]) || lifo && priority(p) == priority(waiting[best]) {
				best = i
			}
		}
		path := waiting[best]
		waiting = append(waiting[:best], waiting[best+1:]...)
		order = append(order, path)
		for _, m := range hrefs.FindAllStringSubmatch(get(t, strings.TrimSuffix(s.Info.Seeds[0], "/")+path), -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				waiting = append(waiting, m[1])
			}
		}
	}
	return order
}

// get reads a page.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
