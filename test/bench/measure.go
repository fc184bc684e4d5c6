package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/test/driver"
)

// Config of a benchmark.
type Config struct {
	// Hosts of the site, Pages of each host, PageBytes and Links of each page.
	Hosts, Pages, PageBytes, Links int
	// SlowPages of each host and SlowLatency are those of the site that answers slowly.
	SlowPages   int
	SlowLatency time.Duration
	// Rounds is how often each case is measured; the cases take turns.
	Rounds int
	// Widths are the numbers of fetchers and parsers to compare.
	Widths []int
	// Self is the program that runs the bare loop when it is given -bare.
	Self string `json:"-"`
}

// DefaultConfig is the site of the project's figures.
func DefaultConfig() Config {
	return Config{
		Hosts: 4, Pages: 2500, PageBytes: 16 << 10, Links: 40,
		SlowPages: 500, SlowLatency: 25 * time.Millisecond,
		Rounds: 3, Widths: []int{1, 2, 4, 8},
	}
}

// ShortConfig shows that everything works; its figures mean little.
func ShortConfig() Config {
	c := DefaultConfig()
	c.Pages, c.SlowPages, c.Rounds, c.Widths = 250, 50, 1, []int{1, 4}
	return c
}

// Run is one measurement.
type Run struct {
	// Pages that were crawled.
	Pages int `json:"pages"`
	// Seconds from the start of the work to its end. All in one process that includes
	// opening and closing the stores, in split mode submit, crawl and wait.
	Seconds float64 `json:"seconds"`
	// CPU seconds, user and system, by process.
	CPU map[string]float64 `json:"cpu_seconds"`
	// PeakMiB is the most memory held, by process.
	PeakMiB map[string]int64 `json:"peak_mib"`
}

// total CPU seconds.
func (r Run) total() float64 {
	var sum float64
	for _, s := range r.CPU {
		sum += s
	}
	return sum
}

// Case is something measured in every round.
type Case struct {
	// Name of the case.
	Name string `json:"name"`
	// Group of cases that are compared with each other.
	Group string `json:"group"`
	// Runs, one a round.
	Runs []Run `json:"runs"`

	measure func(ctx context.Context, dir string) (Run, error)
}

// lab is where cases are measured.
type lab struct {
	cfg  Config
	bin  driver.Binaries
	wrap []string // pins what is measured
	fast *driver.Site
	slow *driver.Site
}

// Measure runs all cases in all rounds; say gets a line for each measurement.
func Measure(ctx context.Context, b driver.Binaries, cfg Config, say func(string)) ([]*Case, error) {
	dir, err := driver.TempDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l := &lab{cfg: cfg, bin: b, wrap: []string{"taskset", "-c", measuredCPUs()}}
	if l.fast, err = l.site(ctx, dir, cfg.Pages, 0); err != nil {
		return nil, err
	}
	defer l.fast.Close()
	if l.slow, err = l.site(ctx, dir, cfg.SlowPages, cfg.SlowLatency); err != nil {
		return nil, err
	}
	defer l.slow.Close()

	cases := l.cases()
	for round := range cfg.Rounds {
		for _, c := range cases {
			work := filepath.Join(dir, fmt.Sprintf("%d-%s", round, strings.ReplaceAll(c.Name, " ", "-")))
			if err := os.Mkdir(work, 0o755); err != nil {
				return nil, fmt.Errorf("bench: %w", err)
			}
			run, err := c.measure(ctx, work)
			if err != nil {
				return nil, fmt.Errorf("bench %s: %w", c.Name, err)
			}
			c.Runs = append(c.Runs, run)
			say(fmt.Sprintf("round %d  %-32s %6d pages %8.0f pages/s %7.3f ms CPU a page",
				round+1, c.Name, run.Pages, float64(run.Pages)/run.Seconds, 1000*run.total()/float64(run.Pages)))
			if err := os.RemoveAll(work); err != nil {
				return nil, fmt.Errorf("bench: %w", err)
			}
		}
	}
	return cases, nil
}

// measuredCPUs are all processors but the first, which is the site's; with one
// processor they share it.
func measuredCPUs() string {
	n := measure.OnlineCPUs()
	if n < 2 {
		return "0"
	}
	return "1-" + strconv.Itoa(n-1)
}

func (l *lab) site(ctx context.Context, dir string, pages int, latency time.Duration) (*driver.Site, error) {
	logs, err := os.MkdirTemp(dir, "site-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return driver.StartPinnedSite(ctx, l.bin, logs, "0",
		"-hosts", strconv.Itoa(l.cfg.Hosts), "-pages", strconv.Itoa(pages), "-links", strconv.Itoa(l.cfg.Links),
		"-page-bytes", strconv.Itoa(l.cfg.PageBytes), "-cross-every", "4", "-latency", latency.String())
}

// Groups of cases.
const (
	groupRing  = "The whole ring against a bare loop"
	groupWide  = "Fetchers and parsers, all in one process"
	groupSlow  = "Fetchers and parsers, all in one process, on a slow site"
	groupSplit = "Fetchers and parsers as processes"
)

func (l *lab) cases() []*Case {
	out := []*Case{
		{Name: "bare loop", Group: groupRing, measure: l.bare},
		{Name: "all in one", Group: groupRing, measure: l.allInOne(l.fast, 0)},
	}
	for _, n := range l.cfg.Widths {
		out = append(out, &Case{Name: fmt.Sprintf("split %d+%d", n, n), Group: groupSplit, measure: l.split(n)})
	}
	for _, n := range l.cfg.Widths {
		out = append(out,
			&Case{Name: fmt.Sprintf("all in one %d+%d", n, n), Group: groupWide, measure: l.allInOne(l.fast, n)},
			&Case{Name: fmt.Sprintf("all in one %d+%d slow site", n, n), Group: groupSlow, measure: l.allInOne(l.slow, n)})
	}
	return out
}

func (l *lab) bare(ctx context.Context, dir string) (Run, error) {
	argv := slices.Concat(l.wrap, []string{l.cfg.Self, "-bare", strings.Join(l.fast.Info.Seeds, ",")})
	start := time.Now()
	p, err := driver.Start(driver.Command{Name: "bare", Path: argv[0], Args: argv[1:], Logs: dir})
	if err != nil {
		return Run{}, err
	}
	code, err := p.Wait(ctx)
	if err != nil {
		return Run{}, err
	}
	r := Run{Seconds: time.Since(start).Seconds(), CPU: map[string]float64{}, PeakMiB: map[string]int64{}}
	if code != 0 {
		return r, fmt.Errorf("exit code %d\n%s", code, p.Tail())
	}
	if r.Pages, err = strconv.Atoi(strings.TrimSpace(p.Stdout())); err != nil {
		return r, err
	}
	return r, r.add("bare loop", p, 0)
}

// add notes what a process used beyond what it had used before.
func (r *Run) add(name string, p *driver.Proc, before time.Duration) error {
	cpu, err := p.CPU()
	if err != nil {
		return err
	}
	rss, err := p.PeakRSS()
	if err != nil {
		return err
	}
	r.CPU[name] += (cpu - before).Seconds()
	r.PeakMiB[name] = max(r.PeakMiB[name], rss>>20)
	return nil
}

// job crawls a site as fast as it answers.
func (l *lab) job(s *driver.Site, width int) driver.Job {
	return driver.Job{
		Spec: "name: bench\nseeds:\n  urls: [" + strings.Join(s.Info.Seeds, ", ") + "]\n" +
			"politeness: {delay: 0s, concurrency_per_host: 16}\n",
		Fetchers: width, Parsers: width,
	}
}

func (l *lab) allInOne(s *driver.Site, width int) func(context.Context, string) (Run, error) {
	return func(ctx context.Context, dir string) (Run, error) {
		r, err := driver.NewRun(l.bin, dir, l.job(s, width))
		if err != nil {
			return Run{}, err
		}
		r.Wrap(l.wrap...)
		start := time.Now()
		p, err := r.Start()
		if err != nil {
			return Run{}, err
		}
		res, err := r.Finish(ctx, p)
		if err != nil {
			return Run{}, err
		}
		out := Run{Seconds: time.Since(start).Seconds(), Pages: int(res.Summary.Pages), CPU: map[string]float64{}, PeakMiB: map[string]int64{}}
		return out, out.add("weir", p, 0)
	}
}

func (l *lab) split(width int) func(context.Context, string) (Run, error) {
	return func(ctx context.Context, dir string) (_ Run, err error) {
		c, err := driver.StartCluster(ctx, l.bin, dir, driver.ClusterConfig{Fetchers: width, Parsers: width, Wrap: l.wrap})
		if err != nil {
			return Run{}, err
		}
		defer func() {
			if stopErr := c.Close(); err == nil {
				err = stopErr
			}
		}()
		before := map[string]time.Duration{}
		for _, name := range c.Names() {
			if before[name], err = c.Proc(name).CPU(); err != nil {
				return Run{}, err
			}
		}
		start := time.Now()
		id, err := c.Submit(ctx, l.job(l.fast, width))
		if err != nil {
			return Run{}, err
		}
		if _, err := c.Weir(ctx, "wait", id); err != nil {
			return Run{}, err
		}
		out := Run{Seconds: time.Since(start).Seconds(), CPU: map[string]float64{}, PeakMiB: map[string]int64{}}
		for _, name := range c.Names() {
			service, _, _ := strings.Cut(name, "-")
			if err := out.add(service, c.Proc(name), before[name]); err != nil {
				return Run{}, err
			}
		}
		sum, err := c.Status(ctx, id)
		out.Pages = int(sum.Pages)
		return out, err
	}
}
