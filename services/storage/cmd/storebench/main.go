// Command storebench measures what a page of 16 KiB with three items costs in each
// catalogue, beside the same rows put into plain tables, and in the archive. All take
// turns, so that a busy machine is the same for all, and each figure is a median with
// its range. Processor time is what counts: of this process, and of the database server
// where there is one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "storebench:", err)
		os.Exit(1)
	}
}

// options of a run.
type options struct {
	rounds, pages, batch, before int
	out                          string
}

func run() error {
	o := options{}
	short := flag.Bool("short", false, "a quick look: 3 rounds of 2,560 pages")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds, in each of which all take a turn")
	flag.IntVar(&o.pages, "pages", 12800, "pages of a turn")
	flag.IntVar(&o.batch, "batch", 256, "pages of a commit")
	flag.IntVar(&o.before, "before", 100_000, "pages that are there before the first round")
	flag.StringVar(&o.out, "out", "test/bench/results", "folder for the report")
	flag.Parse()
	if *short {
		o.rounds, o.pages, o.before = 3, 2560, 0
	}
	dir, err := os.MkdirTemp("", "storebench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &report{
		Machine: measure.ThisMachine(), Commit: measure.Commit(context.Background()), Command: strings.Join(os.Args, " "), At: time.Now(), Load: measure.Load(),
		Rounds: o.rounds, Pages: o.pages, Batch: o.batch, Before: o.before,
	}
	// A server that waits for the disk, as real ones do.
	cluster, err := pgtest.Open(pgtest.Options{Durable: true, Settings: map[string]string{"shared_buffers": "256MB", "max_wal_size": "4GB"}})
	if err != nil {
		return err
	}
	if err := errors.Join(measureAll(context.Background(), o, r, dir, cluster.DSN()), cluster.Close()); err != nil {
		return err
	}
	file, err := r.write(o.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s\nwritten to %s\n", r.markdown(), file)
	return err
}

// measureAll opens all, fills them up, and lets them take turns.
func measureAll(ctx context.Context, o options, r *report, dir, dsn string) error {
	server := &postgres{dsn: dsn}
	var all []engine
	for _, open := range []func() (engine, error){
		func() (engine, error) { return openSQLite(ctx, filepath.Join(dir, "sqlite")) },
		func() (engine, error) { return openPlainSQLite(ctx, filepath.Join(dir, "plain")) },
		func() (engine, error) { return openPostgres(ctx, server) },
		func() (engine, error) { return openPlainPostgres(ctx, server) },
		func() (engine, error) { return openArchive(ctx, filepath.Join(dir, "archive")) },
	} {
		e, err := open()
		if err != nil {
			return err
		}
		defer e.close()
		all = append(all, e)
		r.Cases = append(r.Cases, &benchCase{Name: e.name()})
	}
	n := 0
	for i, e := range all {
		if r.Cases[i].Name == archiveName {
			continue
		}
		if err := turn(ctx, e, o.batch, 0, o.before); err != nil {
			return err
		}
	}
	n += o.before
	for round := range o.rounds {
		for i := range all {
			k := (i + round) % len(all) // nobody is always first
			f, err := measureTurn(ctx, all[k], server, o, n)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Cases[k].Name, err)
			}
			r.Cases[k].Turns = append(r.Cases[k].Turns, f)
		}
		n += o.pages
	}
	return nil
}

// turn stores pages in batches.
func turn(ctx context.Context, e engine, batch, from, pages int) error {
	for n := from; n < from+pages; n += batch {
		if err := e.store(ctx, makeBatch(n, min(batch, from+pages-n))); err != nil {
			return err
		}
	}
	return nil
}

func measureTurn(ctx context.Context, e engine, server *postgres, o options, from int) (figures, error) {
	f := figures{Pages: o.pages}
	before, err := server.cpu(ctx)
	if err != nil {
		return f, err
	}
	for n := from; n < from+o.pages; n += o.batch {
		b := makeBatch(n, min(o.batch, from+o.pages-n)) // not measured
		cpu, start := processCPU(), time.Now()
		if err := e.store(ctx, b); err != nil {
			return f, err
		}
		f.Seconds += time.Since(start).Seconds()
		f.CPU += (processCPU() - cpu).Seconds()
	}
	after, err := server.cpu(ctx)
	if e.server() {
		f.Server = (after - before).Seconds()
	}
	return f, err
}
