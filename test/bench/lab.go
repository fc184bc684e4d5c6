package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// Bench measures workloads.
type Bench struct {
	// Config says what.
	Config Config
	// Binaries that are measured, and Self, the program that runs a loop when it is
	// given -loop and a Task.
	Binaries driver.Binaries
	Self     string
	// Report takes the runs; those that it has are not measured again.
	Report *Report
	// Save is called with the report after every run.
	Save func(*Report) error
	// Say gets a line for each run.
	Say func(string)
}

// runLimit bounds one run, so that one that hangs does not cost the others' time.
const runLimit = 15 * time.Minute

// Measure does all rounds of all workloads: the first round of each, then the second of
// each and so on, so that a budget that runs out leaves every workload with some. In a
// round the subjects take turns. A run that fails is noted and the others go on; the
// error tells that there were some.
func (b *Bench) Measure(ctx context.Context) error {
	begin := time.Now()
	last := map[string]time.Duration{} // how long a round of a workload took
	failed := 0
	for round := 1; ; round++ {
		more := false
		for _, w := range b.Config.Workloads {
			if round > b.Config.rounds(w) {
				continue
			}
			more = true
			if left := b.Config.Budget - time.Since(begin); b.Config.Budget > 0 && left < last[w.Name] {
				b.Say(fmt.Sprintf("%s: no time for round %d, which takes %v", w.Name, round, last[w.Name].Round(time.Second)))
				continue
			}
			start := time.Now()
			n, err := b.round(ctx, w, round)
			if err != nil {
				return err
			}
			failed += n
			last[w.Name] = max(last[w.Name], time.Since(start))
		}
		if !more {
			break
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d runs do not count; the report says why", failed)
	}
	return nil
}

// round measures every subject of a workload once, save those whose run is there, and
// returns how many failed.
func (b *Bench) round(ctx context.Context, w Workload, round int) (failed int, err error) {
	var l *lab
	for _, s := range w.Subjects {
		if b.Report.has(w.Name, s.Name(), round) {
			continue
		}
		if l == nil {
			if l, err = b.open(ctx, w); err != nil {
				return failed, err
			}
			defer func() { err = errors.Join(err, l.close()) }()
		}
		run := l.try(ctx, s)
		run.Workload, run.Subject, run.Round = w.Name, s.Name(), round
		if ctx.Err() != nil {
			return failed, context.Cause(ctx)
		}
		if run.Error != "" {
			failed++
			b.Say(fmt.Sprintf("%-12s round %d  %-46s FAILED: %s", w.Name, round, run.Subject, run.Error))
		} else {
			b.Say(fmt.Sprintf("%-12s round %d  %-46s %6d pages %8.0f pages/s %7.3f ms CPU a page %5.0f MiB",
				w.Name, round, run.Subject, run.Pages, run.rate(), run.cpuPage(), run.peak()))
		}
		b.Report.Runs = append(b.Report.Runs, run)
		b.Report.At = time.Now().UTC()
		if err := b.Save(b.Report); err != nil {
			return failed, err
		}
	}
	return failed, nil
}

// lab is where a workload is measured: its site runs.
type lab struct {
	w    Workload
	bin  driver.Binaries
	self string
	dir  string
	site *driver.Site
}

func (b *Bench) open(ctx context.Context, w Workload) (*lab, error) {
	dir, err := driver.TempDir()
	if err != nil {
		return nil, err
	}
	l := &lab{w: w, bin: b.Binaries, self: b.Self, dir: dir}
	l.site, err = driver.StartPinnedSite(ctx, l.bin, dir, "0",
		"-hosts", strconv.Itoa(w.Hosts), "-pages", strconv.Itoa(w.Pages), "-links", strconv.Itoa(w.Links),
		"-page-bytes", strconv.Itoa(w.PageBytes), "-cross-every", "4",
		"-latency", w.Latency.String(), "-latency-max", w.LatencyMax.String())
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l, nil
}

func (l *lab) close() error {
	_ = l.site.Close() // killed, as it is asked to
	return os.RemoveAll(l.dir)
}

// wrap pins what is measured: to all processors but the first, which is the site's, and
// to all where there is only one or the workload says so.
func (l *lab) wrap() []string {
	n := measure.OnlineCPUs()
	cpus := "0-" + strconv.Itoa(n-1)
	if !l.w.BothCores && n > 1 {
		cpus = "1-" + strconv.Itoa(n-1)
	}
	return []string{"taskset", "-c", cpus}
}

// try measures a subject; what goes wrong is in the run.
func (l *lab) try(ctx context.Context, s Subject) Run {
	at, load := time.Now().UTC(), measure.Load()
	run, err := l.one(ctx, s)
	run.At, run.Load = at, load
	if err != nil {
		run = Run{At: at, Load: load, Error: err.Error()}
	}
	return run
}

func (l *lab) one(ctx context.Context, s Subject) (_ Run, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("the run took longer than %v", runLimit))
	defer cancel()
	work, err := os.MkdirTemp(l.dir, "run-")
	if err != nil {
		return Run{}, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := l.site.Reset(ctx); err != nil {
		return Run{}, err
	}
	c, err := l.measure(ctx, s, work)
	if err != nil {
		return Run{}, err
	}
	stats, err := l.site.Stats(ctx)
	if err != nil {
		return Run{}, err
	}
	if err := l.complete(c, stats); err != nil {
		return Run{}, err
	}
	c.run.Written /= float64(c.run.Pages)
	c.run.Kept /= float64(c.run.Pages)
	if l.w.Delay > 0 {
		if err := c.run.pace(stats, l.w.Delay); err != nil {
			return Run{}, err
		}
	}
	return c.run, nil
}

// complete returns an error unless every page of the site was visited once, and there
// is one item of each.
func (l *lab) complete(c crawled, stats site.Stats) error {
	if c.run.Pages != l.w.total() {
		return fmt.Errorf("%d pages of %d", c.run.Pages, l.w.total())
	}
	visits := stats.Requests()
	for _, seed := range l.site.Info.Seeds {
		for i := range l.w.Pages {
			u := seed
			if i > 0 {
				u += "p/" + strconv.Itoa(i)
			}
			if visits[u] != 1 {
				return fmt.Errorf("%s was visited %d times", u, visits[u])
			}
			if c.items != nil && c.items[u] != 1 {
				return fmt.Errorf("%s has %d items", u, c.items[u])
			}
		}
	}
	if len(visits) != l.w.total() || c.items != nil && len(c.items) != l.w.total() {
		return fmt.Errorf("%d pages were visited and %d have items, of %d", len(visits), len(c.items), l.w.total())
	}
	return nil
}

// tolerance is for the clocks and timers of two processes; a fetch that begins this
// much early is no violation.
const tolerance = time.Millisecond

// pace compares the time that the visits took with the least that delays and latencies
// allow, as the site saw it, robots.txt included. A violation is an error.
func (r *Run) pace(stats site.Stats, delay time.Duration) error {
	var first, last time.Time
	var least time.Duration
	r.MinGap = time.Hour
	for _, h := range stats.Hosts {
		if h.All.MaxConcurrent > 1 || h.All.MinGap < delay-tolerance {
			return fmt.Errorf("impolite: %s had %d visits at a time, and once %v after another", h.Host, h.All.MaxConcurrent, h.All.MinGap)
		}
		r.MinGap = min(r.MinGap, h.All.MinGap)
		if first.IsZero() || h.First.Before(first) {
			first = h.First
		}
		if h.Last.After(last) {
			last = h.Last
		}
		least = max(least, h.Busy+time.Duration(h.All.Gaps)*delay)
	}
	r.Score = least.Seconds() / last.Sub(first).Seconds()
	return nil
}
