package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// pages are the URLs of a site with n pages a host.
func pages(s *driver.Site, n int) []string {
	var out []string
	for _, seed := range s.Info.Seeds {
		out = append(out, seed)
		for i := 1; i < n; i++ {
			out = append(out, fmt.Sprintf("%sp/%d", seed, i))
		}
	}
	return out
}

// TestEveryPageOnce: every page is fetched once, every item is in the file once, the
// ledger adds up.
func TestEveryPageOnce(t *testing.T) {
	t.Parallel()
	perHost := 250
	if *long {
		perHost = 2500
	}
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-hosts", "4", "-pages", fmt.Sprint(perHost), "-links", "40", "-page-bytes", "16384", "-cross-every", "4")
		res := crawl(t, mode, driver.Job{Spec: specFor(s, fast), Processes: 2})

		want := pages(s, perHost)
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantOnce(t, "requests", want, stats.Requests())
		wantOnce(t, "items", want, driver.CountURLs(res.Items))
		n := uint64(len(want))
		got := res.Summary
		if got.Ledger.Discovered != n || got.Ledger.Done != n || got.Pages != n || got.Items != n || got.Statuses["200"] != n {
			t.Errorf("summary %+v; want %d of everything", got, n)
		}
		if got.Bytes != n*16384 {
			t.Errorf("bytes %d, want %d", got.Bytes, n*16384)
		}
		for _, i := range res.Items {
			number := i.URL()[strings.LastIndexByte(i.URL(), '/')+1:]
			if number == "" {
				number = "0"
			}
			if !strings.HasPrefix(i.Title(), "Page "+number+" of host ") {
				t.Fatalf("item of %s has the title %q", i.URL(), i.Title())
			}
		}
		for _, h := range stats.Hosts {
			if h.Pages.MaxConcurrent > 8 {
				t.Errorf("%s: %d requests at once, 8 allowed", h.Host, h.Pages.MaxConcurrent)
			}
			if h.Requests["/robots.txt"] != 1 {
				t.Errorf("%s: robots.txt was asked for %d times", h.Host, h.Requests["/robots.txt"])
			}
		}
	})
}

// TestMisbehavingSite: errors, redirects, big bodies and robots.txt end as they
// should, and the account of them is right.
func TestMisbehavingSite(t *testing.T) {
	t.Parallel()
	routes := map[string]site.Route{
		"/moved":     {Status: 301, Header: map[string]string{"Location": "/target"}},
		"/moved-too": {Status: 302, Header: map[string]string{"Location": "/target#part"}},
		"/loop":      {Status: 302, Header: map[string]string{"Location": "/loop-too"}},
		"/loop-too":  {Status: 302, Header: map[string]string{"Location": "/loop"}},
		"/target":    {Body: "<title>target</title>"},
		"/gone":      {Status: 404},
		"/broken":    {Status: 500},
		"/flaky":     {FailFirst: 1, FailStatus: 503, Body: "<title>flaky</title>"},
		"/cut":       {Size: 100_000, Abort: true},
		"/big":       {Size: 1_500_000, Gzip: true, Body: "<title>big</title><a href='/from-big'>x</a>"},
		"/from-big":  {Body: "<title>from big</title>"},
		"/data":      {Header: map[string]string{"Content-Type": "application/json"}, Body: `{"a": 1}`},
		"/empty":     {Status: 204, Body: " "},
		"/links": {Body: `<title>links</title><base href="/sub/">
			<a href="one#a">1</a> <a href="./one">1</a> <a href="../two?b=2&a=1">2</a> <a href="/two?a=1&b=2">2</a>
			<a rel="nofollow" href="/nofollowed">no</a> <a href="mailto:x@example.com">no</a> <a href="javascript:void(0)">no</a>
			<a href="http://127.99.99.99:1/elsewhere">out of scope</a> <a href="/private/x">robots</a> <a href="http://[bad/">bad</a>`},
		"/sub/one": {Body: "<title>one</title>"},
		"/two":     {Body: "<title>two</title>"},
	}
	linked := []string{"/moved", "/moved-too", "/loop", "/gone", "/broken", "/flaky", "/cut", "/big", "/data", "/links", "/private/y"}
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-extra", strings.Join(linked, ","))
		err := s.Set(t.Context(), site.Behaviour{Routes: routes, Robots: "User-agent: *\nDisallow: /private/\n"})
		if err != nil {
			t.Fatal(err)
		}
		res := crawl(t, mode, driver.Job{
			Spec: specFor(s, "politeness: {delay: 0s, concurrency_per_host: 2}", "fetch: {retries: 1, max_body: 4MiB}"),
		})

		origin := strings.TrimSuffix(s.Info.Seeds[0], "/")
		var want []string
		for _, p := range []string{"/", "/target", "/flaky", "/cut", "/big", "/from-big", "/data", "/links", "/sub/one", "/two?a=1&b=2"} {
			want = append(want, origin+p)
		}
		wantOnce(t, "items", want, driver.CountURLs(res.Items))
		got := res.Summary
		wantLedger := driver.Ledger{
			Discovered: 18, Done: 14, Failed: 2, // done: ten pages and four redirects; failed: gone and broken
			Dropped: map[string]uint64{"robots_denied": 2},
		}
		if diff := cmp.Diff(wantLedger, got.Ledger); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		if got.Pages != 10 || got.Statuses["404"] != 1 || got.Statuses["500"] != 2 || got.Statuses["503"] != 1 {
			t.Errorf("pages %d, statuses %v", got.Pages, got.Statuses)
		}
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, never := range []string{"/private/x", "/private/y", "/nofollowed"} {
			if n := stats.Hosts[0].Requests[never]; n != 0 {
				t.Errorf("%s was asked for %d times", never, n)
			}
		}
		// What came of a body that broke off is kept, but not without another try.
		if n := stats.Hosts[0].Requests["/cut"]; n != 2 {
			t.Errorf("/cut, whose body breaks off, was asked for %d times, want 2", n)
		}
		if n := stats.Hosts[0].Requests["/target"]; n != 1 {
			t.Errorf("/target, to which two URLs redirect, was asked for %d times", n)
		}
	})
}

// TestPageLimit: a crawl stops at exactly its limit of pages, and calls that a finish.
func TestPageLimit(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-hosts", "3", "-pages", "200", "-links", "20")
		res := crawl(t, mode, driver.Job{Spec: specFor(s, fast), Sets: []string{"limits.pages=100"}, Processes: 2})
		got := res.Summary
		if got.Pages != 100 || got.Reason != "limit:pages" || len(res.Items) != 100 {
			t.Errorf("pages %d, items %d, reason %q; want 100, 100, limit:pages", got.Pages, len(res.Items), got.Reason)
		}
	})
}

// TestItemsByRules: the spec's rules make the items.
func TestItemsByRules(t *testing.T) {
	t.Parallel()
	rules := `extract:
  - name: product
    match: "*/p/*"
    fields:
      name: {css: h1, required: true}
      number: {css: h1, regex: "Page ([0-9]+)", type: integer}
      price: {css: p.price, type: number}
      links: {css: "li a", attr: href, type: url, many: true}
      missing: {css: .nothing}
      page: {value: url}`
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-pages", "30", "-links", "6")
		res := crawl(t, mode, driver.Job{Spec: specFor(s, fast, rules)})
		wantOnce(t, "items", pages(s, 30)[1:], driver.CountURLs(res.Items))
		i := slices.IndexFunc(res.Items, func(i driver.Item) bool { return strings.HasSuffix(i.URL(), "/p/7") })
		if i < 0 {
			t.Fatal("no item of /p/7")
		}
		item := res.Items[i]
		if item["name"] != "Page 7 of host 0" || item["number"] != 7.0 || item["price"] != 107.5 ||
			item["page"] != item.URL() || item["_rule"] != "product" {
			t.Errorf("item %v", item)
		}
		if links, ok := item["links"].([]any); !ok || len(links) != 6 || !strings.HasPrefix(fmt.Sprint(links[0]), s.Info.Seeds[0]) {
			t.Errorf("links %v, want six absolute ones", item["links"])
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(item["_fetched_at"])); err != nil || time.Since(at) > time.Hour {
			t.Errorf("_fetched_at %v: %v", item["_fetched_at"], err)
		}
	})
}
