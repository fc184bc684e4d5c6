// Command bench measures the built binary and writes what it found to
// test/bench/results (see package test/bench).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/test/bench"
	"github.com/weircrawl/weir/test/bench/loop"
	"github.com/weircrawl/weir/test/driver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	weir, out, only, task, guard, capacity string
	rounds                                 int
	budget                                 time.Duration
	short, fair, fresh                     bool
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.weir, "weir", "", "the binary to measure; default: built now")
	flag.StringVar(&o.out, "out", "test/bench/results", "folder of the results")
	flag.StringVar(&o.only, "only", "", "only the workloads whose names match this expression; the others' results of the same commit stay")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds at most; default: as many as each workload has")
	flag.DurationVar(&o.budget, "budget", 0, "begin no round that would end after this time; every workload has one before any has two")
	flag.BoolVar(&o.fresh, "fresh", false, "measure all anew; default: what an earlier benchmark of this commit has measured counts")
	flag.BoolVar(&o.short, "short", false, "small and quick: shows that it works, its figures mean little")
	flag.BoolVar(&o.fair, "fair", false, "only measure a small crawl alone and beside a big one")
	flag.StringVar(&o.guard, "guard", "", "only compare the ring's ratio to the bare loop with the one in this file, and fail when it is far worse")
	flag.StringVar(&o.capacity, "capacity", "", "only put the costs of this ring report (JSON) into test/bench/results/capacity.json and docs/capacity.md")
	flag.StringVar(&o.task, "loop", "", "only run a loop (JSON), for the benchmark itself")
	flag.Parse()
	if o.task != "" {
		return runLoop(ctx, o.task)
	}
	if o.capacity != "" {
		return bench.WriteCapacity(o.capacity, "test/bench/results/capacity.json", "docs/capacity.md")
	}
	dir, err := driver.TempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := driver.Build(ctx, dir)
	if err != nil {
		return err
	}
	if o.weir != "" {
		if bin.Weir, err = filepath.Abs(o.weir); err != nil {
			return err
		}
	}
	if o.fair {
		return runFair(ctx, bin, o)
	}
	return runRing(ctx, bin, o)
}

// runRing measures the whole ring.
func runRing(ctx context.Context, bin driver.Binaries, o options) error {
	cfg, name := bench.DefaultConfig(), "ring"
	switch {
	case o.guard != "":
		cfg, name = bench.GuardConfig(), "guard"
	case o.short:
		cfg, name = bench.ShortConfig(), "ring-short"
	}
	if o.rounds > 0 {
		cfg.Rounds = o.rounds
	}
	cfg.Budget = o.budget
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	cfg.Only(only)
	report := &bench.Report{
		Machine: measure.ThisMachine(), Commit: measure.Commit(ctx), Command: "make bench-ring" + flags(), Workloads: cfg.Workloads,
	}
	if !o.fresh && o.guard == "" && !o.short {
		if err := report.Load(o.out, name); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var file string
	b := bench.Bench{
		Config: cfg, Binaries: bin, Self: self, Report: report,
		Save: func(r *bench.Report) (err error) { file, err = r.Write(o.out, name); return err },
		Say:  func(line string) { fmt.Fprintln(os.Stderr, line) },
	}
	err = b.Measure(ctx)
	fmt.Fprintln(os.Stdout, report.Markdown())
	if file != "" {
		fmt.Fprintln(os.Stdout, "written to", file)
	}
	if err != nil || o.guard == "" {
		return err
	}
	said, err := bench.Guard(report, o.guard)
	fmt.Fprintln(os.Stdout, said)
	return err
}

// runLoop runs a loop in this process and says what it did.
func runLoop(ctx context.Context, arg string) error {
	var t bench.Task
	if err := json.Unmarshal([]byte(arg), &t); err != nil {
		return fmt.Errorf("-loop: %w", err)
	}
	crawl := loop.Bare
	if t.Kind == bench.Colly {
		crawl = loop.WithColly
	}
	n, err := crawl(ctx, t.Options)
	if err != nil {
		return err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return json.NewEncoder(os.Stdout).Encode(bench.Outcome{Pages: n, Mallocs: m.Mallocs, AllocBytes: m.TotalAlloc})
}

// runFair measures how a small crawl fares beside a big one.
func runFair(ctx context.Context, bin driver.Binaries, o options) error {
	f := bench.Fair{
		Machine: measure.ThisMachine(), Commit: measure.Commit(ctx), Command: "make bench-ring" + flags(), Load: measure.Load(),
		Many: 100_000, Few: 100, Hosts: 10, Latency: 20 * time.Millisecond,
	}
	rounds := 3
	if o.short {
		f.Many, rounds = 2000, 1
	}
	if o.rounds > 0 {
		rounds = o.rounds
	}
	if err := f.Measure(ctx, bin, rounds); err != nil {
		return err
	}
	f.At = time.Now().UTC()
	file, err := f.Write(o.out)
	fmt.Fprintln(os.Stdout, f.Markdown())
	fmt.Fprintln(os.Stdout, "written to", file)
	return err
}

// flags are those that make passes on.
func flags() string {
	var out []string
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "weir" && f.Name != "out" {
			out = append(out, "-"+f.Name+"="+f.Value.String())
		}
	})
	if len(out) == 0 {
		return ""
	}
	return " BENCHFLAGS='" + strings.Join(out, " ") + "'"
}
