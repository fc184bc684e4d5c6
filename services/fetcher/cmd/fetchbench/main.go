//go:build linux

// Command fetchbench measures what a fetch costs, beside a bare net/http loop that
// reads the same pages from the same site in the same run. The site is a process of
// its own, on another core where there is one. The cases take turns, and what counts is
// the processor time of this process, garbage collection included: compare the ratios.
//
// A fetch does more than the bare loop: it hashes the page and compresses it once for
// the bus and the archive. The bare loop is measured with these added one by one, so
// that what is left is the cost of the limits, the guard and the outcome.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var cfg config
	site := flag.Int("site", 0, "serve pages of this many bytes and print the address (used by the command itself)")
	flag.IntVar(&cfg.rounds, "rounds", 7, "rounds in which the cases take turns")
	flag.IntVar(&cfg.pages, "pages", 8000, "pages a case and round")
	flag.IntVar(&cfg.workers, "workers", 16, "exchanges at a time")
	flag.StringVar(&cfg.sizes, "sizes", "4,16,64", "lengths of the pages in KiB")
	flag.StringVar(&cfg.out, "out", "", "also write the report to this file")
	flag.Parse()
	err := error(nil)
	if *site > 0 {
		err = serve(os.Stdout, *site)
	} else {
		err = run(os.Stdout, cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetchbench:", err)
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	rounds, pages, workers int
	sizes, out             string
}

// figure is what one case took in one round, for each page.
type figure struct {
	cpu, wall time.Duration
}

// run measures all lengths and writes the report.
func run(w io.Writer, cfg config) error {
	var report bytes.Buffer
	heading(&report, cfg)
	for s := range strings.SplitSeq(cfg.sizes, ",") {
		kib := 0
		if _, err := fmt.Sscan(s, &kib); err != nil || kib < 1 {
			return fmt.Errorf("size %q is not a number of KiB", s)
		}
		if err := size(&report, cfg, kib<<10); err != nil {
			return fmt.Errorf("pages of %d KiB: %w", kib, err)
		}
	}
	if _, err := w.Write(report.Bytes()); err != nil {
		return err
	}
	if cfg.out == "" {
		return nil
	}
	return os.WriteFile(cfg.out, report.Bytes(), 0o644)
}

func heading(w io.Writer, cfg config) {
	fmt.Fprintf(w, "# Benchmark of a fetch, %s, %s\n\n", commit(), time.Now().UTC().Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(w, "`make bench-fetch` on %s, %d cores, %s; load %s at the beginning.\n\n", processor(), runtime.NumCPU(), runtime.Version(), load())
	fmt.Fprintf(w, "One site on loopback in a process of its own, %d exchanges at a time over connections that are kept. Each figure is the median of n = %d rounds of %d pages in which the cases took turns, with the least and the greatest. CPU is that of the client's process; the ratio is that of each round to the bare loop of the same round.\n\n", cfg.workers, cfg.rounds, cfg.pages)
	fmt.Fprint(w, "- bare: net/http, the page read into a buffer\n- bare + hashes: and its SHA-256 and CRC-32\n- bare + hashes + deflate: and compressed at level 1, by the fetcher's own code, as the bus and the archive have it\n- fetch: the fetcher's client, with all of that, guard, limits, deadlines, header and timings\n")
}

// size measures pages of one length.
func size(w io.Writer, cfg config, bytes int) error {
	addr, stop, err := startSite(bytes)
	if err != nil {
		return err
	}
	defer stop()
	cases, closeAll := cases(addr, bytes, cfg.workers)
	defer closeAll()
	figures := make([][]figure, len(cases))
	for round := -1; round < cfg.rounds; round++ {
		for i := range cases {
			runtime.GC()
			pages := cfg.pages
			if round < 0 {
				pages = max(1, pages/10) // warms up
			}
			f, err := measure(cases[i].do, pages, cfg.workers)
			if err != nil {
				return fmt.Errorf("%s: %w", cases[i].name, err)
			}
			if round >= 0 {
				figures[i] = append(figures[i], f)
			}
		}
	}
	fmt.Fprintf(w, "\n## Pages of %d KiB\n\n| case | CPU µs a page | ratio | pages/s |\n|---|---|---|---|\n", bytes>>10)
	for i := range cases {
		var cpu, ratio, rate []float64
		for r, f := range figures[i] {
			cpu = append(cpu, float64(f.cpu)/1e3)
			ratio = append(ratio, float64(f.cpu)/float64(figures[0][r].cpu))
			rate = append(rate, float64(time.Second)/float64(f.wall))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", cases[i].name, spread(cpu, 1), spread(ratio, 2), spread(rate, 0))
	}
	rest(w, figures)
	return nil
}

// rest is what a fetch costs without what hashing and compressing the page cost the
// bare loop in the same round: the goal is 1.3 at 16 KiB.
func rest(w io.Writer, figures [][]figure) {
	var cpu, ratio []float64
	for r, bare := range figures[0] {
		v := figures[3][r].cpu - (figures[2][r].cpu - bare.cpu)
		cpu = append(cpu, float64(v)/1e3)
		ratio = append(ratio, float64(v)/float64(bare.cpu))
	}
	fmt.Fprintf(w, "| fetch less hashes and deflate | %s | %s | |\n", spread(cpu, 1), spread(ratio, 2))
}

// spread is the median with the least and the greatest.
func spread(v []float64, digits int) string {
	slices.Sort(v)
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, v[len(v)/2], digits, v[0], digits, v[len(v)-1])
}

// measure does the pages with some workers.
func measure(do func(worker int) error, pages, workers int) (figure, error) {
	before, err := used()
	if err != nil {
		return figure{}, err
	}
	start := time.Now()
	errs := make(chan error, workers)
	for worker := range workers {
		go func() {
			for range pages / workers {
				if err := do(worker); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range workers {
		if e := <-errs; e != nil {
			err = e
		}
	}
	wall := time.Since(start)
	after, uerr := used()
	if err == nil {
		err = uerr
	}
	n := time.Duration(pages / workers * workers)
	return figure{cpu: (after - before) / n, wall: wall / n}, err
}

// used is the processor time of this process so far.
func used() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return "unknown commit"
	}
	return strings.TrimSpace(string(out))
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	return strings.Join(f[:min(3, len(f))], " ")
}
