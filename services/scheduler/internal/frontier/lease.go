package frontier

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/cookie"
)

// LeaseID names a lease: the store's epoch in the upper 24 bits, a counter
// below, so that no two runs of a scheduler give the same one.
type LeaseID uint64

// String returns the id as epoch and counter.
func (id LeaseID) String() string { return fmt.Sprintf("%d.%d", uint64(id)>>40, uint64(id)&(1<<40-1)) }

// Lease is a visit that was handed out.
type Lease struct {
	// ID of the lease.
	ID LeaseID
	// Ref of the URL.
	Ref Ref
	// Item to visit. In a lease that came back from the store after a restart the
	// URL is missing; such leases are never handed out, only listed.
	Item Item
	// Robots says that the URL is a host's robots.txt, which is in no ledger.
	Robots bool
	// Void leases hold a slot or a page under a limit, and no URL: theirs was taken
	// back while the fetch may still run, or another lease of it was completed.
	Void bool
	// Render says that the visit is for the browsers.
	Render bool
	// Cookies of the crawl that go with the visit; nil in a list of leases.
	Cookies []cookie.Cookie
	// Revision of the crawl when the lease was made.
	Revision uint64
	// Deadline after which Expired names the lease.
	Deadline time.Time
	// Delay is the wait since the end of the last exchange with the host that
	// politeness asked for; 0 for the first visit of a run.
	Delay time.Duration
}

// lease is a lease in memory.
//
//	valid ──Report──► valid, reported ──Complete──► gone
//	  │ cancel, or a completion under another lease
//	  ▼
//	void: holds its slot until Report, and its page under a limit until the result
type lease struct {
	id       LeaseID
	q        *queue
	item     Item
	deadline tick
	made     tick // 0 for one of another run
	delay    tick // that the host had to be left alone before
	reported bool
	robots   bool
	void     bool
	reserve  bool // void, and its result may still become a page
	pool     Pool
	also     *host // whose slot it takes too: the target of a redirected robots.txt
}

// deadline is an entry of the list of deadlines, which is in order. Entries of leases
// that are gone or were extended are skipped.
type deadline struct {
	at tick
	id LeaseID
}

// voidTime after which a void lease is asked about, and again. It holds a slot of its host,
// and the look at the bus when its crawl was stopped may have come too soon: a cluster of
// servers answers from copies that lag behind the purge.
const voidTime = 10 * time.Second

// setDeadline has a lease asked about after its time.
func (f *Frontier) setDeadline(l *lease) {
	patience := f.cfg.LeaseTime
	if l.void {
		patience = min(voidTime, patience)
	}
	d := deadline{f.now + tick(patience), l.id}
	if d.at == l.deadline {
		return // it is on the list
	}
	l.deadline = d.at
	if n := len(f.deadlines); n == 0 || f.deadlines[n-1].at <= d.at { // nearly always
		f.deadlines = append(f.deadlines, d)
		return
	}
	i, _ := slices.BinarySearchFunc(f.deadlines, d, func(a, b deadline) int { return cmp.Compare(a.at, b.at) })
	f.deadlines = slices.Insert(f.deadlines, i, d)
}

// newLease makes a lease and takes a slot of the host.
func (f *Frontier) newLease(q *queue, it Item, p Pool, robots bool) *lease {
	f.nextLease++
	l := &lease{id: f.nextLease, q: q, item: it, robots: robots, pool: p, deadline: f.now + tick(f.cfg.LeaseTime)}
	l.made = max(f.now, 1)
	if h := q.h; h.lastEnd > longAgo {
		l.delay = max(0, h.nextAt-h.lastEnd)
	}
	f.hold(l)
	if !robots {
		q.leased = append(q.leased, l)
	}
	h := q.h
	h.begun, h.draw = f.now, f.cfg.Rand()
	f.holdBack(h)
	f.charge(q)
	f.took(h)
	f.writeLease(l)
	return l
}

// charge accounts for one visit by start-time fair queueing, among the crawls and
// among the queues of the host. Who had no work for a while gets one turn for it,
// not all those that it missed.
func (f *Frontier) charge(q *queue) {
	cost := 1 / q.c.share()
	f.vtime = max(f.vtime, q.c.vtime)
	q.c.vtime = f.vtime + cost
	q.h.turn = max(q.h.turn, q.turn)
	q.turn = q.h.turn + cost
}

// hold enters a lease into the books of leases and slots.
func (f *Frontier) hold(l *lease) {
	f.leases[l.id] = l
	f.deadlines = append(f.deadlines, deadline{l.deadline, l.id})
	l.q.h.leases++
	if l.void {
		f.voids++
	}
	if !l.reported {
		f.takeSlot(l.q.h)
		f.unreported[l.pool]++
	}
}

// export is a lease as the caller sees it.
func (f *Frontier) export(l *lease) Lease {
	return Lease{
		ID: l.id, Item: l.item, Robots: l.robots, Void: l.void, Render: l.pool == PoolBrowser, Revision: l.q.c.Revision,
		Ref:      Ref{Crawl: l.q.c.No, Partition: l.q.h.part, Host: l.q.h.id, Key: l.item.Key},
		Deadline: f.start.Add(time.Duration(l.deadline)),
		Delay:    time.Duration(l.delay),
	}
}

// Report takes the end of an exchange: it frees the host's slot and paces the
// host. A second report, or one of an unknown lease, changes nothing.
func (f *Frontier) Report(now time.Time, id LeaseID, x Exchange) {
	t := f.at(now)
	l := f.leases[id]
	if l == nil || l.reported {
		return
	}
	f.report(l, x, t)
	if l.void && !l.reserve && !l.robots {
		f.removeLease(l)
	}
	f.placeAll(l.q.h)
}

// report frees the slot of a lease and paces its host, once.
func (f *Frontier) report(l *lease, x Exchange, t tick) {
	if l.reported {
		return
	}
	f.freeSlot(l)
	h := l.q.h
	if l.robots && l.item.Redirects > 0 && l.item.URL.Origin() != h.origin { // another host has answered
		// Its partition may have gone to another owner, who paces it.
		if t2 := l.also; t2 != nil && f.hosts[t2.id] == t2 {
			f.pacing(t2, l.q.c, x, t)
			f.setAddress(t2, x.Address)
			f.placeAll(t2)
			x = Exchange{}
		}
		f.pacing(h, l.q.c, x, t)
		return
	}
	f.pacing(h, l.q.c, x, t)
	f.setAddress(h, x.Address)
}

// leaveAlso frees the second host of a lease.
func (f *Frontier) leaveAlso(l *lease) {
	if l.also != nil {
		l.also.leases--
		f.leaveSlot(l.also)
	}
}

// freeSlot ends a lease's hold on its host.
func (f *Frontier) freeSlot(l *lease) {
	if l.reported {
		return
	}
	l.reported = true
	f.leaveSlot(l.q.h)
	f.leaveAlso(l)
	f.unreported[l.pool]--
	f.ended[l.pool]++
}

// removeLease takes a lease out of all books; its slot must be free.
func (f *Frontier) removeLease(l *lease) {
	delete(f.leases, l.id)
	if l.void {
		f.voids--
	}
	l.q.h.leases--
	f.unreserve(l)
	l.q.dropLease(l)
	if l.q.h.robots.lease == l.id {
		l.q.h.robots.lease = 0
	}
	f.out.Leases = append(f.out.Leases, LeaseRow{ID: l.id, Partition: l.q.h.part, Delete: true})
	if f.markIdle(l.q); len(f.deadlines) > 4*len(f.leases)+1024 {
		f.deadlines = slices.DeleteFunc(f.deadlines, f.stale)
	}
}

// voidLease takes the URL from a lease. It stays while it holds a slot or a page.
func (f *Frontier) voidLease(l *lease, reserve bool) {
	l.q.dropLease(l)
	l.void = true
	f.voids++
	if l.robots {
		l.q.h.robots.lease = 0
	}
	if l.reported && !reserve {
		f.removeLease(l)
		return
	}
	if l.reserve = reserve; reserve {
		l.q.reserved++
		l.q.s.reserved++
	}
	f.setDeadline(l)
	f.writeLease(l)
}

// unreserve gives up the page that a void lease holds.
func (f *Frontier) unreserve(l *lease) {
	if l.reserve {
		l.reserve = false
		l.q.reserved--
		l.q.s.reserved--
	}
}

// voidLeases takes the URLs of the leases that match back into their queues.
func (f *Frontier) voidLeases(match func(*lease) bool) {
	for _, l := range f.leasesInOrder() {
		if l.void || !match(l) {
			continue
		}
		c := l.q.c
		if l.robots {
			f.voidLease(l, false)
		} else {
			f.voidLease(l, l.item.Mode != ModeMedia && (c.Limits.Pages > 0 || c.Limits.PagesPerHost > 0))
			f.requeue(l)
		}
		f.placeAll(l.q.h)
	}
}

// requeue puts the item of a lease that is no longer valid back into its queue.
func (f *Frontier) requeue(l *lease) {
	q := l.q
	q.s.stats.Leased--
	q.s.stats.Queued++
	if !l.item.URL.IsZero() {
		f.insert(q, l.item)
		return
	}
	// A lease that came back from the store has no URL: let the store read the
	// queue again from the item's place on.
	if !q.beyond(l.item.QKey) {
		f.cut(q, l.item.QKey)
	} else if q.log != nil {
		q.log.void = true
	}
}

// Return takes back a lease that nobody works on: the task was refused by the
// bus, is in no stream, or was purged. No attempt is counted. The host's delay
// starts now, in case somebody did.
func (f *Frontier) Return(now time.Time, id LeaseID) {
	t := f.at(now)
	l := f.leases[id]
	if l == nil {
		return
	}
	q := l.q
	if !l.reported {
		f.freeSlot(l)
		q.h.lastEnd = t
		f.holdBack(q.h)
	}
	page := !l.robots && !l.void
	f.removeLease(l)
	if page {
		f.requeue(l)
		f.settle(q.c)
	}
	f.placeAll(q.h)
}

// Expired returns the leases past their deadline. The caller extends those whose
// messages are still in flight and returns the others.
func (f *Frontier) Expired(now time.Time) []LeaseID {
	t := f.at(now)
	var ids []LeaseID
	f.trimDeadlines()
	for _, d := range f.deadlines {
		if d.at > t {
			break
		}
		if !f.stale(d) {
			ids = append(ids, d.id)
		}
	}
	return ids
}

// Extend gives a lease another LeaseTime from now, less when it is void.
func (f *Frontier) Extend(now time.Time, id LeaseID) {
	f.at(now)
	l := f.leases[id]
	if l == nil {
		return
	}
	before := l.deadline
	if f.setDeadline(l); l.deadline != before {
		f.writeLease(l)
	}
}

// stale reports whether an entry says nothing any more.
func (f *Frontier) stale(d deadline) bool {
	l := f.leases[d.id]
	return l == nil || l.deadline != d.at
}

// trimDeadlines drops stale entries from the front.
func (f *Frontier) trimDeadlines() {
	n := 0
	for n < len(f.deadlines) && f.stale(f.deadlines[n]) {
		n++
	}
	f.deadlines = f.deadlines[n:]
}

// Leased returns the number of URLs and robots.txt files that are handed out and
// neither completed nor taken back.
func (f *Frontier) Leased() int {
	return len(f.leases) - f.voids
}

// Leases returns all leases, void ones included, ordered by id.
func (f *Frontier) Leases() []Lease {
	out := make([]Lease, 0, len(f.leases))
	for _, l := range f.leasesInOrder() {
		out = append(out, f.export(l))
	}
	return out
}

// leasesInOrder returns the leases by id, for the same result in every run.
func (f *Frontier) leasesInOrder() []*lease {
	ls := make([]*lease, 0, len(f.leases))
	for _, l := range f.leases {
		ls = append(ls, l)
	}
	slices.SortFunc(ls, func(a, b *lease) int { return cmp.Compare(a.id, b.id) })
	return ls
}

// restoreLease takes a lease from a snapshot. Its exchange counts as under way.
func (f *Frontier) restoreLease(p *partition, r LeaseRow) {
	q := f.queueOf(r.Host, r.Crawl)
	if q == nil || q.s.part != p { // its crawl is gone
		f.out.Leases = append(f.out.Leases, LeaseRow{ID: r.ID, Partition: r.Partition, Delete: true})
		return
	}
	l := &lease{
		id: r.ID, q: q, robots: r.Robots, void: r.Void,
		deadline: min(f.tickOf(r.Deadline), f.now+tick(f.cfg.LeaseTime)),
		item:     Item{Key: r.Key, QKey: r.QKey, Attempts: r.Attempts, Generation: r.Generation, Mode: r.Mode},
	}
	if r.Render {
		l.pool = PoolBrowser
	}
	f.hold(l)
	switch {
	case l.void && r.Reserve:
		l.reserve = true
		q.reserved++
		q.s.reserved++
	case l.void:
	case l.robots:
		q.h.robots.lease = l.id
	default:
		q.leased = append(q.leased, l)
		q.s.stats.Queued--
		q.s.stats.Leased++
	}
	f.placeAll(q.h)
}
