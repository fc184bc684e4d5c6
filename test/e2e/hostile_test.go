package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/testkit/dnstest"
	"github.com/weircrawl/weir/internal/testkit/hostile"
	"github.com/weircrawl/weir/test/driver"
)

// startHostile starts the hostile site, in this process.
func startHostile(t *testing.T) *hostile.Server {
	t.Helper()
	s, err := hostile.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// hostileSpec may visit the hostile site alone, and has all the bait in its scope.
func hostileSpec(seeds []string, more ...string) string {
	return strings.Join(append([]string{
		"name: hostile",
		"seeds: {urls: ['" + strings.Join(seeds, "', '") + "']}",
		`scope: {nets: [0.0.0.0/0, "::/0"], hosts: [localhost, any.localhost], rules: [{reject: "*/trap/*"}]}`,
		"politeness: {delay: 0s, concurrency_per_host: 8, adaptive: false}",
	}, more...), "\n") + "\n"
}

// mostMemory is what a process of the ring may hold at its peak while it crawls the
// hostile site.
const mostMemory = 512 << 20

// crawlHostile runs a crawl to its end in one of the two modes, and returns the most
// memory that each of its processes held.
func crawlHostile(t *testing.T, mode driver.Mode, job driver.Job) (res driver.Result, peaks map[string]int64) {
	t.Helper()
	ctx := driver.Limit(t, 5*time.Minute)
	peaks = map[string]int64{}
	note := func(p *driver.Proc) {
		var err error
		if peaks[p.Name], err = p.PeakRSS(); err != nil {
			t.Fatal(err)
		}
		if peaks[p.Name] > mostMemory {
			t.Errorf("%s held %d MiB", p.Name, peaks[p.Name]>>20)
		}
	}
	if mode == driver.AllInOne {
		r := newRun(t, job)
		p := startRun(t, r)
		res, err := r.Finish(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		note(p)
		return res, peaks
	}
	c, err := driver.StartCluster(ctx, *bin, t.TempDir(), driver.ClusterConfig{DNS: job.DNS})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	id, err := c.Submit(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = c.Finish(ctx, id); err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Names() {
		if !c.Proc(name).Running() {
			t.Fatalf("%s died\n%s", name, c.Proc(name).Tail())
		}
		note(c.Proc(name))
	}
	return res, peaks
}

// TestHostileSite crawls the hostile site: the crawl ends by itself, each failure has
// its class, the good pages between the traps are all there, no process dies or
// holds more than it may.
func TestHostileSite(t *testing.T) {
	t.Parallel()
	loopback := func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }
	names, err := dnstest.Start(loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close() })
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startHostile(t)
		res, peaks := crawlHostile(t, mode, driver.Job{
			// A good page has no other try: its time must outlast a pause of the machine.
			Spec: hostileSpec([]string{s.Root()}, "fetch: {timeout: 6s, retries: 0, max_body: 1MiB, min_speed: 0, allow_nets: ["+hostile.Net+"]}"),
			Sets: []string{"politeness.obey_robots=false"}, // a host that stalls would be waited for
			DNS:  names.Addr(),
		})
		sum := res.Summary
		t.Logf("%s: %d pages in %.2fs, memory %v", mode, sum.Pages, sum.DurationSeconds, peaks)
		if err := sum.Ledger.Balance(); err != nil || sum.State != "finished" || sum.Ledger.Leased != 0 {
			t.Errorf("%v, summary %+v", err, sum)
		}
		items := driver.CountURLs(res.Items)
		for i, target := range s.Targets() {
			if items[s.Good(fmt.Sprint(i))] != 1 {
				t.Errorf("no good page after %s", target.Name)
			}
			if page := keeps(target.Want); page != (items[target.URL] == 1) {
				t.Errorf("%s: %d items, want a page: %v", target.Name, items[target.URL], page)
			}
			for _, to := range []string{target.Want.Redirect, target.Want.Refresh} {
				if strings.Contains(to, "/good/") && items[to] != 1 {
					t.Errorf("%s leads to %s, which was not had", target.Name, to)
				}
			}
		}
		for _, name := range []string{"deep", "nul", "bad-utf8", "before-comment", "before-script"} {
			if items[s.Good(name)] != 1 {
				t.Errorf("the link to %s on a page that is hard to read was not followed", name)
			}
		}
		if diff := cmp.Diff(hostileErrors(s), sum.Errors); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
	})
}

// keeps reports whether a crawl without retries has a page in the end.
func keeps(w hostile.Want) bool {
	whole := w.Class == crawled
	switch w.Class.String() {
	case "reset", "timeout_body", "too_slow": // half a page is better than none
		whole = w.Body != "" || w.Size == hostile.Any
	}
	return w.Later || whole && w.Status/100 == 2
}

// crawled is the class of what is no failure.
const crawled = 0

// hostileErrors are the failures by class: what each behaviour says itself, the chains
// without end, and each bait once, however it was written.
func hostileErrors(s *hostile.Server) map[string]uint64 {
	want := map[string]uint64{}
	for _, target := range s.Targets() {
		if w := target.Want; w.Class != crawled && (w.Later || !keeps(w)) {
			want[w.Class.String()]++
		}
	}
	bait := map[string]bool{}
	for _, b := range hostile.Baits() {
		bait[b.Canonical] = true
	}
	want["address_denied"] = uint64(len(bait))
	// These come to no page that is known within ten redirects.
	for range []string{"/redirect/chain/", "/redirect/query", "/redirect/ring/", "/cookie/never"} {
		want["redirect_loop"]++
	}
	return want
}

// TestHugePages: a page of a million links and one that is a line of 50 MB are pages
// like others, and cost memory for as long as they are looked at.
func TestHugePages(t *testing.T) {
	t.Parallel()
	s := startHostile(t)
	at := func(path string) string { return "http://" + s.Main() + path }
	seeds := []string{at("/page/many-links"), at("/page/long-line"), s.Good("after")}
	res, peaks := crawlHostile(t, driver.AllInOne, driver.Job{Spec: hostileSpec(seeds, "fetch: {timeout: 5m, max_body: 64MiB, allow_nets: ["+hostile.Net+"]}")})
	t.Logf("%.2fs, memory %v", res.Summary.DurationSeconds, peaks)
	wantOnce(t, "items", seeds, driver.CountURLs(res.Items))
	for _, i := range res.Items {
		if i.URL() == seeds[1] && i["bytes"] != float64(hostile.Line+len("<title>long line</title><p>")) {
			t.Errorf("the long line has %v bytes", i["bytes"])
		}
	}
}

// TestHostileRobots: whatever a host does instead of giving its robots.txt, its pages
// are visited, or not, as RFC 9309 has it.
func TestHostileRobots(t *testing.T) {
	t.Parallel()
	s := startHostile(t)
	var seeds, want []string
	count := map[string]uint64{}
	for _, h := range s.Robots() {
		seeds = append(seeds, h.Page)
		if h.Verdict == hostile.Allowed {
			want = append(want, h.Page)
		}
		count[h.Verdict]++
	}
	res, _ := crawlHostile(t, driver.AllInOne, driver.Job{Spec: hostileSpec(seeds, "fetch: {max_body: 1KiB, allow_nets: ["+hostile.Net+"]}")})
	wantOnce(t, "items", want, driver.CountURLs(res.Items))
	if l := res.Summary.Ledger; l.Dropped["robots_denied"] != count[hostile.Denied] || l.Failed != count[hostile.Unreachable] {
		t.Errorf("ledger %+v, want %v", l, count)
	}
}
