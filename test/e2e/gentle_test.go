package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/dnstest"
	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// TestCapPerAddress: 50 host names on one address, cap 2, hosts that could bear more
// and many fetchers: the address never sees more than 2 requests at once.
func TestCapPerAddress(t *testing.T) {
	t.Parallel()
	const names, perHost, limit = 50, 4, 2
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := startSite(t, "-pages", fmt.Sprint(perHost), "-links", "8", "-latency", "5ms")
		seed, err := url.Parse(s.Info.Seeds[0])
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.MustParseAddr(seed.Hostname())
		dns, err := dnstest.Start(func(name string) []netip.Addr {
			if strings.HasSuffix(name, ".test") {
				return []netip.Addr{addr}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := dns.Close(); err != nil {
				t.Error(err)
			}
		})
		var seeds []string
		for i := range names {
			seeds = append(seeds, fmt.Sprintf("http://h%02d.test:%s/", i, seed.Port()))
		}
		crawl(t, mode, driver.Job{
			Spec: "name: test\nseeds:\n  urls: [" + strings.Join(seeds, ", ") + "]\n" +
				fmt.Sprintf("politeness: {delay: 0s, concurrency_per_host: 4, concurrency_per_ip: %d}\n", limit),
			Fetchers: 16, Processes: 2, DNS: dns.Addr(),
		})
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h := stats.Hosts[0]
		t.Logf("%d requests, %d at once", h.Total(), h.All.MaxConcurrent)
		if h.All.MaxConcurrent > limit || h.Total() != names*perHost {
			t.Errorf("%d requests, %d at once; want %d, at most %d at once", h.Total(), h.All.MaxConcurrent, names*perHost, limit)
		}
	})
}

// TestRetryAfter: a host that answers 429 sees no request before the time that it asked
// for, in seconds or as a date, by its own clock. The other host is not held up by it.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, date := range map[string]bool{"seconds": false, "date": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothModes(t, func(t *testing.T, mode driver.Mode) {
				const pages = 10
				s := startSite(t, "-pages", fmt.Sprint(pages), "-links", "20")
				err := s.Set(t.Context(), site.Behaviour{Routes: map[string]site.Route{
					"/p/3": {FailFirst: 1, FailStatus: 429, RetryAfter: 5 * time.Second, RetryAfterDate: date},
				}})
				if err != nil {
					t.Fatal(err)
				}
				crawl(t, mode, driver.Job{Spec: specFor(s, "politeness: {delay: 0s, concurrency_per_host: 1, max_delay: 1s}"), Fetchers: 8, Processes: 2})
				stats, err := s.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if h := stats.Hosts[0]; h.Early != 0 || h.Throttled != 1 || h.Total() != pages+1 {
					t.Errorf("%d requests came too early after %d 429s, %d in all", h.Early, h.Throttled, h.Total())
				}
			})
		})
	}
}

// TestFast429s: they never make the next request come sooner than it would have,
// however fast they are.
func TestFast429s(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		const delay, pages = 150 * time.Millisecond, 8
		s := startSite(t, "-pages", fmt.Sprint(pages), "-links", "20")
		busy := site.Route{FailFirst: 1, FailStatus: 429}
		if err := s.Set(t.Context(), site.Behaviour{Routes: map[string]site.Route{"/p/1": busy, "/p/4": busy}}); err != nil {
			t.Fatal(err)
		}
		crawl(t, mode, driver.Job{
			Spec:     specFor(s, fmt.Sprintf("politeness: {delay: %v, adaptive: true, concurrency_per_host: 1, max_delay: 1s}", delay)),
			Fetchers: 8, Processes: 2,
		})
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h := stats.Hosts[0]
		t.Logf("least gap %v over %d", h.All.MinGap, h.All.Gaps)
		if h.Statuses[429] != 2 || h.Total() != pages+2 || h.All.MinGap < delay || h.All.MaxConcurrent != 1 {
			t.Errorf("statuses %v, pace %+v; want gaps of %v", h.Statuses, h.All, delay)
		}
	})
}

// TestTwoCrawlsOfOneHost together never exceed its budget, and a host that is blocked
// is left alone until it is unblocked: the commands say why.
func TestTwoCrawlsOfOneHost(t *testing.T) {
	t.Parallel()
	const delay, pages = 100 * time.Millisecond, 12
	ctx := driver.Limit(t, 10*time.Minute)
	web := startSite(t, "-pages", fmt.Sprint(pages), "-links", "24")
	s := startServer(t)
	weir := func(args ...string) string {
		t.Helper()
		out, err := s.Weir(ctx, args...)
		if err != nil {
			t.Fatalf("%v\n%s", err, s.Proc().Tail())
		}
		return out
	}
	origin := strings.TrimSuffix(web.Info.Seeds[0], "/")
	if out := weir("host", origin, "--block", "--note", "for the test"); !strings.Contains(out, "blocked") {
		t.Fatalf("host: %s", out)
	}
	var ids []string
	for i := range 2 {
		id, err := s.Submit(ctx, driver.Job{Spec: specFor(web, fmt.Sprintf("politeness: {delay: %v, concurrency_per_host: 1}", delay)), Sets: []string{fmt.Sprintf("name=crawl%d", i)}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if out := weir("explain", "crawl0", origin+"/"); !strings.Contains(out, "host is blocked: for the test") {
		t.Errorf("explain: %s", out)
	}
	if out := weir("hosts", "crawl1"); !strings.Contains(out, "blocked") {
		t.Errorf("hosts: %s", out)
	}
	if stats, err := web.Stats(ctx); err != nil || len(stats.Hosts[0].Order) != 0 {
		t.Fatalf("a blocked host was visited: %v, %v", stats.Hosts[0].Order, err)
	}
	weir("host", origin, "--unblock")
	for _, id := range ids {
		weir("wait", id)
	}
	stats, err := web.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h := stats.Hosts[0]
	t.Logf("%d requests, least gap %v", h.Total(), h.All.MinGap)
	if h.Total() != 2*pages || h.All.MaxConcurrent != 1 || h.All.MinGap < delay {
		t.Errorf("%d requests, pace %+v; want %d, one at a time and gaps of %v", h.Total(), h.All, 2*pages, delay)
	}
	if n := strings.Count(weir("urls", "crawl0", "--state", "done"), "\n"); n != pages {
		t.Errorf("%d URLs done, want %d", n, pages)
	}
	var why struct {
		State string
		Log   []struct{ Status int }
	}
	if err := json.Unmarshal([]byte(weir("explain", "crawl1", origin+"/p/3", "--json")), &why); err != nil || why.State != "URL_STATE_DONE" || len(why.Log) != 1 || why.Log[0].Status != 200 {
		t.Errorf("explain: %+v, %v", why, err)
	}
	weir("delete", "crawl0", "--yes")
	if out := weir("ls"); strings.Contains(out, "crawl0") || !strings.Contains(out, "crawl1") {
		t.Errorf("ls after a deletion: %s", out)
	}
}
