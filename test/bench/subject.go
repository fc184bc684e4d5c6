package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weircrawl/weir/test/bench/loop"
	"github.com/weircrawl/weir/test/driver"
)

// Task is a loop to run, as the benchmark hands it to a process of its own.
type Task struct {
	// Kind is Bare, Logged or Colly.
	Kind Kind `json:"kind"`
	// Options of the loop.
	Options loop.Options `json:"options"`
}

// Outcome is what that process says.
type Outcome struct {
	// Pages that were crawled, Mallocs and AllocBytes in all.
	Pages      int    `json:"pages"`
	Mallocs    uint64 `json:"mallocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
}

// crawled is a run that is not checked yet.
type crawled struct {
	run   Run
	items map[string]int // by the URL of their page; nil for a loop, which only counts them
}

// measure crawls the workload's site with a subject; dir is for its files.
func (l *lab) measure(ctx context.Context, s Subject, dir string) (crawled, error) {
	switch s.Kind {
	case Bare, Logged, Colly:
		return l.loop(ctx, s, dir)
	case Embedded:
		return l.embedded(ctx, s, dir)
	default:
		return l.split(ctx, s, dir)
	}
}

func (l *lab) loop(ctx context.Context, s Subject, dir string) (crawled, error) {
	t := Task{Kind: s.Kind, Options: loop.Options{Seeds: l.site.Info.Seeds, Workers: l.w.workers(s), Delay: l.w.Delay}}
	if s.Kind == Logged {
		t.Options.Log = filepath.Join(dir, "bodies.s2")
	}
	arg, err := json.Marshal(t)
	if err != nil {
		return crawled{}, err
	}
	argv := slices.Concat(l.wrap(), []string{l.self, "-loop", string(arg)})
	out := crawled{run: newRun()}
	begin := startClock(dir)
	p, err := driver.Start(driver.Command{Name: "loop", Path: argv[0], Args: argv[1:], Logs: dir})
	if err != nil {
		return out, err
	}
	defer func() { _ = p.Kill() }() // it has ended, unless the context has
	code, err := p.Wait(ctx)
	if err != nil {
		return out, err
	}
	begin.stop(&out.run)
	if code != 0 {
		return out, fmt.Errorf("exit code %d\n%s", code, p.Tail())
	}
	var told Outcome
	if err := json.Unmarshal([]byte(p.Stdout()), &told); err != nil {
		return out, fmt.Errorf("the loop's outcome: %w", err)
	}
	out.run.Pages = told.Pages
	if t.Options.Log != "" {
		out.run.Kept = folderSize(t.Options.Log, "")
	}
	out.run.Mallocs, out.run.AllocBytes = float64(told.Mallocs)/float64(told.Pages), float64(told.AllocBytes)/float64(told.Pages)
	return out, out.run.add(string(s.Kind), p, 0)
}

// job crawls the workload's site.
func (l *lab) job(s Subject) driver.Job {
	politeness := fmt.Sprintf("{delay: 0s, concurrency_per_host: %d}", l.w.PerHost)
	if l.w.Delay > 0 {
		politeness = fmt.Sprintf("{delay: %v, concurrency_per_host: 1}", l.w.Delay)
	}
	j := driver.Job{Spec: "name: bench\nseeds:\n  urls: [" + strings.Join(l.site.Info.Seeds, ", ") + "]\npoliteness: " + politeness + "\n"}
	if s.Kind == Embedded {
		j.Fetchers, j.Parsers = s.Width, s.Width
	}
	return j
}

func (l *lab) embedded(ctx context.Context, s Subject, dir string) (crawled, error) {
	job := l.job(s)
	var ports driver.Ports
	defer func() { _ = ports.Close() }() // nobody waits for them
	admin, err := ports.Take(1)
	if err != nil {
		return crawled{}, err
	}
	job.Admin = admin[0]
	r, err := driver.NewRun(l.bin, dir, job)
	if err != nil {
		return crawled{}, err
	}
	r.Wrap(l.wrap()...)
	out := crawled{run: newRun()}
	begin := startClock(dir)
	p, err := r.Start()
	if err != nil {
		return out, err
	}
	defer func() { _ = p.Kill() }() // it has ended, unless the context has
	look := watch(ctx, p, job.Admin)
	code, err := p.Wait(ctx)
	begin.stop(&out.run)
	if err = errors.Join(err, look.end(&out.run)); err != nil {
		return out, err
	}
	if code != 0 {
		return out, fmt.Errorf("weir crawl: exit code %d\n%s", code, p.Tail())
	}
	sum, err := driver.ParseSummary(p.Stdout())
	if err != nil {
		return out, err
	}
	out.run.Pages = int(sum.Pages)
	if out.items, err = readItems(r.ItemsFile()); err != nil {
		return out, err
	}
	if err := sum.Ledger.Balance(); err != nil {
		return out, err
	}
	out.run.Kept = folderSize(r.DataDir(), "")
	out.run.Archive = folderSize(r.DataDir(), archiveFile) / float64(out.run.Pages)
	return out, out.run.add("weir", p, 0)
}
