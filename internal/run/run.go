// Package run starts the parts of a process together and stops them in order.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// ErrStopping is the cause of a context that ended because the process was asked
// to stop, as against a failure or a time-out.
var ErrStopping = errors.New("stopping")

// Group runs members that depend on those added before them. When it stops, the
// last added is stopped first, and the one before it only when that has returned:
//
//	Add(server) Add(store) Add(consumer)
//	stop:  consumer ──► store ──► server
//
// The zero value is ready to use. Add all members before Run; Run once.
type Group struct {
	// SoftStop is how long to wait for one member before the next is stopped all
	// the same. Default 30 s.
	SoftStop time.Duration

	members []member
	// stopping and stopped are told of each member before and after it is stopped; nil
	// for nobody.
	stopping, stopped func(name string)
}

// member is one part.
type member struct {
	name   string
	limit  time.Duration // 0 for the group's
	run    func(context.Context) error
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// defaultSoftStop leaves room for handlers to finish (10 s each) and a store to close.
const defaultSoftStop = 30 * time.Second

// Add appends a member. run blocks until its context ends or it fails; returning
// nil before that leaves the others running.
func (g *Group) Add(name string, run func(context.Context) error) { g.AddFor(name, 0, run) }

// AddFor is Add for a member that may take another time than SoftStop to stop.
func (g *Group) AddFor(name string, limit time.Duration, run func(context.Context) error) {
	g.members = append(g.members, member{name: name, limit: limit, run: run})
}

// Run starts all members and blocks until all have returned. It stops them when
// ctx ends or when one fails; the causes of their contexts are ctx's own cause,
// ErrStopping, or after a failure ErrFailing. It returns the first failure with its member's name, or nil after
// a stop that ctx asked for. A member that does not stop within SoftStop is
// named in the error; its goroutine is left behind.
func (g *Group) Run(ctx context.Context) error {
	var (
		once  sync.Once
		first error
	)
	failed := make(chan struct{})
	fail := func(err error) { once.Do(func() { first = err; close(failed) }) }
	var all sync.WaitGroup
	for i := range g.members {
		m := &g.members[i]
		// Detached: the end of ctx must reach the members one after the other.
		var mctx context.Context
		mctx, m.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		m.done = make(chan struct{})
		all.Add(1)
		go func() {
			defer all.Done()
			defer close(m.done)
			if err := m.run(mctx); err != nil && !isStop(mctx, err) {
				fail(fmt.Errorf("%s: %w", m.name, err))
			}
		}()
	}
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()

	cause := ErrStopping
	select {
	case <-finished:
	case <-failed:
		cause = ErrFailing
	case <-ctx.Done():
		if c := context.Cause(ctx); !errors.Is(c, context.Canceled) {
			cause = c
		}
	}
	stuck := g.stop(cause)
	if stuck == nil {
		<-finished
	}
	select {
	case <-failed:
		return errors.Join(first, stuck)
	default:
		return stuck
	}
}

// stop cancels the members from the last to the first.
func (g *Group) stop(cause error) error {
	var errs []error
	for i := len(g.members) - 1; i >= 0; i-- {
		m := &g.members[i]
		wait := cmp.Or(m.limit, max(g.SoftStop, 0), defaultSoftStop)
		if g.stopping != nil {
			g.stopping(m.name)
		}
		m.cancel(cause)
		t := time.NewTimer(wait)
		select {
		case <-m.done:
		case <-t.C:
			errs = append(errs, fmt.Errorf("%s: did not stop within %s", m.name, wait))
		}
		t.Stop()
		if g.stopped != nil {
			g.stopped(m.name)
		}
	}
	return errors.Join(errs...)
}

// isStop reports whether err only says that the member was stopped.
func isStop(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)))
}

// Signals returns a context that ends with cause ErrStopping at the first SIGINT
// or SIGTERM. The second ends the process at once with status 130. The function
// returned gives the signals back.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	return signals(ctx, os.Exit)
}

func signals(parent context.Context, exit func(int)) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ch:
			cancel(ErrStopping)
		case <-stopped:
			return
		}
		select {
		case <-ch:
			exit(130)
		case <-stopped:
		}
	}()
	var once sync.Once
	return ctx, func() {
		once.Do(func() {
			signal.Stop(ch)
			close(stopped)
			<-done
			cancel(context.Canceled)
		})
	}
}
