package run

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Names of the steps of a stop, in their order; see Process.
const (
	StepUnready = "unready"
	StepDelay   = "delay"
	StepStreams = "streams"
	StepWork    = "work"
	StepServe   = "serve"
	StepStores  = "stores"
	StepBus     = "bus"
	StepNATS    = "nats"
	StepAdmin   = "admin"
)

// ErrFailing is the cause of the members' contexts when a process stops because
// another member has failed. It is an ErrStopping too.
var ErrFailing = fmt.Errorf("%w: another part has failed", ErrStopping)

// Member is a part of a process.
type Member struct {
	// Name of the part.
	Name string
	// Run blocks until its context ends or it fails.
	Run func(context.Context) error
	// Limit is how long it may take to stop. Default 30 s.
	Limit time.Duration
}

// Process is what a process of Weir is made of, in the order in which it stops. The
// order is the same for each of them:
//
//	1  unready  /readyz says 503, the health of gRPC NOT_SERVING; everything goes on
//	2  delay    until those that send here have learned of it
//	3  streams  calls that last (watch, tail, wait) end as Unavailable: their clients
//	            go on at another replica
//	4  work     nothing more is taken from the bus. What waits is given back at once,
//	            handlers in hand go on for their soft stop, kept alive, and are then
//	            cancelled and their messages given back; what they published is acked
//	5  serve    no new call is taken, those in hand are finished or cut off
//	6  stores   are closed
//	7  bus      the connection is flushed and closed
//	8  nats     the embedded server ends
//	9  admin    /metrics and /livez go last
//
// A step that is not set does nothing. Each is bounded by a time of its own, and all
// together by Grace. When a member fails there is no delay.
type Process struct {
	// Unready does step 1. It must not block.
	Unready func()
	// Delay of step 2.
	Delay time.Duration
	// EndStreams does step 3. It must not block.
	EndStreams func()
	// Work are the members of step 4, each stopped when those after it have ended.
	Work []Member
	// Serve are the members of step 5, stopped likewise.
	Serve []Member
	// Stores are those of step 6: members that run until here, or that close at the end
	// of their context.
	Stores []Member
	// Bus closes the connection of step 7, NATS ends the server of step 8.
	Bus, NATS func() error
	// Admin is the member of step 9.
	Admin Member
	// Log takes how long the steps took; nil for nobody.
	Log *slog.Logger
}

const (
	// busTime bounds the flush of the last acks.
	busTime = 3 * time.Second
	// natsTime bounds the end of an embedded server, which writes its state.
	natsTime = 10 * time.Second
	// adminTime bounds the end of the admin server.
	adminTime = 2 * time.Second
	// delaySlack is what a timer may be late.
	delaySlack = time.Second
)

// Closing is a member that does nothing until it is stopped, and then calls f.
func Closing(name string, limit time.Duration, f func() error) Member {
	return Member{Name: name, Limit: limit, Run: func(ctx context.Context) error { <-ctx.Done(); return f() }}
}

// step is a member with the step that it belongs to.
type step struct {
	name string
	Member
}

// steps lists what there is to stop, in order.
func (p *Process) steps() []step {
	out := []step{
		{StepUnready, Closing(StepUnready, delaySlack, func() error { call(p.Unready); return nil })},
		{StepDelay, Member{Name: StepDelay, Limit: p.Delay + delaySlack, Run: p.wait}},
		{StepStreams, Closing(StepStreams, delaySlack, func() error { call(p.EndStreams); return nil })},
	}
	// Within a step the last one stops first.
	add := func(name string, members []Member) {
		for i := len(members) - 1; i >= 0; i-- {
			out = append(out, step{name, members[i]})
		}
	}
	add(StepWork, p.Work)
	add(StepServe, p.Serve)
	add(StepStores, p.Stores)
	if p.Bus != nil {
		out = append(out, step{StepBus, Closing(StepBus, busTime, p.Bus)})
	}
	if p.NATS != nil {
		out = append(out, step{StepNATS, Closing(StepNATS, natsTime, p.NATS)})
	}
	if p.Admin.Run != nil {
		admin := p.Admin
		admin.Limit = adminTime
		out = append(out, step{StepAdmin, admin})
	}
	return out
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// wait is step 2.
func (p *Process) wait(ctx context.Context) error {
	<-ctx.Done()
	if p.Delay <= 0 || context.Cause(ctx) == ErrFailing { //nolint:errorlint // this one and no other
		return nil
	}
	<-time.After(p.Delay) // nothing ends it but a second signal, which ends the process
	return nil
}

// Grace is how long a stop takes at most: what the supervisor of the process has to
// give it before it kills.
func (p *Process) Grace() time.Duration {
	var sum time.Duration
	for _, s := range p.steps() {
		sum += s.limit()
	}
	return sum
}

// limit is how long a member may take to stop.
func (m Member) limit() time.Duration {
	if m.Limit > 0 {
		return m.Limit
	}
	return defaultSoftStop
}

// Run starts all members and blocks until all have ended, as Group.Run does.
func (p *Process) Run(ctx context.Context) error {
	steps := p.steps()
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log.Info("running", "stop_takes_at_most", p.Grace().String())
	var g Group
	var began, last time.Time
	var took []any
	// The members are stopped one after the other, so there is no race for these.
	g.stopping = func(name string) {
		now := time.Now()
		if began.IsZero() {
			began = now
			log.Info("stopping", "first", name)
		}
		last = now
	}
	g.stopped = func(name string) { took = append(took, name, time.Since(last).Round(time.Millisecond).String()) }
	for i := len(steps) - 1; i >= 0; i-- {
		g.AddFor(steps[i].Name, steps[i].limit(), steps[i].Member.Run)
	}
	err := g.Run(ctx)
	if !began.IsZero() {
		log.Info("stopped", append([]any{"in", time.Since(began).Round(time.Millisecond).String()}, took...)...)
	}
	return err
}
