package e2e

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/test/driver"
)

var long = flag.Bool("long", false, "run the forms that take minutes")

// bin are the programs, built once by TestMain.
var bin = new(driver.Binaries)

func TestMain(m *testing.M) { os.Exit(driver.RunTests(m, bin)) }

// startSite starts a test site that ends with the test.
func startSite(t *testing.T, args ...string) *driver.Site {
	t.Helper()
	s, err := driver.StartSite(t.Context(), *bin, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// crawl runs a job to its end and checks what holds for every finished crawl.
func crawl(t *testing.T, mode driver.Mode, job driver.Job) driver.Result {
	t.Helper()
	ctx := driver.Limit(t, 10*time.Minute)
	start := time.Now()
	res, err := driver.Crawl(ctx, mode, *bin, t.TempDir(), job)
	if err != nil {
		t.Fatal(err)
	}
	sum := res.Summary
	t.Logf("%s: %d pages in %.2fs (%.2fs with start and stop)", mode, sum.Pages, sum.DurationSeconds, time.Since(start).Seconds())
	if err := sum.Ledger.Balance(); err != nil {
		t.Error(err)
	}
	if sum.State != "finished" || sum.Ledger.Leased != 0 {
		t.Errorf("state %q (%s), ledger %+v; want finished, nothing leased", sum.State, sum.Reason, sum.Ledger)
	}
	if uint64(len(res.Items)) != sum.Items {
		t.Errorf("%d items in the file, %d in the summary", len(res.Items), sum.Items)
	}
	return res
}

// inBothModes runs a scenario all in one process and as services.
func inBothModes(t *testing.T, scenario func(t *testing.T, mode driver.Mode)) {
	t.Helper()
	for _, mode := range driver.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			scenario(t, mode)
		})
	}
}

// specFor is a spec with the site's roots as seeds and more YAML below.
func specFor(s *driver.Site, more ...string) string {
	return "name: test\nseeds:\n  urls: [" + strings.Join(s.Info.Seeds, ", ") + "]\n" + strings.Join(more, "\n") + "\n"
}

// fast is politeness that only counts.
const fast = "politeness: {delay: 0s, concurrency_per_host: 8}"

// wantOnce checks that every URL of want is counted once and no other is.
func wantOnce(t *testing.T, what string, want []string, got map[string]int) {
	t.Helper()
	expected := make(map[string]int, len(want))
	for _, u := range want {
		expected[u] = 1
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		const most = 4000
		if len(diff) > most {
			diff = diff[:most] + "…"
		}
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
