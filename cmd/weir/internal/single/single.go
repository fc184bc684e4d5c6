// Package single runs one crawl with the whole ring inside this process, from
// its spec to its items: what `weir crawl` does.
//
// One run, step by step:
//
//  1. Look at the data directory: is there a crawl, may it be touched?
//  2. Lock it, check the disk, save the spec, open the ring.
//  3. Create the crawl, or find it again; stream its seed files; close it.
//  4. Follow it to its end, showing progress and streaming items.
//  5. Export the items, stop the ring.
//
// A run that is interrupted, fails or is killed at any line goes on with Resume.
package single

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/allinone"
	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/datadir"
	"github.com/weircrawl/weir/cmd/weir/internal/output"
	"github.com/weircrawl/weir/cmd/weir/internal/progress"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/run"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// drainTime is how long an interrupted run waits for what is in hand. Whatever
// is not stored by then is done again after a resume.
const drainTime = 10 * time.Second

// startTime bounds the wait for the services at start, a recovery included.
const startTime = 2 * time.Minute

// errRingStopped: the ring ended without an error of its own, asked to or not.
var errRingStopped = errors.New("the ring stopped")

// Options of a run.
type Options struct {
	// Spec of the crawl, decoded, with a name and absolute paths of seed files.
	// Nil with Resume means the one in the data directory.
	Spec *crawlv1.CrawlSpec
	// Check refuses the spec in the data directory before anything runs; nil for no
	// check.
	Check func(*crawlv1.CrawlSpec) error
	// Settings of the process, with the data directory in Data.
	Settings *settings.Settings
	// Resume goes on with the crawl in the data directory.
	Resume bool
	// Targets are where the items go.
	Targets output.Targets
	// View shows progress, at most every Interval.
	View     progress.View
	Interval time.Duration
	// Stdin is read for a seed file named "-"; Stdout takes items for the target "-".
	Stdin  io.Reader
	Stdout io.Writer
	// Warn takes a line that the user should see although the run goes on, one at a time.
	Warn func(string)
	// Version of the program.
	Version string
}

// Run runs a crawl to its end and returns its summary. When ctx ends, what is in
// hand is finished, the summary's state is "interrupted", and the error is
// run.ErrStopping. A crawl that failed or was cancelled is in the summary, not
// in the error.
func Run(ctx context.Context, o Options) (summary.Summary, error) {
	if err := checkMarker(o); err != nil {
		return summary.Summary{}, err
	}
	dir, err := datadir.Open(o.Settings.Data)
	if err != nil {
		return summary.Summary{}, err
	}
	s, err := runIn(ctx, dir, o)
	s.DataDir = o.Settings.Data
	return s, errors.Join(err, dir.Close())
}

// checkMarker decides whether the data directory may be used as asked, before
// anything in it is touched.
func checkMarker(o Options) error {
	path := o.Settings.Data
	m, found := datadir.ReadMarker(path)
	name := "a crawl"
	if m.Name != "" {
		name = fmt.Sprintf("crawl %q", m.Name)
	}
	switch {
	case !found && o.Resume:
		return crawl.Errorf(crawl.Invalid, "there is no crawl in %s to resume: leave out --resume to start one, or name its directory with --data", path)
	case found && !o.Resume && m.Over():
		return crawl.Errorf(crawl.Invalid, "%s in %s is %s: export its items again with --resume, or crawl anew with another --data", name, path, m.State)
	case found && !o.Resume:
		return crawl.Errorf(crawl.Invalid, "%s in %s is unfinished: go on with it with --resume, or crawl anew with another --data", name, path)
	}
	return nil
}

func runIn(ctx context.Context, dir *datadir.Dir, o Options) (_ summary.Summary, err error) {
	if err := dir.CheckSpace(datadir.Enough(o.Settings.Storage.MinFree)); err != nil {
		return summary.Summary{}, err
	}
	logFile, err := dir.OpenLog()
	if err != nil {
		return summary.Summary{}, err
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	log, err := obs.NewLogger(logFile, o.Settings.LogLevel, o.Settings.LogFormat)
	if err != nil {
		return summary.Summary{}, &crawl.Error{Kind: crawl.Invalid, Err: err}
	}
	shown := &screen{View: o.View, warn: o.Warn}
	o.View, o.Warn = shown, shown.tell
	log = slog.New(&teller{Handler: log.Handler(), tell: shown.tell})
	if err := prepare(dir, &o); err != nil {
		return summary.Summary{}, err
	}
	ring, err := allinone.Open(ctx, o.Settings, allinone.Deps{Dir: dir, Log: log, Version: o.Version})
	if err != nil {
		return summary.Summary{}, err
	}
	j := &job{Options: o, dir: dir, ring: ring, log: log, client: client.Over(ring.Conn())}
	return j.run(ctx)
}

// job is a run whose ring is open.
type job struct {
	Options
	dir    *datadir.Dir
	ring   *allinone.Ring
	log    *slog.Logger
	client *client.Client
	crawl  *crawlv1.Crawl // as last seen
}

// run runs the ring beside the work and stops it in order after it.
func (j *job) run(ctx context.Context) (summary.Summary, error) {
	// The ring outlives ctx: an interrupt must find it running, to drain it.
	ringCtx, stopRing := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopRing(nil)
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		err := j.ring.Run(ringCtx)
		if err == nil {
			err = errRingStopped
		}
		cancel(err)
		ended <- err
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := j.dir.WatchSpace(work, datadir.Enough(j.Settings.Storage.MinFree), time.Second); err != nil {
			cancel(err)
		}
	}()
	out, workErr := j.work(work)
	j.View.Done()
	if workErr != nil && work.Err() != nil {
		workErr = context.Cause(work) // what ended it says more than "canceled"
	}
	var ringErr error
	select {
	case ringErr = <-ended: // it failed by itself
	default:
		if workErr != nil {
			j.drain(ctx)
		}
		stopRing(run.ErrStopping)
		if ringErr = <-ended; ringErr == errRingStopped {
			ringErr = nil
		}
	}
	cancel(nil)
	<-watched
	return j.outcome(out, workErr, ringErr)
}

// drain finishes what is in hand, at most for drainTime, and looks a last time.
func (j *job) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := j.ring.Drain(ctx); err != nil {
		j.log.Warn("work in hand was not finished", "err", err)
	}
	if j.crawl != nil {
		if c, err := j.client.Get(ctx, j.crawl.GetId()); err == nil {
			j.crawl = c
		}
	}
}

// outcome makes the summary and the error of a run that is over.
func (j *job) outcome(out string, workErr, ringErr error) (summary.Summary, error) {
	s := summary.New(j.crawl, time.Now())
	s.Output = out
	err := workErr
	switch {
	case ringErr == nil || errors.Is(workErr, ringErr):
	case workErr != nil && !errors.Is(workErr, run.ErrStopping):
		// The ring failed while it was being stopped for a reason that is told.
		j.log.Error("the ring did not stop in order", "err", ringErr)
	default:
		err = errors.Join(workErr, ringErr)
	}
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, run.ErrStopping):
		s.State, s.Reason = "interrupted", ""
		return s, run.ErrStopping
	default:
		return s, err
	}
}

// work creates or finds the crawl, follows it and exports its items. It returns
// where they are.
func (j *job) work(ctx context.Context) (string, error) {
	start, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("the services were not ready within %s", startTime))
	defer cancel()
	if err := j.ring.WaitReady(start); err != nil {
		return "", err
	}
	if err := j.obtain(ctx); err != nil {
		return "", err
	}
	if err := j.mark(); err != nil {
		return "", err
	}
	follow := j.startStream(ctx)
	c, err := j.client.Watch(ctx, j.crawl.GetId(), j.Interval, func(w *schedulerv1.WatchCrawlResponse) {
		j.crawl = w.GetCrawl()
		j.View.Update(time.Now(), w)
	})
	if err != nil {
		return "", errors.Join(err, follow.abandon())
	}
	j.crawl = c
	if err := j.mark(); err != nil {
		return "", errors.Join(err, follow.abandon())
	}
	return j.export(ctx, follow)
}

// mark leaves the crawl's state in the data directory.
func (j *job) mark() error {
	m := datadir.Marker{CrawlID: j.crawl.GetId(), Name: j.crawl.GetSpec().GetName(), State: datadir.Unfinished}
	if summary.Final(j.crawl.GetState()) {
		m.State = summary.StateName(j.crawl.GetState())
	}
	return j.dir.WriteMarker(m)
}

// export writes the items of a crawl that has ended, and returns where to.
func (j *job) export(ctx context.Context, follow *stream) (string, error) {
	if follow != nil {
		if err := follow.finish(); err != nil {
			return "", err
		}
	}
	job := output.Job{
		Source: j.items(), Key: j.crawl.GetId(), Schema: export.SchemaOf(j.crawl.GetSpec()), Stdout: j.Stdout,
		Archive: output.Archive{Client: j.client.Storage, CrawlID: j.crawl.GetId(), Warn: j.Warn},
	}
	for _, t := range j.Targets {
		if t.Stdout() && follow != nil {
			continue
		}
		if _, err := job.Export(ctx, t); err != nil {
			return "", fmt.Errorf("%w; the crawl itself is over and kept: export again with --resume", err)
		}
	}
	return j.Targets.String(), nil
}

// items are those of the crawl.
func (j *job) items() export.Source {
	return export.Remote{Client: j.client.Storage, Request: &storagev1.ListItemsRequest{CrawlId: j.crawl.GetId()}}
}
