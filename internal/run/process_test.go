package run

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// process has something to do in each step, and notes it.
func process(o *order) *Process {
	member := func(name string) Member {
		return Member{Name: name, Run: o.member(name, time.Second), Limit: 5 * time.Second}
	}
	note := func(name string) func() error { return func() error { o.note(name); return nil } }
	return &Process{
		Unready:    func() { o.note("unready") },
		Delay:      10 * time.Second,
		EndStreams: func() { o.note("streams") },
		Work:       []Member{member("store pages"), member("parse")},
		Serve:      []Member{member("gRPC")},
		Stores:     []Member{member("frontier")},
		Bus:        note("bus"), NATS: note("nats"),
		Admin: Member{Name: "admin", Run: o.member("admin", 0)},
	}
}

var allSteps = []string{
	"unready", "streams", "stop parse", "end parse", "stop store pages", "end store pages", "stop gRPC", "end gRPC",
	"stop frontier", "end frontier", "bus", "nats", "stop admin", "end admin",
}

// The order of a stop is the one that is written down.
func TestProcessStepsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o order
		p := process(&o)
		var names []string
		for _, s := range p.steps() {
			names = append(names, s.name)
		}
		want := []string{StepUnready, StepDelay, StepStreams, StepWork, StepServe, StepStores, StepBus, StepNATS, StepAdmin}
		if diff := cmp.Diff(want, slices.Compact(names)); diff != "" {
			t.Error(diff)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(ErrStopping) })
		began := time.Now()
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(allSteps, o.s); diff != "" {
			t.Error(diff)
		}
		// The delay, and a second for each of four members.
		if took := time.Since(began) - time.Minute; took != 14*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

// What is not set is left out.
func TestProcessOfNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(Process).Run(ctx); err != nil {
		t.Error(err)
	}
}

// After a failure nobody waits for load balancers, and the rest stops in order.
func TestProcessFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o order
		p := process(&o)
		bad := errors.New("disk full")
		p.Stores = append(p.Stores, Member{Name: "catalogue", Run: func(context.Context) error { time.Sleep(time.Second); return bad }})
		began := time.Now()
		if err := p.Run(t.Context()); !errors.Is(err, bad) || err.Error() != "catalogue: disk full" {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("failure and stop took %v, want 5s", took)
		}
		if diff := cmp.Diff(allSteps, o.s); diff != "" {
			t.Error(diff)
		}
		if !errors.Is(ErrFailing, ErrStopping) {
			t.Error("members that are stopped after a failure do not see a stop")
		}
	})
}

// A part that does not stop holds up the others no longer than it may, and all
// together no longer than the grace.
func TestProcessIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o order
		p := process(&o)
		release := make(chan struct{})
		stuck := func(context.Context) error { <-release; return nil }
		for i := range p.Work {
			p.Work[i].Run = stuck
		}
		p.Serve[0].Run, p.Stores[0].Run = stuck, stuck
		p.Bus = func() error { <-release; return nil }
		p.NATS, p.Admin.Run = p.Bus, stuck
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if err := p.Run(ctx); err == nil {
			t.Error("no error that names who was stuck")
		}
		took := time.Since(began)
		if grace := p.Grace(); took > grace || took < grace-5*time.Second {
			t.Errorf("took %v, want at most the grace of %v", took, grace)
		}
		close(release)
		synctest.Wait()
	})
}
