package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// session is one run of the frontier: from Store.Begin until the service stops or a
// partition turns out to be somebody else's. Then memory cannot be trusted any more,
// and is built anew.
type session struct {
	*Service
	store frontier.Store
	// using keeps the store open for calls that ask it themselves; closed says that it
	// is not any more.
	using  sync.RWMutex
	closed bool

	loop    *loop
	tenure  *tenure // nil unless the store is shared
	held    []atomic.Pointer[holding]
	results *bus.ConsumerSet
	reports *bus.PartitionSet
	outbox  *outbox
	scans   scans
	// deletions are the crawls whose rows are to be taken out of the store.
	deletions *deletions
	// dirty names the crawls whose public state is to be written to the KV.
	dirty *dirtySet
	// back says that the server was away, and may have lost what it had. Capacity 1.
	back chan struct{}
	// lost ends the session; capacity 1, the first error counts.
	lost chan error
	over chan struct{} // closed when the loop has ended
}

// holding is what there is to know of a partition that is owned.
type holding struct {
	// epoch of the ownership in the store.
	epoch uint64
	// fence of the partition's tasks, 0 where the store is not shared: the lock on
	// its folder keeps others away.
	fence uint64
}

// do is Service.do for this session.
func (s *session) do(ctx context.Context, fn func(l *loop, now time.Time) error) error {
	return s.ask(ctx, &request{run: fn, done: make(chan error, 1)})
}

// read is Service.read for this session.
func (s *session) read(ctx context.Context, fn func(l *loop, now time.Time) error) error {
	return s.ask(ctx, &request{run: fn, read: true, done: make(chan error, 1)})
}

func (s *session) ask(ctx context.Context, r *request) error {
	select {
	case s.loop.requests <- r:
	case <-s.over:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-r.done:
		return err
	case <-s.over:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fail ends the session.
func (s *session) fail(err error) {
	select {
	case s.lost <- err:
	default:
	}
}

// askStore calls the store of the current session, from outside of its loop.
func (s *Service) askStore(f func(frontier.Store) error) error {
	ses, err := s.current()
	if err != nil {
		return err
	}
	ses.using.RLock()
	defer ses.using.RUnlock()
	if ses.closed {
		return errStopped
	}
	return f(ses.store)
}

// close ends the use of the store.
func (s *session) close() error {
	s.using.Lock()
	s.closed = true
	s.using.Unlock()
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("close the frontier store: %w", err)
	}
	return nil
}

// runSession begins a session and works until ctx ends or the session fails.
func (s *Service) runSession(ctx context.Context) (err error) {
	store := s.store
	s.store = nil
	if store == nil {
		if store, err = openStore(ctx, s.cfg); err != nil {
			return err
		}
	}
	ses, err := s.begin(ctx, store)
	if err != nil {
		if cerr := store.Close(); ctx.Err() != nil {
			return cerr
		}
		return err
	}
	defer func() { err = errors.Join(err, ses.close()) }()
	defer ses.letGo()
	// Two groups: what brings work in ends first, and its handlers in hand still
	// need the loop.
	loopCtx, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	inner, ictx := errgroup.WithContext(loopCtx)
	inner.Go(func() error { defer close(ses.over); return ses.loop.run(ictx) })
	inner.Go(func() error { return ses.loop.finish(ses.committed) })
	inner.Go(func() error { return ses.publish(ictx) })
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	outer, octx := errgroup.WithContext(work)
	for _, part := range ses.parts() {
		outer.Go(func() error { return part(octx) })
	}
	outer.Go(func() error {
		defer stopWork()
		select {
		case <-octx.Done():
		case err := <-ses.lost:
			return err
		case <-ictx.Done():
			return context.Cause(ictx)
		case <-ctx.Done():
			ses.leave()
		case <-s.leaving:
			ses.leave()
			close(s.left)
			return ses.linger(ctx, ictx)
		}
		return nil
	})
	s.session.Store(ses)
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
	err = outer.Wait()
	stopLoop()
	ierr := inner.Wait()
	s.session.Store(nil)
	if ierr != nil {
		return ierr
	}
	return err
}

// parts are what brings work in.
func (s *session) parts() []func(context.Context) error {
	parts := []func(context.Context) error{
		s.reaper,
		s.recheck,
		s.announce,
		s.consumeResults,
		s.pace,
		s.resolver,
		s.deleter,
		s.deps.Bus.WatchStages,
		func(ctx context.Context) error { return s.deps.Bus.Reconnected(ctx, s.restoreBus) },
		func(ctx context.Context) error { return s.deps.Bus.Reports(ctx, s.reports, s.takeReport(ctx)) },
		func(ctx context.Context) error { return s.deps.Bus.DeadLetters(ctx, s.takeDeadLetter) },
	}
	if s.tenure != nil {
		parts = append(parts, s.tenure.run, s.outbox.run, s.follow, s.steward, s.granter)
	}
	return parts
}

// begin brings memory, store and bus together.
func (s *Service) begin(ctx context.Context, store frontier.Store) (*session, error) {
	start, err := store.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin a run of the frontier: %w", err)
	}
	now := s.deps.Now()
	ses := &session{
		Service:   s,
		store:     store,
		held:      make([]atomic.Pointer[holding], start.Partitions),
		results:   bus.NewConsumerSet(),
		reports:   bus.NewPartitionSet(),
		dirty:     newDirtySet(),
		back:      make(chan struct{}, 1),
		lost:      make(chan error, 1),
		over:      make(chan struct{}),
		deletions: newDeletions(),
	}
	ses.outbox = newOutbox(ses)
	ses.loop = newLoop(ses, frontier.New(s.frontierConfig(), start, now), start.Partitions)
	if s.shared {
		ses.loop.grants = make(chan []frontier.GrantWant, 1)
		ses.loop.quiet = make(chan struct{}, 1)
		ses.loop.epoch = func(p uint32) uint64 {
			if h := ses.held[p].Load(); h != nil {
				return h.epoch
			}
			return 0
		}
	}
	s.m.partitions.Set(float64(start.Partitions))
	s.crawls.clear()
	for _, c := range ses.forgetDeleted(ses.loop.f, now, start.Crawls) {
		if err := s.learnEntry(c); err != nil {
			return nil, err
		}
	}
	if s.shared {
		if err := s.deps.Bus.EnsureTopology(ctx, start.Partitions); err != nil {
			return nil, err
		}
		ses.tenure, err = newTenure(ses, start)
		return ses, err
	}
	return ses, ses.ownAll(ctx, start.Partitions, now)
}

// ownAll takes up all partitions at once, before anything else runs.
func (s *session) ownAll(ctx context.Context, partitions uint32, now time.Time) error {
	f := s.loop.f
	for p := range partitions {
		snapshot, err := s.store.Acquire(ctx, p)
		if err != nil {
			return fmt.Errorf("take up partition %d of the frontier: %w", p, err)
		}
		f.Own(now, snapshot)
		s.held[p].Store(&holding{epoch: snapshot.Epoch})
		s.results.Add(bus.ResultConsumer(p))
		s.reports.Add(p)
	}
	// Lest a server that lost its disk gives out work whose crawl nobody knows.
	if err := s.deps.Bus.EnsureBuckets(ctx); err != nil {
		return err
	}
	for _, e := range s.crawls.all() {
		c, stats, _ := f.Crawl(e.no)
		if err := s.deps.Bus.PutCrawl(ctx, public(e.view(c, stats))); err != nil {
			return err
		}
	}
	if err := s.deps.Bus.EnsureTopology(ctx, partitions); err != nil {
		return err
	}
	s.m.owned.Set(float64(partitions))
	return s.reconcile(ctx, f, now)
}

// learnEntry puts a crawl of the store into the roster.
func (s *Service) learnEntry(c frontier.Crawl) error {
	e, err := loadEntry(c)
	if err != nil {
		return err
	}
	s.crawls.put(e)
	return nil
}

// committed is called when a batch is durable.
func (s *session) committed(p pendingCommit) {
	if len(p.outbox) > 0 {
		s.outbox.add(p.outbox)
	}
	if len(p.changed) > 0 {
		s.dirty.add(p.changed)
		s.changes.send()
	}
}

// leave gives all partitions to the others before the session ends, so that they
// need not wait until the leases run out. Where there are no others it hands out
// nothing more, and finishes the results in hand.
func (s *session) leave() {
	if s.tenure != nil {
		s.tenure.leave()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	err := s.read(ctx, func(l *loop, _ time.Time) error { l.draining = true; return nil })
	var g errgroup.Group
	for p := range s.held {
		g.Go(func() error { return s.results.Remove(ctx, bus.ResultConsumer(uint32(p))) })
	}
	if err = errors.Join(err, g.Wait()); err != nil && crawl.KindOf(err) != crawl.Unavailable {
		s.deps.Log.Warn("finish the results in hand", "err", err)
	}
}

// linger answers calls between leave and the end of Run's context.
func (s *session) linger(ctx, inner context.Context) error {
	select {
	case err := <-s.lost:
		return err
	case <-inner.Done():
		return context.Cause(inner)
	case <-ctx.Done():
		return nil
	}
}

// letGo frees the keys that are still held, once nothing acts on them any more.
func (s *session) letGo() {
	if s.tenure != nil {
		s.tenure.close()
	}
}

// restoreBus shares the crawls and declares the topology again: a server that was
// away may have lost both with its disk. What it lost of the work is looked for by
// recheck.
func (s *session) restoreBus(ctx context.Context) error {
	if err := s.deps.Bus.EnsureBuckets(ctx); err != nil {
		return err
	}
	for _, e := range s.crawls.all() {
		if err := s.announceCrawl(ctx, e.no); err != nil {
			return err
		}
	}
	if err := s.deps.Bus.EnsureTopology(ctx, uint32(len(s.held))); err != nil {
		return err
	}
	signal(s.back)
	return nil
}

// recheckAfter is how long after the server has come back the leases of before are
// looked for in its streams: what the fetchers had in hand is there again by then.
const recheckAfter = time.Minute

// recheck returns leases that the server has lost, which would otherwise wait until
// their time is up.
func (s *session) recheck(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.back:
		}
		var ids []frontier.LeaseID
		err := s.read(ctx, func(l *loop, _ time.Time) error {
			for _, lease := range l.f.Leases() {
				ids = append(ids, lease.ID)
			}
			return nil
		})
		if err == nil && pause(ctx, recheckAfter) {
			var lost int
			if lost, err = s.returnLost(ctx, ids); lost > 0 {
				s.deps.Log.Warn("the server had lost work; it is handed out again", "leases", lost)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("look for lost work on the bus; it comes back when its leases' time is up", "err", err)
		}
	}
}

// reconcile returns the leases whose messages are on no stream: the process that
// made them died before it could publish them, or the bus lost them.
func (s *session) reconcile(ctx context.Context, f *frontier.Frontier, now time.Time) error {
	leases := f.Leases()
	if len(leases) == 0 {
		return nil
	}
	ids := make([]frontier.LeaseID, len(leases))
	for i, l := range leases {
		ids[i] = l.ID
	}
	inFlight, err := s.surelyInFlight(ctx, ids)
	if err != nil {
		return err
	}
	lost := 0
	for _, l := range leases {
		if _, ok := inFlight[uint64(l.ID)]; !ok {
			f.Return(now, l.ID)
			lost++
		}
	}
	s.m.returned.WithLabelValues("lost").Add(float64(lost))
	s.deps.Log.Info("took up the frontier", "leases", len(leases), "lost", lost)
	return nil
}

// takeReport hands reports to the loop; it waits while the loop is busy.
func (s *session) takeReport(ctx context.Context) func(*crawlv1.FetchReport) {
	return func(r *crawlv1.FetchReport) {
		select {
		case s.loop.reports <- r:
		case <-ctx.Done():
		}
	}
}
