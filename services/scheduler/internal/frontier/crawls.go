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
	stats    Stats
	ready    readyHeap // queues that may be served, by time
	vtime    float64   // service had, divided by weight
	reserved int       // void leases whose result may still become a page
	ending   string    // the limit that was met, while leases are still out

	dirty, redefined bool // counters, definition to be written
}

// NextCrawlNo returns the number for a new crawl.
func (f *Frontier) NextCrawlNo() CrawlNo {
	if len(f.order) == 0 {
		return 1
	}
	return f.order[len(f.order)-1].No + 1
}

// PutCrawl adds a crawl or replaces everything of it but its State, Reason,
// Closed and EndedAt, which only SetState and the frontier itself change. To
// store a new Meta after a change of state, put the crawl again.
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
		c.State, c.Reason, c.Closed, c.EndedAt = old.State, old.Reason, old.Closed, old.EndedAt
		delete(f.byID, old.ID)
		old.Crawl = c
		f.byID[c.ID] = c.No
		old.ending = ""
	}
	f.define(old)
	f.touch(old)
	f.activate()
	f.replace(old)
	f.settle(old)
}

// activate notes which crawls hand out work.
func (f *Frontier) activate() {
	active := make([]*crawlState, 0, len(f.active)+1)
	for _, c := range f.order {
		if c.State.Active() {
			active = append(active, c)
		}
	}
	f.active = active // a new slice: a loop over the old one may be running
}

// replace puts the hosts of a crawl where they belong after a change of it.
func (f *Frontier) replace(c *crawlState) {
	for _, q := range f.queues {
		if q != nil && q.c == c {
			q.group = nil
			f.holdBack(q.h)
			f.placeAll(q.h)
		}
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
	if s == c.State {
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
		f.voidLeases(c)
	}
	c.ending = ""
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
		if limit := f.limitMet(c, t); limit != "" {
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

// settle ends a crawl that has met a limit or has nothing left.
func (f *Frontier) settle(c *crawlState) {
	if !c.State.Active() {
		return
	}
	if c.ending == "" {
		c.ending = f.limitMet(c, f.now)
	}
	reason := ""
	switch {
	case c.ending != "" && c.stats.Leased == 0:
		reason = c.ending
	case c.State == Closing && c.stats.Open() == 0:
		reason = ReasonDone
	default:
		return
	}
	c.ending = ""
	f.setState(c, Finished, reason)
	f.changes = append(f.changes, c.No)
}

// limitMet names the limit that a crawl has met.
func (f *Frontier) limitMet(c *crawlState, t tick) string {
	l, s := &c.Limits, &c.stats
	switch {
	case l.Pages > 0 && s.Pages >= l.Pages:
		return ReasonPages
	case l.Items > 0 && s.Items >= l.Items:
		return ReasonItems
	case l.Bytes > 0 && s.Bytes >= l.Bytes:
		return ReasonBytes
	case l.Errors > 0 && s.Failed >= l.Errors:
		return ReasonErrors
	case l.Duration > 0 && t >= f.tickOf(c.CreatedAt.Add(l.Duration)):
		return ReasonDuration
	}
	return ""
}

// dispatchable reports whether a crawl may hand out a page now, as far as the
// crawl is concerned.
func (c *crawlState) dispatchable() bool {
	if !c.State.Active() || c.ending != "" {
		return false
	}
	return c.Limits.Pages == 0 || c.stats.Pages+c.stats.Leased+uint64(c.reserved) < c.Limits.Pages
}

// share is the crawl's weight.
func (c *crawlState) share() float64 { return float64(max(c.Weight, 1)) }

// Crawl returns a copy of a crawl and its counters.
func (f *Frontier) Crawl(no CrawlNo) (Crawl, Stats, bool) {
	c := f.crawls[no]
	if c == nil {
		return Crawl{}, Stats{}, false
	}
	return c.Crawl, c.stats.Clone(), true
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
