package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/test/driver"
)

var (
	long = flag.Bool("long", false, "run the forms that take minutes")
	seed = flag.Uint64("seed", 1, "seed of the moments at which things are killed")
)

// bin are the programs, built once by TestMain.
var bin = new(driver.Binaries)

func TestMain(m *testing.M) { os.Exit(driver.RunTests(m, bin)) }

// beside runs the short form of a test beside others: it waits for its site most of the time.
func beside(t *testing.T) {
	if !*long {
		t.Parallel()
	}
}

// subject is a site and the job of crawling it.
type subject struct {
	site  *driver.Site
	job   driver.Job
	pages []string // URLs
}

// perHost is the number of pages of each of the four hosts.
func perHost() int {
	if *long {
		return 2500
	}
	return 250
}

// hostConcurrency bounds what can be between the site and the ring at a kill.
const hostConcurrency = 4

func newSubject(t *testing.T) subject {
	t.Helper()
	// The latency keeps the short form going long enough to be met in the middle: after
	// the last moment for two seconds at least.
	latency := "80ms"
	if *long {
		latency = "10ms"
	}
	sub := newSite(t, 4, perHost(), "-links", "40", "-page-bytes", "16384", "-cross-every", "4", "-latency", latency)
	sub.job.Spec += fmt.Sprintf("politeness: {delay: 0s, concurrency_per_host: %d}\n", hostConcurrency)
	return sub
}

// newSite starts a site and begins the spec of its crawl.
func newSite(t *testing.T, hosts, perHost int, args ...string) subject {
	t.Helper()
	args = append([]string{"-hosts", fmt.Sprint(hosts), "-pages", fmt.Sprint(perHost)}, args...)
	s, err := driver.StartSite(t.Context(), *bin, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	sub := subject{site: s}
	sub.job.Spec = "name: chaos\nseeds:\n  urls: [" + strings.Join(s.Info.Seeds, ", ") + "]\n"
	for _, root := range s.Info.Seeds {
		sub.pages = append(sub.pages, root)
		for i := 1; i < perHost; i++ {
			sub.pages = append(sub.pages, fmt.Sprintf("%sp/%d", root, i))
		}
	}
	return sub
}

// moments are n numbers of requests, in order, spread at random over the crawl.
func (s subject) moments(t *testing.T, n int) []int {
	t.Helper()
	t.Logf("seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 7))
	out := make([]int, n)
	for i := range out {
		out[i] = 1 + rng.IntN(len(s.pages)*9/10)
	}
	slices.Sort(out)
	return out
}

// reached waits until the site has been asked for n pages; false says that alive
// said no first.
func (s subject) reached(ctx context.Context, t *testing.T, n int, alive func() bool) bool {
	t.Helper()
	gone := false
	err := driver.Await(ctx, fmt.Sprintf("request %d", n), func() (bool, error) {
		stats, err := s.site.Stats(ctx)
		gone = !alive()
		return stats.Total() >= n || gone, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return !gone
}

// check compares the end of a crawl with the site: everything once in the items, and
// at most refetch pages fetched twice.
func (s subject) check(t *testing.T, res driver.Result, refetch int) {
	t.Helper()
	want := make(map[string]int, len(s.pages))
	for _, u := range s.pages {
		want[u] = 1
	}
	if diff := cmp.Diff(want, driver.CountURLs(res.Items)); diff != "" {
		t.Errorf("items (-want +got):\n%.4000s", diff)
	}
	sum, n := res.Summary, uint64(len(s.pages))
	if err := sum.Ledger.Balance(); err != nil {
		t.Error(err)
	}
	if sum.State != "finished" || sum.Ledger.Discovered != n || sum.Ledger.Done != n || sum.Pages != n || sum.Items != n {
		t.Errorf("summary %+v; want %d of everything", sum, n)
	}
	stats, err := s.site.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := stats.Requests()
	for _, u := range s.pages {
		if asked[u] == 0 {
			t.Errorf("%s was never asked for", u)
		}
	}
	again := stats.Total() - len(s.pages)
	t.Logf("%d pages, %d requests again; %.1fs by the crawl's clock", n, again, sum.DurationSeconds)
	if again < 0 || again > refetch {
		t.Errorf("%d requests again, at most %d allowed", again, refetch)
	}
}
