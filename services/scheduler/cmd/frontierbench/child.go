package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// seedBatch is how many URLs a message of AddURLs may have.
	seedBatch = 1000
	// leastBatch and mostBatch bound the results that are applied together.
	leastBatch, mostBatch = 32, 64
	// warmUp is the share of the pages that are not measured.
	warmUp = 0.1
	// ackEvery is how often a child that waits to be killed says what is durable.
	ackEvery = 100 * time.Millisecond
)

// line is what a child process tells its parent, one JSON object a line.
type line struct {
	// Phase is filled, measured, running, ready or compacted.
	Phase string `json:"phase"`
	// Seconds and CPU seconds that the phase took, without the making of URLs.
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	// ServerCPU seconds of a database server.
	ServerCPU float64 `json:"server_cpu"`
	// Pages of the phase.
	Pages int `json:"pages"`
	// Discovered URLs that are durable.
	Discovered uint64 `json:"discovered"`
	// P50 and P99 of the seconds from the beginning of a batch until it is durable.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// Heap in use after a collection, resident memory, and the most of that.
	Heap int64 `json:"heap"`
	RSS  int64 `json:"rss"`
	Peak int64 `json:"peak"`
}

// task is what a child process does.
type task struct {
	shape   shape
	even    float64
	urls    int
	pages   int
	engine  engine
	profile string // how the names of files for CPU profiles begin
	say     *json.Encoder
}

// finisher waits for commits and keeps their times.
type finisher struct {
	commits chan pending
	done    chan error
	durable atomic.Uint64 // discovered URLs
	times   []float64     // seconds of batches with pages; read after close
}

// newFinisher starts a finisher; close ends it.
func newFinisher() *finisher {
	f := &finisher{commits: make(chan pending, 64), done: make(chan error, 1)}
	go func() {
		var failed error
		for p := range f.commits {
			if err := p.commit.Wait(); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			if p.pages > 0 {
				f.times = append(f.times, time.Since(p.since).Seconds())
			}
			f.durable.Store(p.discovered)
		}
		f.done <- failed
	}()
	return f
}

// close waits until all is durable.
func (f *finisher) close() error {
	close(f.commits)
	return <-f.done
}

// work fills a store, measures pages, and goes on with pages until it is killed.
func (t task) work(ctx context.Context) error {
	store, err := t.engine.open(ctx)
	if err != nil {
		return err
	}
	d, err := open(ctx, store)
	if err != nil {
		return err
	}
	w := newWorld(t.shape, t.even)
	seeds := func() [][]frontier.Candidate {
		cs := make([]frontier.Candidate, seedBatch)
		w.seeds(cs)
		return [][]frontier.Candidate{cs}
	}
	pages := func() [][]frontier.Candidate {
		batch := make([][]frontier.Candidate, leastBatch+w.rng.IntN(mostBatch-leastBatch+1))
		for i := range batch {
			batch[i] = make([]frontier.Candidate, links)
			w.page(batch[i])
		}
		return batch
	}
	err = t.phase(ctx, "filled", d, seeds, func(take func() [][]frontier.Candidate) (int, error) {
		if err := d.begin(); err != nil {
			return 0, err
		}
		for range (t.urls + seedBatch - 1) / seedBatch {
			if err := d.add(ctx, take()[0]); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	if err != nil {
		return err
	}
	visit := func(n int) func(func() [][]frontier.Candidate) (int, error) {
		return func(take func() [][]frontier.Candidate) (done int, err error) {
			for done < n && err == nil {
				var got int
				got, err = d.turn(ctx, take())
				done += got
			}
			return done, err
		}
	}
	if err := t.phase(ctx, "warm", d, pages, visit(int(warmUp*float64(t.pages)))); err != nil {
		return err
	}
	stop, err := t.startProfile("pages")
	if err != nil {
		return err
	}
	if err := t.phase(ctx, "measured", d, pages, visit(t.pages)); err != nil {
		return err
	}
	stop()
	return t.run(ctx, d, pages)
}

// phase does a piece of work beside the making of its URLs, and tells what it took.
func (t task) phase(ctx context.Context, name string, d *drive, mk func() [][]frontier.Candidate,
	work func(take func() [][]frontier.Candidate) (int, error)) error {
	fin := newFinisher()
	d.commits = fin.commits
	server, err := t.engine.serverCPU()
	if err != nil {
		return err
	}
	start, used := time.Now(), processCPU()
	gen := newGenerator(mk)
	pages, err := work(gen.take)
	if err := errors.Join(err, fin.close()); err != nil {
		return err
	}
	l := line{Phase: name, Seconds: time.Since(start).Seconds(), Pages: pages, Discovered: d.stats().Discovered}
	l.CPU = (processCPU() - used - gen.stop()).Seconds()
	after, err := t.engine.serverCPU()
	if err != nil {
		return err
	}
	l.ServerCPU = (after - server).Seconds()
	l.P50, l.P99 = quantile(fin.times, 0.5), quantile(fin.times, 0.99)
	err = l.memory()
	runtime.KeepAlive(d) // it is part of what memory told
	return errors.Join(err, t.say.Encode(l))
}

// run works until it is killed, and says what is durable.
func (t task) run(ctx context.Context, d *drive, pages func() [][]frontier.Candidate) error {
	fin := newFinisher()
	d.commits = fin.commits
	gen := newGenerator(pages)
	defer gen.stop()
	said := time.Now()
	for {
		if _, err := d.turn(ctx, gen.take()); err != nil {
			return err
		}
		if time.Since(said) < ackEvery {
			continue
		}
		said = time.Now()
		if err := t.say.Encode(line{Phase: "running", Discovered: fin.durable.Load()}); err != nil {
			return err
		}
	}
}

// reopen takes a store up that a killed process left, until leases can be handed out;
// then it makes the store as small as it gets.
func (t task) reopen(ctx context.Context) error {
	stop, err := t.startProfile("restart")
	if err != nil {
		return err
	}
	start := time.Now()
	store, err := t.engine.open(ctx)
	if err != nil {
		return err
	}
	d, err := open(ctx, store)
	if err != nil {
		return err
	}
	fin := newFinisher()
	d.commits = fin.commits
	if err := d.handOut(ctx, time.Now(), 0); err != nil {
		return err
	}
	if len(d.leased) == 0 && t.urls > inFlight {
		return fmt.Errorf("nothing to hand out after a restart with %d URLs", d.stats().Discovered)
	}
	stop()
	s := d.stats()
	if s.Accounted() != s.Discovered {
		return fmt.Errorf("the ledger is out after a restart: %+v", s)
	}
	l := line{Phase: "ready", Seconds: time.Since(start).Seconds(), Discovered: s.Discovered}
	err = errors.Join(l.memory(), t.say.Encode(l), fin.close())
	runtime.KeepAlive(d) // it is part of what memory told
	if err != nil {
		return err
	}
	start = time.Now()
	if err := errors.Join(t.engine.compact(ctx, store), store.Close()); err != nil {
		return err
	}
	return t.say.Encode(line{Phase: "compacted", Seconds: time.Since(start).Seconds()})
}

// startProfile begins a CPU profile of something, if one is wanted; call what it returns.
func (t task) startProfile(what string) (func(), error) {
	if t.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(t.profile + "-" + what + ".prof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that was cut off shows when it is read
	}, nil
}

// quantile of values that it sorts.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(q*float64(len(values)-1))]
}

// generator makes URLs on a thread of its own, so that what that costs can be told
// from the rest.
type generator struct {
	out  chan [][]frontier.Candidate
	quit chan struct{}
	used chan time.Duration
}

func newGenerator(mk func() [][]frontier.Candidate) *generator {
	g := &generator{out: make(chan [][]frontier.Candidate, 2), quit: make(chan struct{}), used: make(chan time.Duration, 1)}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		before := threadCPU()
		defer func() { g.used <- threadCPU() - before }()
		for {
			select {
			case g.out <- mk():
			case <-g.quit:
				return
			}
		}
	}()
	return g
}

// take waits for the next batch.
func (g *generator) take() [][]frontier.Candidate { return <-g.out }

// stop ends it and returns the processor time that it used.
func (g *generator) stop() time.Duration {
	close(g.quit)
	return <-g.used
}
