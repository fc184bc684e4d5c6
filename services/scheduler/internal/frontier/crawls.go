package frontier

import (
	"cmp"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// crawlState is a crawl in memory.
type crawlState struct {
	Crawl
	shares    []*share // by partition owned
	queues    []*queue
	ready     readyHeap // queues that may be served, by time
	vtime     float64   // service had, divided by weight
	elsewhere uint64    // URLs that other owners have, as of the last Settle

	parked bool // the store may have queues of it with work that memory has not
	dirty  bool // definition to be written
}

// PutCrawl adds a crawl or replaces everything of it but its Version, State, Reason,
// Closed and EndedAt, which only SetState and the frontier itself change. Its home
// must be owned. To store a new Meta after a change of state, put the crawl again.
func (f *Frontier) PutCrawl(now time.Time, c Crawl) {
	f.at(now)
	old := f.crawls[c.No]
	if old == nil {
		if c.State == 0 {
			c.State = Running
		}
		old = f.addCrawl(c)
		old.vtime = f.vtime
	} else {
		c.Version, c.State, c.Closed, c.EndedAt = old.Version, old.State, old.Closed, old.EndedAt
		if c.Reason = old.Reason; c.State.Active() {
			c.Reason = "" // the limit that was met may be another one now
		}
		old.Crawl = c
	}
	f.define(old)
	if f.Owns(c.Home) {
		f.touch(f.shareOf(old, f.parts[c.Home])) // a crawl without URLs has a row too
	}
	f.activate()
	f.replace(old)
	f.settle(old)
}

// Learn takes a crawl from the owner of its home, unless what is known is as new.
func (f *Frontier) Learn(now time.Time, c Crawl) {
	f.at(now)
	old := f.crawls[c.No]
	switch {
	case old == nil && c.State == Deleted:
		return
	case old == nil:
		old = f.addCrawl(c)
		old.vtime = f.vtime
	case c.Version <= old.Version:
		return
	case c.State == Deleted:
		f.Forget(now, c.No)
		return
	default:
		if (c.State == Cancelled || c.State == Failed) && c.State != old.State {
			f.voidLeases(old.owns)
		}
		if c.State.Active() && !old.State.Active() {
			old.vtime = max(old.vtime, f.vtime)
		}
		old.Crawl = c
	}
	f.know(old)
	f.activate()
	f.replace(old)
}

// Forget takes a crawl out of memory, with all its queues and leases, whose rows
// are left to Store.DeleteCrawl.
func (f *Frontier) Forget(now time.Time, no CrawlNo) {
	f.at(now)
	c := f.crawls[no]
	if c == nil {
		return
	}
	hosts := make(map[*host]struct{})
	for _, l := range f.leasesInOrder() {
		if l.q.c == c {
			hosts[l.q.h] = struct{}{}
			if l.q.h.robots.lease == l.id {
				l.q.h.robots.lease = 0
			}
			f.forgetLease(l)
		}
	}
	for len(c.queues) > 0 {
		f.drop(c.queues[len(c.queues)-1])
	}
	for _, s := range c.shares {
		delete(s.part.shares, no)
	}
	delete(f.crawls, no)
	delete(f.byID, c.ID)
	f.order = slices.DeleteFunc(f.order, func(o *crawlState) bool { return o == c })
	f.dirtyC = slices.DeleteFunc(f.dirtyC, func(o *crawlState) bool { return o == c })
	f.activate()
	f.scrub()
	for h := range hosts {
		f.placeAll(h)
	}
}

// activate notes which crawls hand out work.
func (f *Frontier) activate() {
	active := make([]*crawlState, 0, len(f.active)+1)
	for _, c := range f.order {
		if !c.State.Active() {
			continue
		}
		active = append(active, c)
		if c.parked && !slices.Contains(f.active, c) {
			f.makeWhole(c)
		}
	}
	f.active = active // a new slice: a loop over the old one may be running
	f.regate()
}

// replace puts the hosts of a crawl where they belong after a change of it.
func (f *Frontier) replace(c *crawlState) {
	for _, q := range c.queues {
		q.group = nil
		f.holdBack(q.h)
		f.placeAll(q.h)
		if !c.State.Active() && f.parking.some {
			f.leave(q.h) // others need the room
		}
	}
	if c.State.Active() && c.parked {
		f.noteParked(c, 1) // what was put on disk is looked for
	}
}

// addCrawl puts a crawl into memory.
func (f *Frontier) addCrawl(c Crawl) *crawlState {
	cs := &crawlState{Crawl: c}
	f.crawls[c.No] = cs
	f.byID[c.ID] = c.No
	f.order = append(f.order, cs)
	slices.SortFunc(f.order, func(a, b *crawlState) int { return cmp.Compare(a.No, b.No) })
	return cs
}

// SetState changes the state of a crawl: Paused, Running (resume: leads back to
// Closing when the crawl was closed), Closing, Cancelled (its leases go back to
// the queue; results that come all the same still count) or Failed. The error
// is of kind crawl.NotFound or crawl.Precondition.
func (f *Frontier) SetState(now time.Time, no CrawlNo, s State, reason string) error {
	t := f.at(now)
	c := f.crawls[no]
	if c == nil {
		return crawl.Errorf(crawl.NotFound, "crawl %d is not known", no)
	}
	if err := f.mayChange(c, s, t); err != nil {
		return err
	}
	if s == c.State && (s != Running || c.Reason == "") {
		return nil
	}
	switch {
	case s == Closing:
		c.Closed = true
		if c.State == Paused { // stays paused, and closes after
			f.define(c)
			return nil
		}
	case s == Running && c.Closed:
		s = Closing
	}
	if s == Cancelled || s == Failed {
		f.voidLeases(c.owns)
	}
	f.setState(c, s, reason)
	if s.Active() {
		c.vtime = max(c.vtime, f.vtime)
		f.settle(c)
	}
	return nil
}

// mayChange checks a requested change of state.
func (f *Frontier) mayChange(c *crawlState, s State, t tick) error {
	switch {
	case s < Running || s > Failed || s == Finished:
		return crawl.Errorf(crawl.Precondition, "crawl %s cannot be set to %s", c.ID, s)
	case c.State.Final() && s != Running && s != c.State:
		return crawl.Errorf(crawl.Precondition, "crawl %s is %s", c.ID, c.State)
	case s == Running && !c.State.Active():
		if limit := f.limitMet(c, c.sum(), t); limit != "" {
			return crawl.Errorf(crawl.Precondition, "crawl %s cannot go on: %s is still met", c.ID, limit)
		}
	case s == Running && c.State == Closing:
		return crawl.Errorf(crawl.Precondition, "crawl %s is closing", c.ID)
	}
	return nil
}

// setState writes a new state.
func (f *Frontier) setState(c *crawlState, s State, reason string) {
	c.State, c.Reason = s, reason
	c.EndedAt = time.Time{}
	if s.Final() {
		c.EndedAt = f.wall(f.now)
	}
	f.define(c)
	f.activate()
	f.replace(c)
}

// settle ends a crawl that has met a limit or has nothing left. A shared crawl is
// only noted, for Settle to be asked.
func (f *Frontier) settle(c *crawlState) {
	if !c.State.Active() {
		return
	}
	n := c.sum()
	if f.cfg.Shared {
		over := n.open == 0 && c.State == Closing || n.leased == 0 && c.Reason != "" || f.limitMet(c, n, f.now) != ""
		if over && !slices.Contains(f.quiet, c.No) {
			f.quiet = append(f.quiet, c.No)
		}
		return
	}
	f.finish(c, n)
}

// finish ends a crawl, or stops it from handing out more, by its counters.
func (f *Frontier) finish(c *crawlState, n sums) {
	if limit := f.limitMet(c, n, f.now); c.Reason == "" && limit != "" {
		c.Reason = limit
		f.define(c)
		f.noteChange(c)
		f.replace(c)
	}
	reason := ""
	switch {
	case c.Reason != "" && n.leased == 0:
		reason = c.Reason
	case c.State == Closing && n.open == 0:
		reason = ReasonDone
	default:
		return
	}
	f.setState(c, Finished, reason)
	f.noteChange(c)
}

// noteChange has a crawl's change of state announced, once.
func (f *Frontier) noteChange(c *crawlState) {
	if !slices.Contains(f.changes, c.No) {
		f.changes = append(f.changes, c.No)
	}
}

// limitMet names the limit that a crawl has met.
func (f *Frontier) limitMet(c *crawlState, n sums, t tick) string {
	l := &c.Limits
	switch {
	case l.Pages > 0 && n.pages >= l.Pages:
		return ReasonPages
	case l.Items > 0 && n.items >= l.Items:
		return ReasonItems
	case l.Bytes > 0 && n.bytes >= l.Bytes:
		return ReasonBytes
	case l.Errors > 0 && n.failed >= l.Errors:
		return ReasonErrors
	case l.Duration > 0 && t >= f.tickOf(c.CreatedAt.Add(l.Duration)):
		return ReasonDuration
	}
	return ""
}

// dispatchable reports whether a crawl may hand out a page now, as far as the
// crawl is concerned.
func (f *Frontier) dispatchable(c *crawlState) bool {
	if !c.State.Active() || c.Reason != "" {
		return false
	}
	return c.Limits.Pages == 0 || f.cfg.Shared || c.sum().used < c.Limits.Pages
}

// owns reports whether a lease is of the crawl.
func (c *crawlState) owns(l *lease) bool { return l.q.c == c }

// share is the crawl's weight.
func (c *crawlState) share() float64 { return float64(max(c.Weight, 1)) }

// Crawl returns a copy of a crawl and its counters in the partitions owned.
func (f *Frontier) Crawl(no CrawlNo) (Crawl, Stats, bool) {
	c := f.crawls[no]
	if c == nil {
		return Crawl{}, Stats{}, false
	}
	return c.Crawl, c.total(), true
}

// CrawlByID returns the number of a crawl.
func (f *Frontier) CrawlByID(id string) (CrawlNo, bool) {
	no, ok := f.byID[id]
	return no, ok
}

// Crawls returns the numbers of all crawls, ascending.
func (f *Frontier) Crawls() []CrawlNo {
	nos := make([]CrawlNo, 0, len(f.order))
	for _, c := range f.order {
		nos = append(nos, c.No)
	}
	return nos
}
