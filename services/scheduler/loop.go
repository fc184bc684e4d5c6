package scheduler

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// gather is how many requests and reports one turn takes at most, so that a
	// flood of one kind does not keep leases from being handed out.
	gather = 512
	// dueBatch is how many delayed URLs one turn wakes.
	dueBatch = 512
	// fillRounds is how often a turn reads windows and tries again; what is still
	// wanted then is read in the next turn.
	fillRounds = 3
	// refusedPause is how long nothing is handed out after the tasks stream was
	// full: until fetchers have taken some.
	refusedPause = 20 * time.Millisecond
	// stalePause is how long nothing is handed out when the leases of the partitions
	// are too old, before they are looked at again.
	stalePause = 50 * time.Millisecond
	// grantPause is the least time between two looks at the grants of pages.
	grantPause = 20 * time.Millisecond
)

// request is something for the loop to do in its next turn.
type request struct {
	// run works on the frontier; an error is the request's answer and leaves the
	// frontier as it was.
	run func(l *loop, now time.Time) error
	// read says that nothing is changed, so the answer need not wait for the disk; but
	// for the write of what was changed before it in its turn, lest the store be asked
	// next and know less.
	read bool
	// done takes the answer; its capacity is 1.
	done chan error
}

// loop is the goroutine that owns the frontier and writes its store.
type loop struct {
	f          *frontier.Frontier
	partitions uint32 // of the store
	store      frontier.Store
	crawls     *roster
	m          *metrics
	now        func() time.Time

	requests chan *request             // capacity: the most API calls and batches that wait at once
	reports  chan *crawlv1.FetchReport // capacity: about a second of reports; when full the receiver waits
	commits  chan pendingCommit        // capacity: commits whose fsync is not over
	tasks    chan dispatch             // capacity: as many as there may be at once
	expired  chan []frontier.LeaseID   // capacity 1: the reaper works on one list at a time

	names chan string // to be looked up; capacity: see lookupsWaiting

	// fresh returns until when leases may be handed out; nil for ever.
	fresh func() time.Time
	// epoch returns that of a partition that is owned, for its outbox.
	epoch func(p uint32) uint64
	// grants and quiet wake those who look after crawls that others work on too; nil
	// when there are no others. Capacity 1.
	grants  chan []frontier.GrantWant
	quiet   chan struct{}
	grantAt time.Time // no grants are asked for before
	asking  bool      // grants are being asked for

	window    [frontier.Pools]int
	draining  bool
	holdUntil [frontier.Pools]time.Time // no leases of the pool before this time
	reaping   bool
	leases    []frontier.Lease // made in this turn, not yet handed over
	answered  []*request
	reads     []*request         // those that are answered when the turn has written
	touched   []frontier.CrawlNo // crawls that a request changed
	lookups   []string           // names that names has no room for
	scratch   scratch
	turned    atomic.Int64 // when the last turn was over, in Unix nanoseconds
	failed    error        // of a batch: memory is ahead of the store, and nothing more is written
}

// dispatch is a lease on its way to the publisher, under the epoch of its partition's
// owner, 0 without other owners.
type dispatch struct {
	lease frontier.Lease
	epoch uint64
}

// pendingCommit is a batch on its way to the disk with those who wait for it.
type pendingCommit struct {
	commit  frontier.Commit
	since   time.Time
	waiting []*request
	changed []frontier.CrawlNo
	leases  []dispatch
	outbox  []outgoing
}

func newLoop(s *session, f *frontier.Frontier, partitions uint32) *loop {
	l := &loop{
		f:          f,
		partitions: partitions,
		store:      s.store,
		crawls:     s.crawls,
		m:          s.m,
		now:        s.deps.Now,
		window:     [frontier.Pools]int{frontier.PoolHTTP: s.cfg.startWindow(frontier.PoolHTTP)}, // no browsers until some are seen
		requests:   make(chan *request, 256),
		reports:    make(chan *crawlv1.FetchReport, 4096),
		commits:    make(chan pendingCommit, 64),
		tasks:      make(chan dispatch, s.cfg.MaxLeases),
		expired:    make(chan []frontier.LeaseID, 1),
		names:      make(chan string, lookupsWaiting),
	}
	l.turned.Store(time.Now().UnixNano())
	return l
}

// run turns until ctx ends or the store fails. After a failure the frontier in
// memory is ahead of the store: the process must end and start anew.
func (l *loop) run(ctx context.Context) error {
	defer close(l.commits)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var reports []*crawlv1.FetchReport
	var requests []*request
	for {
		reports, requests = reports[:0], requests[:0]
		select {
		case <-ctx.Done():
			return nil
		case r := <-l.requests:
			requests = append(requests, r)
		case r := <-l.reports:
			reports = append(reports, r)
		case <-timer.C:
		}
		reports, requests = l.gather(reports, requests)
		now := l.now()
		if err := l.turn(ctx, now, reports, requests); err != nil {
			return err
		}
		l.turned.Store(time.Now().UnixNano())
		l.m.turn.Observe(l.now().Sub(now).Seconds())
		l.m.leased.Set(float64(l.f.Leased()))
		timer.Reset(l.wakeIn()) // since Go 1.23 a reset timer leaves nothing stale
	}
}

// gather takes what else has come, without waiting.
func (l *loop) gather(reports []*crawlv1.FetchReport, requests []*request) ([]*crawlv1.FetchReport, []*request) {
	for range gather {
		select {
		case r := <-l.requests:
			requests = append(requests, r)
		case r := <-l.reports:
			reports = append(reports, r)
		default:
			return reports, requests
		}
	}
	return reports, requests
}

// turn does steps 2 to 6 of the package comment.
func (l *loop) turn(ctx context.Context, now time.Time, reports []*crawlv1.FetchReport, requests []*request) error {
	for _, r := range reports {
		if r.GetReturned() {
			l.f.Return(now, frontier.LeaseID(r.GetLease()))
			l.m.returned.WithLabelValues("given_back").Inc()
			continue
		}
		l.f.Report(now, frontier.LeaseID(r.GetLease()), exchangeFrom(r))
	}
	l.m.reports.Add(float64(len(reports)))
	for _, r := range requests {
		err := r.run(l, now)
		switch {
		case err != nil:
			r.done <- err
		case r.read:
			l.reads = append(l.reads, r)
		default:
			l.answered = append(l.answered, r)
		}
	}
	if l.failed != nil { // a request wrote, and was refused
		return l.failed
	}
	if err := l.wake(ctx, now); err != nil {
		return err
	}
	l.reap(now)
	l.lease(now)
	if err := l.write(ctx); err != nil {
		return err
	}
	for _, r := range l.reads {
		r.done <- nil
	}
	l.reads = l.reads[:0]
	if err := l.unpark(ctx, now); err != nil {
		return err
	}
	for range fillRounds {
		wants := l.f.Wants()
		if len(wants) == 0 {
			break
		}
		fillings, err := l.windows(ctx, wants)
		if err != nil {
			return err
		}
		for i, w := range wants {
			l.f.Fill(now, w, fillings[i])
		}
		l.lease(now)
		if err := l.write(ctx); err != nil {
			return err
		}
	}
	l.lookUp()
	l.consult(now)
	return nil
}

// windowReads is how many windows are read at a time: after a partition was taken up
// there are thousands, and each is a round trip to a database.
const windowReads = 8

// windows reads what the frontier wants.
func (l *loop) windows(ctx context.Context, wants []frontier.Want) ([]frontier.Filling, error) {
	fillings := make([]frontier.Filling, len(wants))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(windowReads)
	for i, w := range wants {
		g.Go(func() (err error) {
			fillings[i], err = l.store.Window(ctx, w)
			return err
		})
	}
	return fillings, g.Wait()
}

// unpark brings hosts back into memory that wait on disk, when there is room.
func (l *loop) unpark(ctx context.Context, now time.Time) error {
	after, n, ok := l.f.Parked()
	if !ok {
		return nil
	}
	hosts, err := l.store.ScanHosts(ctx, after, n)
	if err != nil {
		return err
	}
	siblings := l.f.Unpark(now, after, hosts)
	if len(siblings) > 0 {
		if hosts, err = l.store.Hosts(ctx, siblings); err != nil {
			return err
		}
		l.f.Admit(now, hosts)
	}
	l.lease(now)
	return l.write(ctx)
}

// consult wakes those who look after shared crawls.
func (l *loop) consult(now time.Time) {
	if l.quiet == nil {
		return
	}
	if len(l.f.Quiet()) > 0 {
		select {
		case l.quiet <- struct{}{}:
		default:
		}
	}
	if l.asking || now.Before(l.grantAt) {
		return
	}
	l.grantAt = now.Add(grantPause)
	wants := l.f.Grants()
	for _, w := range wants {
		if w.N < 0 {
			// Before the store has them: they must not be used meanwhile.
			l.f.Granted(now, w.Partition, w.No, w.N)
		}
	}
	if len(wants) > 0 {
		l.asking = true
		l.grants <- wants // has room: nobody else is asking
	}
}

// wake queues the delayed URLs that are due.
func (l *loop) wake(ctx context.Context, now time.Time) error {
	due := l.f.DueAt()
	if due.IsZero() || due.After(now) {
		return nil
	}
	// The store must know what was applied before it is asked what is due.
	if err := l.write(ctx); err != nil {
		return err
	}
	items, next, err := l.store.Due(ctx, now, dueBatch)
	if err != nil {
		return err
	}
	refs := l.scratch.refs[:0]
	for _, it := range items {
		refs = append(refs, it.Ref)
	}
	l.scratch.refs = refs
	if err := l.admit(ctx, now, refs); err != nil {
		return err
	}
	l.f.Wake(now, items, next)
	return nil
}

// reap hands leases without a result to the reaper, which asks the bus about
// them.
func (l *loop) reap(now time.Time) {
	if l.reaping {
		return
	}
	if ids := l.f.Expired(now); len(ids) > 0 {
		l.reaping = true
		l.expired <- ids
	}
}

// lease takes what may be fetched now; write hands it to the publisher.
func (l *loop) lease(now time.Time) {
	if l.draining {
		return
	}
	if l.fresh != nil && !now.Before(l.fresh()) {
		for p := range l.holdUntil {
			l.holdUntil[p] = now.Add(stalePause)
		}
	}
	total := 0
	for p, n := range l.window {
		if now.Before(l.holdUntil[p]) {
			n = 0
		}
		l.f.SetWindow(frontier.Pool(p), n)
		total += n
	}
	if total > 0 {
		l.leases = append(l.leases, l.f.Next(now, total)...)
	}
}

// write makes everything that changed visible and sends it on its way to the
// disk; those who wait for it are answered when it is there.
func (l *loop) write(ctx context.Context) error {
	if l.failed != nil {
		return l.failed
	}
	changed := append(l.f.Changes(), l.touched...)
	l.touched = nil
	batch := l.f.Flush()
	if batch == nil && len(l.answered) == 0 && len(changed) == 0 {
		return nil
	}
	p := pendingCommit{since: l.now(), waiting: l.answered, changed: changed}
	l.answered = nil
	if batch != nil {
		sync := batch.Sync
		commit, err := l.store.Apply(batch)
		if err != nil {
			l.failed = err
			return err
		}
		p.outbox = l.outgoing(batch)
		p.leases = l.handOver(sync)
		if !sync && len(p.waiting) == 0 && len(changed) == 0 {
			// Nobody waits for it. Under load there are many of these for one fsync,
			// and queued behind it they would hold up the loop.
			return nil
		}
		p.commit = commit
	}
	select {
	case l.commits <- p:
		return nil
	case <-ctx.Done():
		return nil
	}
}

// outgoing copies the links for others that a batch puts into the outbox.
func (l *loop) outgoing(b *frontier.Batch) (rows []outgoing) {
	if l.epoch == nil {
		return nil
	}
	for _, r := range b.Outbox {
		if !r.Delete {
			r.Links = slices.Clone(r.Links)
			rows = append(rows, outgoing{r, l.epoch(r.Partition)})
		}
	}
	return rows
}

// handOver gives the new leases to the publisher and returns those that must be
// durable first: a lease that a crash made forgotten would let its crawl go over
// a limit that is never exceeded. Others need not wait: a forgotten one costs a
// second visit at worst.
func (l *loop) handOver(sync bool) (later []dispatch) {
	for _, lease := range l.leases {
		d := dispatch{lease: lease}
		if l.epoch != nil {
			d.epoch = l.epoch(lease.Ref.Partition)
		}
		if e := l.crawls.number(lease.Ref.Crawl); sync && e != nil && e.exact() {
			later = append(later, d)
			continue
		}
		if !l.send(d) {
			now := l.now()
			l.f.Return(now, lease.ID)
			l.holdUntil[poolOf(lease)] = now.Add(refusedPause)
		}
	}
	l.leases = l.leases[:0]
	return later
}

// wakeIn returns how long the loop may wait without an event: never no time at all,
// since what is overdue may have to wait for somebody else (the reaper, a wall clock
// that was set back).
func (l *loop) wakeIn() time.Duration {
	const soonest, idle = time.Millisecond, time.Minute
	now := l.now()
	if l.draining {
		return idle
	}
	wait := idle
	if at := l.f.WakeAt(now); !at.IsZero() {
		wait = min(wait, at.Sub(now))
	}
	for _, until := range l.holdUntil {
		if until.After(now) {
			wait = min(wait, until.Sub(now))
		}
	}
	return max(wait, soonest)
}

// send gives a lease to the publisher; false when that is stuck behind a bus that
// does not answer. Nobody may wait for it here: it may itself wait for the loop.
func (l *loop) send(d dispatch) bool {
	select {
	case l.tasks <- d:
		return true
	default:
		return false
	}
}

// finish waits for the commits in order and answers those who wait for them. After
// a failure nothing would ever be durable again: its error ends the loop, and those
// who still wait learn that from session.over.
func (l *loop) finish(notify func(pendingCommit)) error {
	for p := range l.commits {
		var failed error
		if p.commit != nil {
			failed = p.commit.Wait()
			l.m.commit.Observe(l.now().Sub(p.since).Seconds())
		}
		for _, r := range p.waiting {
			r.done <- failed
		}
		if failed != nil {
			return failed
		}
		for _, d := range p.leases {
			// One that cannot be sent is on no stream, and returns when its time is up.
			_ = l.send(d)
		}
		notify(p)
	}
	return nil
}
