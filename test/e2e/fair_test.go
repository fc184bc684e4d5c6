package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// TestSmallBesideBig: a crawl of many URLs on one slow host does not hold up a crawl of
// few on other hosts. By how much is measured by make bench-ring; here counts the order at
// the site.
func TestSmallBesideBig(t *testing.T) {
	t.Parallel()
	many := 2000
	if *long {
		many = 100_000
	}
	const hosts, perHost = 5, 20
	// between two requests of the small crawl, on four hosts at once, the big one has
	// time for a fraction of one; a turn that is out of order costs a whole window.
	const mostBetween = 100
	ctx := driver.Limit(t, 10*time.Minute)
	site := startSite(t, "-hosts", fmt.Sprint(hosts), "-pages", fmt.Sprint(many), "-links", "2", "-latency", "20ms")
	s := startServer(t)
	politeness := "politeness: {delay: 0s, concurrency_per_host: 1}\nparse: {follow_links: false}\n"
	big, err := s.Open(ctx, driver.Job{Spec: "name: big\nseeds: {urls: [" + site.Info.Seeds[0] + "]}\n" + politeness})
	if err != nil {
		t.Fatal(err)
	}
	add, err := s.Begin(strings.NewReader(strings.Join(urlsOf(site.Info.Seeds[0], many), "\n")), "add", big, "-")
	if err != nil {
		t.Fatal(err)
	}
	if code, err := add.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("weir add: exit code %d, %v\n%s", code, err, add.Tail())
	}
	var few []string
	for _, seed := range site.Info.Seeds[1:] {
		few = append(few, urlsOf(seed, perHost)...)
	}
	small, err := s.Submit(ctx, driver.Job{Spec: "name: small\nseeds: {urls: [" + strings.Join(few, ", ") + "]}\n" + politeness})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Weir(ctx, "wait", small); err != nil {
		t.Fatalf("%v\n%s", err, s.Proc().Tail())
	}
	stats, err := site.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Status(ctx, big)
	if err != nil {
		t.Fatal(err)
	}
	if sum.State != "running" || sum.Ledger.Queued == 0 {
		t.Errorf("the big crawl is %s with %d URLs queued: it was over first", sum.State, sum.Ledger.Queued)
	}
	var numbers []uint64
	for _, h := range stats.Hosts[1:] {
		if h.Total() != perHost {
			t.Errorf("%s was asked for %d pages, want %d", h.Host, h.Total(), perHost)
		}
		numbers = append(numbers, h.Sequence...)
	}
	slices.Sort(numbers)
	most := longest(numbers, stats.Hosts[0].Sequence)
	t.Logf("%d requests of the small crawl; at most %d of the big one between two of them", len(numbers), most)
	if most > mostBetween {
		t.Errorf("%d requests of the big crawl between two of the small one, at most %d allowed", most, mostBetween)
	}
}

// urlsOf are the first n pages of a host.
func urlsOf(root string, n int) []string {
	out := []string{root}
	for i := 1; i < n; i++ {
		out = append(out, fmt.Sprintf("%sp/%d", root, i))
	}
	return out
}

// longest is the greatest number of others between two neighbours of numbers; both
// are in order.
func longest(numbers, others []uint64) int {
	most, from := 0, 0
	for i, n := range numbers {
		to, _ := slices.BinarySearch(others, n)
		if i > 0 {
			most = max(most, to-from)
		}
		from = to
	}
	return most
}
