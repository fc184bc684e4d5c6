package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// takeUp makes a partition, whose key is held, part of the frontier. Each step shuts
// the owner before out of something: first the store, then the stream of tasks; and
// only when it cannot do anything more is looked at what it left.
func (s *session) takeUp(ctx context.Context, p uint32) error {
	snapshot, err := s.store.Acquire(ctx, p)
	if err != nil {
		return fmt.Errorf("take up partition %d: %w", p, err)
	}
	fence, err := s.deps.Bus.Fence(ctx, p, s.cfg.Replica)
	if err != nil {
		return fmt.Errorf("fence partition %d: %w", p, err)
	}
	for _, c := range snapshot.Crawls {
		if err := s.learnEntry(c); err != nil {
			return err
		}
	}
	strange, err := s.strangers(ctx, snapshot)
	if err != nil {
		return err
	}
	var ids []frontier.LeaseID
	err = s.do(ctx, func(l *loop, now time.Time) error {
		s.held[p].Store(&holding{epoch: snapshot.Epoch, fence: fence})
		for _, c := range strange {
			l.f.Learn(now, c)
		}
		l.f.Own(now, snapshot)
		for _, lease := range snapshot.Leases {
			ids = append(ids, lease.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	lost, err := s.returnLost(ctx, ids)
	if err != nil {
		return err
	}
	s.results.Add(bus.ResultConsumer(p))
	s.results.Add(bus.LinksConsumer(p))
	s.reports.Add(p)
	rows := make([]outgoing, len(snapshot.Outbox))
	for i, r := range snapshot.Outbox {
		rows[i] = outgoing{r, snapshot.Epoch}
	}
	s.outbox.add(rows)
	home := make([]frontier.CrawlNo, len(snapshot.Crawls))
	for i, c := range snapshot.Crawls {
		home[i] = c.No
	}
	s.dirty.add(home)
	s.deps.Log.Info("took up partition", "partition", p, "epoch", snapshot.Epoch, "leases", len(ids), "lost", lost, "crawls", len(home))
	return nil
}

// strangers reads the crawls that a partition has rows of and that are not known here
// yet, since their owner died before it could announce them: without them their URLs
// would be left out and their counters begin anew. Those that the store does not have
// either were deleted.
func (s *session) strangers(ctx context.Context, snapshot *frontier.Snapshot) ([]frontier.Crawl, error) {
	var unknown []frontier.CrawlNo
	err := s.read(ctx, func(l *loop, _ time.Time) error {
		for _, row := range snapshot.Stats {
			if _, _, ok := l.f.Crawl(row.No); !ok {
				unknown = append(unknown, row.No)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []frontier.Crawl
	for _, no := range unknown {
		c, err := s.store.Crawl(ctx, no)
		if err != nil {
			return nil, fmt.Errorf("take up partition %d: %w", snapshot.Partition, err)
		}
		if c == nil || c.State == frontier.Deleted {
			continue
		}
		if err := s.learnEntry(*c); err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	return out, nil
}

// returnLost gives the leases back whose messages are on no stream.
func (s *session) returnLost(ctx context.Context, ids []frontier.LeaseID) (lost int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	inFlight, err := s.surelyInFlight(ctx, ids)
	if err != nil {
		return 0, err
	}
	err = s.do(ctx, func(l *loop, now time.Time) error {
		for _, id := range ids {
			if _, ok := inFlight[uint64(id)]; !ok {
				l.f.Return(now, id)
				lost++
			}
		}
		return nil
	})
	s.m.returned.WithLabelValues("lost").Add(float64(lost))
	return lost, err
}

// followerTime is how far a follower of a stream may be behind its leader.
const followerTime = time.Second

// surelyInFlight returns the leases whose messages are on a stream. Where streams have
// replicas, a follower answers too, which may not have what was published a moment ago:
// a lease is missing only when it still is a second later.
func (s *session) surelyInFlight(ctx context.Context, ids []frontier.LeaseID) (map[uint64]struct{}, error) {
	found, err := s.scans.inFlight(ctx, s.deps.Bus)
	if err != nil || !s.deps.Bus.Replicated() {
		return found, err
	}
	missing := slices.ContainsFunc(ids, func(id frontier.LeaseID) bool { _, ok := found[uint64(id)]; return !ok })
	if !missing || !pause(ctx, 2*followerTime) { // a pause may be half as long
		return found, context.Cause(ctx)
	}
	later, err := s.scans.inFlight(ctx, s.deps.Bus)
	if err != nil {
		return nil, err
	}
	both := maps.Clone(found) // others share it
	maps.Copy(both, later)
	return both, nil
}

// giveUp lets go of a partition so that nothing of it is in hand here any more.
func (s *session) giveUp(ctx context.Context, p uint32) error {
	err := s.do(ctx, func(l *loop, now time.Time) error {
		l.f.Freeze(now, p)
		return nil
	})
	if err != nil {
		return err
	}
	s.reports.Remove(p)
	err = errors.Join(
		s.results.Remove(ctx, bus.ResultConsumer(p)),
		s.results.Remove(ctx, bus.LinksConsumer(p)))
	if err != nil {
		return err
	}
	// What was changed must be written while the store takes it.
	err = s.do(ctx, func(l *loop, _ time.Time) error {
		if err := l.write(ctx); err != nil {
			s.fail(err)
			return err
		}
		l.f.Disown(p)
		s.held[p].Store(nil)
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.store.Release(ctx, p); err != nil && !errors.Is(err, frontier.ErrFenced) {
		return fmt.Errorf("release partition %d: %w", p, err)
	}
	s.deps.Log.Info("gave up partition", "partition", p)
	return nil
}

// scans lets those who ask at the same time share one look at the streams.
type scans struct {
	mu      sync.Mutex
	next    *scan
	running sync.Mutex
}

// scan is one look at the streams.
type scan struct {
	done   chan struct{}
	leases map[uint64]struct{}
	err    error
}

// inFlight is Bus.InFlight, begun after the call.
func (s *scans) inFlight(ctx context.Context, b *bus.Bus) (map[uint64]struct{}, error) {
	s.mu.Lock()
	mine, leads := s.next, false
	if mine == nil {
		mine, leads = &scan{done: make(chan struct{})}, true
		s.next = mine
	}
	s.mu.Unlock()
	if leads {
		s.running.Lock()
		s.mu.Lock()
		s.next = nil // who comes from here on must look again
		s.mu.Unlock()
		mine.leases, mine.err = b.InFlight(ctx)
		s.running.Unlock()
		close(mine.done)
	}
	select {
	case <-mine.done:
		return mine.leases, mine.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
