// Command bench measures the built binary and writes what it found to
// test/bench/results (see package test/bench).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/test/bench"
	"github.com/weircrawl/weir/test/driver"
)

// bareWorkers keep the bare loop busy without adding to what it costs.
const bareWorkers = 16

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	weir := flag.String("weir", "", "the binary to measure; default: built now")
	short := flag.Bool("short", false, "small and quick: shows that it works, its figures mean little")
	out := flag.String("out", "test/bench/results", "folder of the results")
	rounds := flag.Int("rounds", 0, "rounds; default 3, and 1 with -short")
	pages := flag.Int("pages", 0, "pages of each of the four hosts; default 2500, and 250 with -short")
	bare := flag.String("bare", "", "only run the bare loop on these seeds (separated by commas)")
	fair := flag.Bool("fair", false, "only measure a small crawl alone and beside a big one")
	flag.Parse()
	if *bare != "" {
		n, err := bench.Bare(ctx, strings.Split(*bare, ","), bareWorkers)
		fmt.Fprintln(os.Stdout, n)
		return err
	}
	cfg := bench.DefaultConfig()
	if *short {
		cfg = bench.ShortConfig()
	}
	if *rounds > 0 {
		cfg.Rounds = *rounds
	}
	if *pages > 0 {
		cfg.Pages = *pages
		cfg.SlowPages = min(cfg.SlowPages, *pages)
	}
	var err error
	if cfg.Self, err = os.Executable(); err != nil {
		return err
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
	if *weir != "" {
		if bin.Weir, err = filepath.Abs(*weir); err != nil {
			return err
		}
	}
	if *fair {
		return runFair(ctx, bin, cfg.Rounds, *short, *out)
	}
	report := bench.Report{
		Machine: measure.ThisMachine(), Commit: measure.Commit(ctx), Config: cfg,
		Command: "make bench" + flags(),
	}
	report.Cases, err = bench.Measure(ctx, bin, cfg, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		return err
	}
	report.At = time.Now().UTC()
	file, err := report.Write(*out)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, report.Markdown())
	fmt.Fprintln(os.Stdout, "written to", file)
	return nil
}

// runFair measures how a small crawl fares beside a big one.
func runFair(ctx context.Context, bin driver.Binaries, rounds int, short bool, out string) error {
	f := bench.Fair{
		Machine: measure.ThisMachine(), Commit: measure.Commit(ctx), Command: "make bench" + flags(), Load: measure.Load(),
		Many: 100_000, Few: 100, Hosts: 10, Latency: 20 * time.Millisecond,
	}
	if short {
		f.Many = 2000
	}
	if err := f.Measure(ctx, bin, rounds); err != nil {
		return err
	}
	f.At = time.Now().UTC()
	file, err := f.Write(out)
	fmt.Fprintln(os.Stdout, f.Markdown())
	fmt.Fprintln(os.Stdout, "written to", file)
	return err
}

// flags are those that make bench passes on.
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
