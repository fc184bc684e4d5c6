// Command frontierbench measures the frontier with its stores: pages of 50 links, of
// which 10 are new, through the steps of the scheduler's loop, with group commit and
// fsync. Each case is a process of its own, which is killed with SIGKILL in the middle
// of its work; another one takes the store up, and the time that takes is measured
// too, and that everything is there that was durable.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "frontierbench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	stores, shapes, sizes string
	pages, rounds         int
	partitions            int
	even                  float64
	cache                 int64
	dsn, dir, out         string
	profile               string
	short                 bool
	child, reopen         bool
}

func parse(args []string) (options, *flag.FlagSet, error) {
	var o options
	fs := flag.NewFlagSet("frontierbench", flag.ContinueOnError)
	fs.StringVar(&o.stores, "stores", "pebble,postgres", "stores to measure, of pebble and postgres, separated by commas")
	fs.StringVar(&o.shapes, "shapes", "zipf,skewed,wide", "how URLs are spread over hosts")
	fs.StringVar(&o.sizes, "urls", "1000000,10000000", "numbers of URLs in the store before the pages that are measured")
	fs.IntVar(&o.pages, "pages", 20_000, "pages to measure")
	fs.IntVar(&o.rounds, "rounds", 1, "rounds, in which the cases take turns")
	fs.IntVar(&o.partitions, "partitions", 64, "partitions of the store")
	fs.Float64Var(&o.even, "even", 0.25, "share of the mentions of known URLs that are drawn evenly from all of their host; the others are of its first 64")
	fs.Int64Var(&o.cache, "cache", 0, "bytes of Pebble's cache; 0 for its default")
	fs.StringVar(&o.dsn, "dsn", "", "database for postgres, on this machine, whose schema public is dropped; default: that of a server started for it")
	fs.StringVar(&o.dir, "dir", "", "folder for stores; default: a temporary one")
	fs.StringVar(&o.out, "out", "test/bench/results", "folder of the results; empty for none")
	fs.StringVar(&o.profile, "profile", "", "write CPU profiles of the measured pages and the restart to files whose names begin so")
	fs.BoolVar(&o.short, "short", false, "100,000 URLs and few pages: shows that it works, its figures mean little")
	fs.BoolVar(&o.child, "child", false, "internal: be the process that is killed")
	fs.BoolVar(&o.reopen, "reopen", false, "internal: be the process that takes up what was left")
	if err := fs.Parse(args); err != nil {
		return o, fs, err
	}
	if o.short && !o.child && !o.reopen {
		o.sizes, o.pages = "100000", min(o.pages, 2000)
	}
	return o, fs, nil
}

// run is the program with its arguments; the report goes to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	o, fs, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.child || o.reopen {
		return beChild(ctx, o, stdout)
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "frontierbench-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.dir)
	}
	cases, err := o.cases()
	if err != nil {
		return err
	}
	if o.dsn == "" && strings.Contains(o.stores, "postgres") {
		server, failed := pgtest.Open(pgtest.Options{Durable: true, Settings: map[string]string{
			"shared_buffers": "1GB", "max_wal_size": "4GB", // a small server of its own, not a shared default
		}})
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		o.dsn = server.DSN()
	}
	r := report{
		Machine: measure.ThisMachine(), Commit: measure.Commit(ctx), Rounds: o.rounds, Pages: o.pages, Even: o.even,
		Command: "make bench-frontier" + given(fs), Load: measure.Load(), Cases: cases, At: time.Now().UTC(),
	}
	for round := range o.rounds {
		for _, c := range cases {
			got, err := o.measure(ctx, c)
			if err != nil {
				return fmt.Errorf("%s, %s, %d URLs: %w", c.Store, c.Shape, c.URLs, err)
			}
			c.Runs = append(c.Runs, got)
			fmt.Fprintf(os.Stderr, "round %d  %s\n", round+1, c.line())
		}
	}
	fmt.Fprintln(stdout, r.markdown())
	if o.out == "" {
		return nil
	}
	file, err := r.write(o.out)
	fmt.Fprintln(os.Stderr, "written to", file)
	return err
}

// cases are all combinations that the flags ask for.
func (o options) cases() ([]*benchCase, error) {
	var out []*benchCase
	for size := range strings.SplitSeq(o.sizes, ",") {
		urls, err := strconv.Atoi(size)
		if err != nil || urls < 1 {
			return nil, fmt.Errorf("-urls: %q is not a number of URLs", size)
		}
		for store := range strings.SplitSeq(o.stores, ",") {
			if store != "pebble" && store != "postgres" {
				return nil, fmt.Errorf("-stores: %q is not a store", store)
			}
			for shape := range strings.SplitSeq(o.shapes, ",") {
				if _, err := shapeOf(shape); err != nil {
					return nil, err
				}
				out = append(out, &benchCase{Store: store, Shape: shape, URLs: urls})
			}
		}
	}
	return out, nil
}

func shapeOf(name string) (shape, error) {
	all := shapes()
	i := slices.IndexFunc(all, func(s shape) bool { return s.name == name })
	if i < 0 {
		return shape{}, fmt.Errorf("-shapes: %q is none of zipf, skewed, wide", name)
	}
	return all[i], nil
}

// given are the flags that were set, as make passes them on.
func given(fs *flag.FlagSet) string {
	var out []string
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"out", "dir"}, f.Name) {
			out = append(out, "-"+f.Name+"="+f.Value.String())
		}
	})
	if len(out) == 0 {
		return ""
	}
	return " BENCHFLAGS='" + strings.Join(out, " ") + "'"
}

// engineFor is the store of a case.
func (o options) engineFor(store string) engine {
	if store == "postgres" {
		return postgresEngine{dsn: o.dsn, partitions: uint32(o.partitions)}
	}
	return pebbleEngine{dir: o.dir + "/pebble", partitions: uint32(o.partitions), cache: o.cache}
}

// beChild does what a child process is for.
func beChild(ctx context.Context, o options, stdout io.Writer) error {
	s, err := shapeOf(o.shapes)
	if err != nil {
		return err
	}
	urls, err := strconv.Atoi(o.sizes)
	if err != nil {
		return err
	}
	t := task{
		shape: s, even: o.even, urls: urls, pages: o.pages, engine: o.engineFor(o.stores),
		profile: o.profile, say: json.NewEncoder(stdout),
	}
	if o.reopen {
		return t.reopen(ctx)
	}
	return t.work(ctx)
}
