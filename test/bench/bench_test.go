package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// round is a report with a bare loop and two others in so many rounds.
func report(rounds int) *Report {
	r := &Report{
		Commit: "abc", Command: "make bench-ring", At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		Workloads: []Workload{{
			Name: "guard", Title: "Four hosts", Hosts: 4, Pages: 250, PageBytes: 16 << 10, Links: 40, PerHost: 16,
			Subjects: []Subject{{Kind: Bare}, {Kind: Embedded}, {Kind: Split}},
		}},
	}
	for i := range rounds {
		n := float64(i + 1)
		r.Runs = append(r.Runs,
			Run{Workload: "guard", Subject: "bare loop", Round: i + 1, Pages: 1000, Seconds: n, CPU: map[string]float64{"bare": 0.2 * n}, PeakMiB: map[string]int64{"bare": 40}},
			Run{Workload: "guard", Subject: "Weir embedded", Round: i + 1, Pages: 1000, Seconds: n, CPU: map[string]float64{"weir": 0.5 * n}, PeakMiB: map[string]int64{"weir": 100}, P50: 0.1, P99: 0.2},
			Run{Workload: "guard", Subject: "Weir split", Round: i + 1, Pages: 1000, Seconds: n, CPU: map[string]float64{"fetcher": 0.3 * n, "nats": 0.5 * n}, PeakMiB: map[string]int64{"fetcher": 30, "nats": 50}},
		)
	}
	return r
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := report(2)
	r.Runs = append(r.Runs, Run{Workload: "guard", Subject: "Weir split", Round: 3, Error: "9 pages of 10\nand more"})
	got := r.Markdown()
	for _, want := range []string{
		"| bare loop | 2 | 750 (500 to 1000) | 0.300 (0.200 to 0.400) | 1.00 (1.00 to 1.00) | 40 (40 to 40) |",
		"| Weir embedded | 2 | 750 (500 to 1000) | 0.750 (0.500 to 1.000) | 2.50 (2.50 to 2.50) | 100 (100 to 100) |",
		" | 100, 200 |\n",
		"| crawler | fetcher | nats |",
		"| Weir split | 0.450, 30 | 0.750, 50 |",
		"- guard, Weir split, round 3: 9 pages of 10\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestResume: a benchmark that was broken off goes on where it was, unless what it
// measures is another thing now.
func TestResume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := report(2)
	old.Runs[1].Error = "it hung"
	old.Workloads = append(old.Workloads, Workload{Name: "other"})
	old.Runs = append(old.Runs, Run{Workload: "other", Subject: "bare loop", Round: 1})
	if _, err := old.Write(dir, "ring"); err != nil {
		t.Fatal(err)
	}
	now := report(0)
	if err := now.Load(dir, "ring"); err != nil {
		t.Fatal(err)
	}
	if len(now.Workloads) != 2 || !now.has("guard", "bare loop", 2) || now.has("guard", "Weir embedded", 1) || !now.has("other", "bare loop", 1) {
		t.Errorf("resumed with %d workloads and %+v", len(now.Workloads), now.Runs)
	}
	changed := report(0)
	changed.Workloads[0].Pages++
	if err := changed.Load(dir, "ring"); err != nil {
		t.Fatal(err)
	}
	if changed.has("guard", "bare loop", 1) {
		t.Error("a run of another workload of the same name counts")
	}
	if err := report(0).Load(t.TempDir(), "ring"); err != nil {
		t.Errorf("no earlier benchmark: %v", err)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "guard.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"ratio": 2.0}`)
	if said, err := Guard(report(3), file); err != nil || !strings.Contains(said, "2.50 (2.50 to 2.50); committed: 2.00") {
		t.Errorf("a ratio of 2.5 where 2.0 is committed: %q, %v", said, err)
	}
	write(`{"ratio": 1.6}`)
	if _, err := Guard(report(3), file); err == nil {
		t.Error("a ratio of 2.5 is no gross loss where 1.6 is committed")
	}
	write(`{}`)
	if _, err := Guard(report(3), file); err == nil {
		t.Error("a file without a ratio guards")
	}
	if _, err := Guard(report(0), file); err == nil {
		t.Error("no run at all passes")
	}
}

// TestCommitted: the ratio that CI compares with can be read.
func TestCommitted(t *testing.T) {
	t.Parallel()
	if _, err := Guard(report(1), "results/guard.json"); err != nil && !strings.Contains(err.Error(), "times the committed one") {
		t.Error(err)
	}
}

// TestComplete: a run counts only if every page was visited once and has one item.
func TestComplete(t *testing.T) {
	t.Parallel()
	s, err := site.Start(site.Config{Hosts: 2, Pages: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l := &lab{w: Workload{Hosts: 2, Pages: 2}, site: &driver.Site{Info: s.Info()}}
	urls := []string{s.Seeds()[0], s.Seeds()[0] + "p/1", s.Seeds()[1], s.Seeds()[1] + "p/1"}
	visited := func(times ...int) site.Stats {
		var out site.Stats
		for i, h := range s.Hosts() {
			out.Hosts = append(out.Hosts, site.HostStats{Host: h, Requests: map[string]int{"/robots.txt": 1, "/": times[2*i], "/p/1": times[2*i+1]}})
		}
		return out
	}
	items := func(times ...int) map[string]int {
		out := map[string]int{}
		for i, n := range times {
			out[urls[i]] = n
		}
		return out
	}
	for name, c := range map[string]struct {
		pages int
		items map[string]int
		stats site.Stats
		ok    bool
	}{
		"all once":        {4, items(1, 1, 1, 1), visited(1, 1, 1, 1), true},
		"a loop":          {4, nil, visited(1, 1, 1, 1), true},
		"a page too few":  {3, items(1, 1, 1, 1), visited(1, 1, 1, 1), false},
		"visited twice":   {4, items(1, 1, 1, 1), visited(1, 2, 1, 1), false},
		"an item twice":   {4, items(1, 1, 2, 1), visited(1, 1, 1, 1), false},
		"an item missing": {4, items(1, 1, 1), visited(1, 1, 1, 1), false},
	} {
		err := l.complete(crawled{run: Run{Pages: c.pages}, items: c.items}, c.stats)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	host := func(gaps int, busy, took, gap time.Duration) site.HostStats {
		return site.HostStats{First: at, Last: at.Add(took), Busy: busy, All: site.Pace{MaxConcurrent: 1, MinGap: gap, Gaps: gaps}}
	}
	const delay = 100 * time.Millisecond
	var r Run
	stats := site.Stats{Hosts: []site.HostStats{host(4, 600*time.Millisecond, 1100*time.Millisecond, delay), host(9, time.Second, 2*time.Second, delay+time.Millisecond)}}
	if err := r.pace(stats, delay); err != nil {
		t.Fatal(err)
	}
	if r.Score != 0.95 || r.MinGap != delay {
		t.Errorf("score %v, least gap %v", r.Score, r.MinGap)
	}
	stats.Hosts[0].All.MinGap = 98 * time.Millisecond
	if err := r.pace(stats, delay); err == nil {
		t.Error("a gap of 98 ms is no violation of 100 ms")
	}
	stats.Hosts[0].All.MinGap, stats.Hosts[0].All.MaxConcurrent = delay, 2
	if err := r.pace(stats, delay); err == nil {
		t.Error("two visits at a time are no violation")
	}
}

// TestBudget: every workload has its first round; when the time is over no other begins.
func TestBudget(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("nothing may start"))
	b := Bench{
		Config: Config{Workloads: []Workload{{Name: "guard", Rounds: 2, Subjects: []Subject{{Kind: Bare}}}}, Budget: time.Hour},
		Report: report(2), Say: func(string) {},
	}
	if err := b.Measure(ctx); err != nil {
		t.Errorf("all rounds are there, and yet: %v", err)
	}
	b.Report = report(1)
	if err := b.Measure(ctx); err == nil {
		t.Error("the second round was not begun")
	}
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, w := range DefaultConfig().Workloads {
		subjects := map[string]bool{}
		for _, s := range w.Subjects {
			if subjects[s.Name()] {
				t.Errorf("%s has two subjects named %q", w.Name, s.Name())
			}
			subjects[s.Name()] = true
		}
		if names[w.Name] || w.Rounds < 1 || len(w.Subjects) == 0 || w.total() == 0 {
			t.Errorf("workload %+v", w)
		}
		names[w.Name] = true
	}
	c := DefaultConfig()
	c.Only(regexp.MustCompile("^hosts4"))
	if len(c.Workloads) != 2 {
		t.Errorf("%d workloads begin with hosts4", len(c.Workloads))
	}
	if g := GuardConfig(); len(g.Workloads) != 1 {
		t.Errorf("the guard has %d workloads", len(g.Workloads))
	}
}
