package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weircrawl/weir/internal/testkit/site"
)

// TestBare: the loop that everything is compared with does the whole work.
func TestBare(t *testing.T) {
	t.Parallel()
	s, err := site.Start(site.Config{Hosts: 3, Pages: 40, Links: 8, PageBytes: 2048, CrossEvery: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	n, err := Bare(t.Context(), s.Seeds(), 4)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, u := range s.URLs() {
		want[u] = 1
	}
	if diff := cmp.Diff(want, s.Stats().Requests()); diff != "" || n != len(want) {
		t.Errorf("%d pages; requests (-want +got):\n%s", n, diff)
	}
	if _, err := Bare(t.Context(), []string{s.Seeds()[0] + "nowhere"}, 2); err == nil {
		t.Error("a page that is not there is no error")
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := Report{
		Commit: "abc", Command: "make bench", At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Config: DefaultConfig(),
		Cases: []*Case{
			{Name: "bare loop", Group: groupRing, Runs: []Run{
				{Pages: 1000, Seconds: 1, CPU: map[string]float64{"bare loop": 0.3}, PeakMiB: map[string]int64{"bare loop": 40}},
				{Pages: 1000, Seconds: 2, CPU: map[string]float64{"bare loop": 0.5}, PeakMiB: map[string]int64{"bare loop": 42}},
			}},
			{Name: "split 1+1", Group: groupSplit, Runs: []Run{
				{Pages: 1000, Seconds: 2, CPU: map[string]float64{"fetcher": 0.3, "nats": 0.5}, PeakMiB: map[string]int64{"fetcher": 30, "nats": 50}},
			}},
		},
	}
	got := r.Markdown()
	for _, want := range []string{
		"| bare loop | 750 (500 to 1000) | 0.400 (0.300 to 0.500) | 1.00 | 41 (40 to 42) |",
		"| split 1+1 | 500 | 0.800 | 0.50 | 80 |",
		"| case | fetcher | nats |",
		"| split 1+1 | 0.300 | 0.500 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}
