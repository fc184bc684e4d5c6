//go:build k8s

package k8s

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// page is one that the site has.
type page struct{ url, title string }

// subject is a site and the crawl of it.
type subject struct {
	in      *installation
	control site.Control
	pages   []page
	id      string
}

// weir runs a client command inside the cluster, from another namespace, through the
// Services.
func (s *subject) weir(ctx context.Context, stdin string, args ...string) (string, error) {
	args = append([]string{"-n", outside, "exec", "-i", "deployment/site", "--", "/weir"}, args...)
	return kubectl(ctx, stdin, args...)
}

// submit queues a crawl of all hosts.
func (s *subject) submit(ctx context.Context, t *testing.T, more string) {
	t.Helper()
	var seeds []string
	for i := range hosts {
		seeds = append(seeds, "http://"+siteHost(i)+"/")
	}
	spec := fmt.Sprintf("name: e2e\nseeds:\n  urls: [%s]\npoliteness: {delay: 0s, concurrency_per_host: %d}\n%s",
		strings.Join(seeds, ", "), hostConcurrency, more)
	out, err := s.weir(ctx, spec, "submit", "--close", "/dev/stdin")
	if err != nil {
		t.Fatal(err)
	}
	s.id = strings.TrimSpace(out)
}

// requests is how many the site has had.
func (s *subject) requests(ctx context.Context) (int, error) {
	stats, err := s.control.Stats(ctx)
	return stats.Total(), err
}

// reached waits until the site has been asked for n pages.
func (s *subject) reached(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	err := await(ctx, fmt.Sprintf("request %d", n), func() (bool, error) {
		got, err := s.requests(ctx)
		return err == nil && got >= n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// summary is how the crawl stands.
func (s *subject) summary(ctx context.Context) (driver.Summary, error) {
	out, err := s.weir(ctx, "", "status", s.id, "--json")
	if err != nil {
		return driver.Summary{}, err
	}
	return driver.ParseSummary(out)
}

func ended(state string) bool {
	return state == "finished" || state == "cancelled" || state == "failed"
}

// running fails the test when the crawl has ended already.
func (s *subject) running(ctx context.Context, t *testing.T, what string) {
	t.Helper()
	sum, err := s.summary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("after %s: %d of %d done", what, sum.Ledger.Done, len(s.pages))
	if ended(sum.State) {
		t.Fatalf("the crawl is %s after %s: the site was too small for this machine", sum.State, what)
	}
}

// finish waits for the end of the crawl. The command may be cut off by what the test does
// to the pods it talks to, so it is asked again.
func (s *subject) finish(ctx context.Context, t *testing.T) driver.Summary {
	t.Helper()
	var sum driver.Summary
	var last error
	err := await(ctx, "the end of the crawl", func() (bool, error) {
		sum, last = s.summary(ctx)
		return last == nil && ended(sum.State), nil
	})
	if err != nil {
		t.Fatalf("%v: %+v, %v\n%v", err, sum, last, s.in.explain(t.Context()))
	}
	return sum
}

// check compares what is left of the crawl with the site, one page after another: each has
// one item with its own title, each was fetched, no attempt was burnt, and no more than
// refetch requests were made again.
func (s *subject) check(ctx context.Context, t *testing.T, sum driver.Summary, refetch int) {
	t.Helper()
	n := uint64(len(s.pages))
	if err := sum.Ledger.Balance(); err != nil {
		t.Error(err)
	}
	if sum.State != "finished" || sum.Ledger.Done != n || sum.Ledger.Discovered != n || sum.Pages != n || sum.Items != n {
		t.Errorf("summary %+v; want %d of everything", sum, n)
	}
	s.checkItems(ctx, t)
	s.checkAttempts(ctx, t)
	stats, err := s.control.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	asked, never, again, most := stats.Requests(), 0, 0, 0
	for _, p := range s.pages {
		got := asked[p.url]
		if got == 0 {
			never++
		}
		again += max(got-1, 0)
		most = max(most, got)
	}
	if never > 0 {
		t.Errorf("%d pages were never asked for", never)
	}
	if extra := stats.Total() - (len(s.pages) - never) - again; extra != 0 {
		t.Errorf("%d requests for what the site does not have", extra)
	}
	t.Logf("%d pages in %.1f s by the crawl's clock (%.0f/s), %d requests again (at most %d of one URL, %d allowed in all)",
		n, sum.DurationSeconds, float64(n)/sum.DurationSeconds, again, most, refetch)
	if again > refetch {
		t.Errorf("%d requests again, at most %d allowed", again, refetch)
	}
}

func (s *subject) checkItems(ctx context.Context, t *testing.T) {
	t.Helper()
	out, err := s.weir(ctx, "", "export", s.id, "-o", "-", "--format", "jsonl", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string][]string{}, map[string][]string{}
	for _, p := range s.pages {
		want[p.url] = []string{p.title}
	}
	for line := range strings.Lines(out) {
		var i driver.Item
		if err := json.Unmarshal([]byte(line), &i); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		got[i.URL()] = append(got[i.URL()], i.Title())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%.3000s", diff)
	}
}

// checkAttempts looks at the frontier's count of attempts of each URL, and at the log.
func (s *subject) checkAttempts(ctx context.Context, t *testing.T) {
	t.Helper()
	out, err := s.weir(ctx, "", "urls", s.id, "--json")
	if err != nil {
		t.Fatal(err)
	}
	burnt, seen := 0, 0
	for line := range strings.Lines(out) {
		var u struct {
			URL      string
			State    string
			Attempts int
		}
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		seen++
		if u.Attempts != 1 {
			if burnt++; burnt <= 5 {
				t.Errorf("%s is %s after %d attempts", u.URL, u.State, u.Attempts)
			}
		}
	}
	if seen != len(s.pages) || burnt > 0 {
		t.Errorf("%d URLs, %d of them with other than one attempt; want %d and none", seen, burnt, len(s.pages))
	}
	if out, err = s.weir(ctx, "", "dead", s.id); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("dead letters: %.500s %v", out, err)
	}
}
