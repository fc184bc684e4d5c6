package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// appSite is a site of plain pages and of pages that a script makes: each of these
// has its text and its links, to the next one, only from a file of data.
func appSite(plain, apps int) map[string]site.Route {
	script := map[string]string{"Content-Type": "text/javascript"}
	data := map[string]string{"Content-Type": "application/json"}
	text := strings.Repeat("<p>The river had risen to the second step of the mill in the night.</p>", 8)
	routes := map[string]site.Route{
		"/app.js": {Header: script, Body: `fetch("/data" + location.pathname + ".json").then(r => r.json()).then(d => {
			document.title = d.name;
			root.innerHTML = "<h1>" + d.name + "</h1>" + d.links.map(l => "<a href='" + l + "'>" + l + "</a>").join("") })`},
		"/plain.js": {Header: script, Body: "/* only a browser asks for this */"},
	}
	var links strings.Builder
	for i := range plain {
		path := fmt.Sprintf("/plain/%d", i)
		fmt.Fprintf(&links, "<a href='%s'>%s</a>", path, path)
		routes[path] = site.Route{Body: fmt.Sprintf("<!doctype html><title>plain %d</title><h1>Plain %d</h1>%s<script src=/plain.js></script>", i, i, text)}
	}
	for i := range apps {
		path, next := fmt.Sprintf("/app/%d", i), ""
		if i+1 < apps {
			next = fmt.Sprintf(`"/app/%d"`, i+1)
		}
		if i%10 == 0 { // ten chains, so that several are shown at a time
			fmt.Fprintf(&links, "<a href='%s'>%s</a>", path, path)
		}
		routes[path] = site.Route{Body: "<!doctype html><title>shop</title><div id=root></div><script src=/app.js></script>"}
		routes["/data"+path+".json"] = site.Route{Header: data, Body: fmt.Sprintf(`{"name": "App %d", "links": [%s]}`, i, next)}
	}
	routes["/"] = site.Route{Body: "<!doctype html><title>home</title><h1>Home</h1>" + text + links.String() + "<script src=/plain.js></script>"}
	return routes
}

// rendered is a spec of that site with rules that find the heading of each page.
func rendered(s *driver.Site, render string) string {
	return specFor(s, fast, "fetch: {render: "+render+", timeout: 120s, browser: {wait_timeout: 60s}}",
		"extract:\n  - name: page\n    fields: {name: {css: h1, required: true}}")
}

// names counts the items of the site by their heading.
func names(items []driver.Item) map[string]int {
	out := map[string]int{}
	for _, i := range items {
		out[fmt.Sprint(i["name"])]++
	}
	return out
}

// wantNames are those that there must be, each once.
func wantNames(plain, apps int) []string {
	out := []string{"Home"}
	for i := range plain {
		out = append(out, fmt.Sprintf("Plain %d", i))
	}
	for i := range apps {
		out = append(out, fmt.Sprintf("App %d", i))
	}
	return out
}

// TestRenderAuto: pages that have their items and links only after a script give them
// all, and the plain pages of the same host never see the browser.
func TestRenderAuto(t *testing.T) {
	const plain, apps = 12, 3
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t)
		if err := s.Set(t.Context(), site.Behaviour{Routes: appSite(plain, apps)}); err != nil {
			t.Fatal(err)
		}
		res := crawl(t, mode, driver.Job{Spec: rendered(s, "auto"), Browsers: 1})
		wantOnce(t, "items", wantNames(plain, apps), names(res.Items))
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asked := stats.Hosts[0].Requests
		for i := range plain {
			if n := asked[fmt.Sprintf("/plain/%d", i)]; n != 1 {
				t.Errorf("/plain/%d was asked for %d times", i, n)
			}
		}
		if asked["/plain.js"] != 0 {
			t.Errorf("a browser showed %d plain pages", asked["/plain.js"])
		}
		for i := range apps {
			if n := asked[fmt.Sprintf("/app/%d", i)]; n < 1 || n > 2 {
				t.Errorf("/app/%d was asked for %d times, want once and once for the browser", i, n)
			}
		}
	})
}

// TestBrowserKilled: the browser is killed again and again; nothing is lost, and no
// page is asked for more than once more.
func TestBrowserKilled(t *testing.T) {
	apps := 4
	if *long {
		apps = 40
	}
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t)
		if err := s.Set(t.Context(), site.Behaviour{Routes: appSite(0, apps)}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(driver.Limit(t, 10*time.Minute))
		killed := 0
		var wg sync.WaitGroup
		wg.Go(func() { killed = killBrowsers(ctx, t, s, dir, max(1, apps/10)) })
		res, err := driver.Crawl(ctx, mode, *bin, dir, driver.Job{Spec: rendered(s, "always"), Browsers: 1})
		cancel()
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if killed == 0 {
			t.Error("no browser was killed")
		}
		wantOnce(t, "items", wantNames(0, apps), names(res.Items))
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		more := 0
		for i := range apps {
			n := stats.Hosts[0].Requests[fmt.Sprintf("/app/%d", i)]
			more += n - 1
			if n < 1 || n > 2 {
				t.Errorf("/app/%d was asked for %d times", i, n)
			}
		}
		t.Logf("%d browsers killed, %d pages asked for once more", killed, more)
	})
}

// killBrowsers kills so many browsers of the programs that run in dir, each when a page
// has asked for its data, and returns how many.
func killBrowsers(ctx context.Context, t *testing.T, s *driver.Site, dir string, most int) int {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	done, last := map[int]bool{}, 0
	for len(done) < most {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return len(done)
		}
		stats, err := s.Stats(ctx)
		if err != nil {
			return len(done)
		}
		asked := 0
		for path, n := range stats.Hosts[0].Requests {
			if strings.HasPrefix(path, "/data/") {
				asked += n
			}
		}
		if asked == last {
			continue
		}
		last = asked + 3 // let some pages pass before the next
		for pid := range browsers(dir) {
			if !done[pid] {
				done[pid] = true
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Logf("kill %d: %v", pid, err)
				}
			}
		}
	}
	return len(done)
}

// browsers are the browsers of the programs that run in dir, with the program of each.
func browsers(dir string) map[int]int {
	out := map[int]int{}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(line, []byte("--remote-debugging-pipe")) || bytes.Contains(line, []byte("--type=")) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, err1 := strconv.Atoi(fields[1])
		pid, err2 := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		cwd, err3 := os.Readlink(fmt.Sprintf("/proc/%d/cwd", parent))
		if err1 == nil && err2 == nil && err3 == nil && strings.HasPrefix(cwd, dir) {
			out[pid] = parent
		}
	}
	return out
}

// TestRenderedPagesAreFlat shows hundreds of pages and looks at the memory of the
// fetcher and of the browser: it takes minutes and is for the long form.
func TestRenderedPagesAreFlat(t *testing.T) {
	if !*long {
		return // the short form shows the same pages in the tests above
	}
	const apps = 200
	s := startSite(t)
	if err := s.Set(t.Context(), site.Behaviour{Routes: appSite(0, apps)}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(driver.Limit(t, 30*time.Minute))
	var own, theirs []int64
	var wg sync.WaitGroup
	wg.Go(func() { own, theirs = memories(ctx, dir) })
	res, err := driver.Crawl(ctx, driver.AllInOne, *bin, dir, driver.Job{Spec: rendered(s, "always")})
	cancel()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantOnce(t, "items", wantNames(0, apps), names(res.Items))
	for what, samples := range map[string][]int64{"weir": own, "browser": theirs} {
		if len(samples) < 8 {
			t.Fatalf("%s: %d samples", what, len(samples))
		}
		early, late := median(samples[len(samples)/4:len(samples)/2]), median(samples[len(samples)*3/4:])
		t.Logf("%s: %d MiB in the second quarter, %d MiB in the last, at most %d MiB", what, early>>20, late>>20, slices.Max(samples)>>20)
		if late > early+early/2+64<<20 {
			t.Errorf("%s grew", what)
		}
	}
	t.Logf("%d pages in %.0f s", apps, res.Summary.DurationSeconds)
}

// memories samples the bytes that the program in dir, and its browsers, have for
// themselves, until ctx ends.
func memories(ctx context.Context, dir string) (own, theirs []int64) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return own, theirs
		}
		found := browsers(dir)
		for _, pid := range slices.Sorted(maps.Keys(found)) {
			own = append(own, private(func(p, _ int) bool { return p == found[pid] }))
			theirs = append(theirs, private(func(_, group int) bool { return group == pid }))
			break
		}
	}
}

// private adds up what processes have for themselves.
func private(which func(pid, group int) bool) int64 {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	var pages int64
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		group, err := syscall.Getpgid(pid)
		if err != nil || !which(pid, group) {
			continue
		}
		held, err := os.ReadFile("/proc/" + e.Name() + "/statm")
		if m := strings.Fields(string(held)); err == nil && len(m) > 2 {
			resident, _ := strconv.ParseInt(m[1], 10, 64)
			shared, _ := strconv.ParseInt(m[2], 10, 64)
			pages += resident - shared
		}
	}
	return pages * int64(os.Getpagesize())
}

func median(samples []int64) int64 {
	s := slices.Sorted(slices.Values(samples))
	return s[len(s)/2]
}
