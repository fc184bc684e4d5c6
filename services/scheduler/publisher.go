package scheduler

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/trace"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// sent is a task on its way to the bus.
type sent struct {
	lease   frontier.Lease
	message bus.Message
	pending bus.Pending
	span    *trace.Span
}

// publish sends a task for each lease of the loop until ctx ends. Leases that it
// could not send then are on no stream and return at the next start.
func (s *session) publish(ctx context.Context) error {
	// As many as may be unacked; sending stops when the server does not keep up.
	acks := make(chan sent, 256)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t := range acks {
			s.awaitAck(ctx, t)
		}
	}()
	defer func() {
		close(acks)
		<-done
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-s.loop.tasks:
			lease := d.lease
			e := s.crawls.number(lease.Ref.Crawl)
			if e == nil {
				continue // its crawl was deleted meanwhile
			}
			held := s.held[lease.Ref.Partition].Load()
			if held == nil || s.shared && held.epoch != d.epoch {
				// Given away meanwhile; its new owner, who may be this replica again, finds
				// the lease on no stream. Under the new fence it would be a second visit.
				continue
			}
			s.m.delay.Observe(lease.Delay.Seconds())
			m := bus.Task(poolNames[poolOf(lease)], taskFromLease(lease, e.meta.GetId(), s.deps.Now()))
			m.Partition, m.Fence = lease.Ref.Partition, held.fence
			span := s.traced(lease, e)
			m.Trace = span.Place()
			acks <- sent{lease, m, s.deps.Bus.Publish(ctx, m), span}
		}
	}
}

// traced begins the trace of a visit, if there is to be one, at the time of its lease.
func (s *session) traced(l frontier.Lease, e *entry) *trace.Span {
	span := s.deps.Tracer.Begin(e.meta.GetId(), uint64(l.ID), "schedule", l.Deadline.Add(-s.cfg.LeaseTime))
	if span != nil {
		span.Set(trace.URL(l.Item.URL.String()), trace.Crawl(e.meta.GetId()), trace.Lease(l.ID.String()),
			trace.Attempt(uint32(l.Item.Attempts+1)), trace.Text("pool", poolNames[poolOf(l)]),
			trace.Text("politeness_delay", l.Delay.String()), trace.Count("partition", int(l.Ref.Partition)))
	}
	return span
}

// poolOf is the pool that a lease's task goes to.
func poolOf(l frontier.Lease) frontier.Pool {
	if l.Render {
		return frontier.PoolBrowser
	}
	return frontier.PoolHTTP
}

// awaitAck sees a task safely onto the stream, or gives the lease back.
func (s *session) awaitAck(ctx context.Context, t sent) {
	err := t.pending.Wait(ctx)
	defer func() { t.span.End(err) }()
	if err == nil {
		s.m.dispatched.WithLabelValues(poolNames[poolOf(t.lease)]).Inc()
		return
	}
	if ctx.Err() != nil {
		return
	}
	if !errors.Is(err, bus.ErrFull) && crawl.KindOf(err) == crawl.Unavailable {
		// It may be on the stream or not. Its id makes a second try harmless.
		if err = s.deps.Bus.PublishAll(ctx, t.message); err == nil {
			s.m.dispatched.WithLabelValues(poolNames[poolOf(t.lease)]).Inc()
			return
		}
	}
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, bus.ErrFenced) {
		if h := s.held[t.message.Partition].Load(); h != nil && h.fence == t.message.Fence {
			s.fail(err)
		}
		return
	}
	if !errors.Is(err, bus.ErrFull) {
		s.deps.Log.WarnContext(t.span.In(ctx), "publish task", "url", t.lease.Item.URL.String(), "crawl_no", t.lease.Ref.Crawl, "lease_id", t.lease.ID.String(), "err", err)
	}
	s.m.returned.WithLabelValues("refused").Inc()
	// When the loop has stopped, the lease is found missing at the next start.
	_ = s.do(ctx, func(l *loop, now time.Time) error {
		l.f.Return(now, t.lease.ID)
		l.holdUntil[poolOf(t.lease)] = now.Add(refusedPause)
		return nil
	})
}

// reaper asks the bus about leases past their time: those whose messages are
// still on a stream are extended, since a slow stage is no reason to fetch
// twice; the others return to their queues.
func (s *session) reaper(ctx context.Context) error {
	for {
		var ids []frontier.LeaseID
		select {
		case <-ctx.Done():
			return nil
		case ids = <-s.loop.expired:
		}
		inFlight, err := s.scans.inFlight(ctx, s.deps.Bus)
		if err != nil {
			s.deps.Log.Warn("look for overdue leases on the bus", "leases", len(ids), "err", err)
		}
		_ = s.do(ctx, func(l *loop, now time.Time) error {
			l.reaping = false
			for _, id := range ids {
				if _, ok := inFlight[uint64(id)]; ok || err != nil {
					l.f.Extend(now, id)
					continue
				}
				l.f.Return(now, id)
				s.m.returned.WithLabelValues("expired").Inc()
			}
			return nil
		})
	}
}

// releaseCancelled frees what the leases of a cancelled crawl still hold, once its
// tasks were purged: hosts' slots, and pages under a limit.
func (s *session) releaseCancelled(ctx context.Context, e *entry) error {
	if err := s.deps.Bus.PurgeCrawl(ctx, e.meta.GetId()); err != nil {
		return err
	}
	inFlight, err := s.scans.inFlight(ctx, s.deps.Bus)
	if err != nil {
		return err
	}
	return s.do(ctx, func(l *loop, now time.Time) error {
		for _, lease := range l.f.Leases() {
			if _, ok := inFlight[uint64(lease.ID)]; !ok && lease.Void && lease.Ref.Crawl == e.no {
				l.f.Return(now, lease.ID)
			}
		}
		return nil
	})
}

// announce writes the public state of changed crawls to the KV until ctx ends.
func (s *session) announce(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.dirty.wake:
		}
		for _, no := range s.dirty.take() {
			err := s.announceCrawl(ctx, no)
			if err == nil || ctx.Err() != nil {
				continue
			}
			s.deps.Log.Warn("announce crawl", "crawl_no", no, "err", err)
			s.dirty.add([]frontier.CrawlNo{no})
			select { // before the next try
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (s *session) announceCrawl(ctx context.Context, no frontier.CrawlNo) error {
	// Lest an older revision be written over one that widen has just shared.
	s.widening.Lock()
	defer s.widening.Unlock()
	e := s.crawls.number(no)
	if e == nil {
		return nil
	}
	var c *crawlv1.Crawl
	// Not read: what others take for a version of the crawl must be durable.
	err := s.do(ctx, func(l *loop, _ time.Time) error {
		if fc, stats, ok := l.f.Crawl(no); ok && l.f.Owns(fc.Home) {
			c = e.view(fc, stats)
		}
		return nil
	})
	if err != nil || c == nil {
		return err // c is nil when somebody else announces it
	}
	return s.deps.Bus.PutCrawl(ctx, public(c))
}

// public leaves out what other services do not need and what changes all the time.
func public(c *crawlv1.Crawl) *crawlv1.Crawl {
	out := proto.CloneOf(c)
	out.Stats = nil
	return out
}
