package frontier

import (
	"slices"
	"time"
)

const (
	// maxTurns is how often a host is served before it makes room for one that waits
	// on disk.
	maxTurns = 256
	// parkedPage is how many hosts are read back at a time.
	parkedPage = 512
	// crowdWait is how soon memory is looked at again while hosts are to leave it and
	// cannot yet, and the least time from one round through the disk to the next;
	// snoozeWait that after a round that left out snoozed hosts.
	crowdWait, snoozeWait = time.Second, 15 * time.Second
	// longWait is a snooze after which a host leaves memory when others wait.
	longWait = 5 * time.Second
)

// parking is where the search for hosts with work that are only on disk goes on. It
// goes round all partitions and active crawls, and stands still while memory is full,
// so that every host has its turn; a round in which none was left out or put on disk
// ends it. A host leaves and comes with all its queues: the delay that one crawl asks
// for binds the others.
//
//	memory ──full, or maxTurns──► on disk ──round, when there is room──► memory
type parking struct {
	some    bool // the store may have queues with work that memory has not
	again   bool // another round is needed after this one
	snoozed bool // the round left out hosts that are snoozed for long
	part    int
	crawl   CrawlNo // this one or the next that is active
	host    HostID
	next    tick    // no round begins before
	looked  tick    // when stalled hosts were last looked for
	surplus []*host // to be put on disk as soon as they are not in use
}

// crowded reports whether memory has more hosts than it may.
func (f *Frontier) crowded() bool { return len(f.hosts) > f.cfg.MaxHosts }

// park puts the hosts that leave on disk, where all that matters of them is written;
// one in use goes when it is not any more.
func (f *Frontier) park() {
	f.parking.surplus = slices.DeleteFunc(f.parking.surplus, func(h *host) bool {
		if f.hosts[h.id] != h {
			return true
		}
		if f.inUse(h) {
			return false
		}
		for len(h.queues) > 0 {
			q := h.queues[len(h.queues)-1]
			f.noteParked(q.c, q.rows)
			f.drop(q)
		}
		return true
	})
}

// noteParked remembers that a crawl has queues with work on disk only.
func (f *Frontier) noteParked(c *crawlState, rows uint64) {
	if rows > 0 {
		c.parked = true
		f.parking.some, f.parking.again = true, true
	}
}

// leave has a host put on disk as soon as it is not in use; until then nothing more
// is handed out of it.
func (f *Frontier) leave(h *host) {
	if !h.leaving {
		h.leaving = true
		f.parking.surplus = append(f.parking.surplus, h)
		f.placeAll(h)
	}
}

// modest reports whether a crawl has less than its share of the hosts in memory. Its
// hosts come in even when memory is full, so that a crawl of ten hosts does not wait
// behind one of a million: memory may hold twice MaxHosts for that.
func (f *Frontier) modest(c *crawlState) bool {
	return len(c.queues) <= f.cfg.MaxHosts/max(1, 2*len(f.active))
}

// parksAt returns when there may be something to park or to read back.
func (f *Frontier) parksAt() tick {
	k := &f.parking
	switch {
	case k.some && f.roomy():
		return max(f.now, k.next)
	case len(k.surplus) > 0 || k.some:
		return f.now + tick(crowdWait)
	}
	return never
}

// roomy reports whether there is room for a page of hosts from disk.
func (f *Frontier) roomy() bool {
	return len(f.hosts) <= f.cfg.MaxHosts-max(1, f.cfg.MaxHosts/4)
}

// inUse reports whether memory knows of a host what the store does not.
func (f *Frontier) inUse(h *host) bool {
	waits := h.nextAt > f.now && h.nextAt > h.pace.snoozeUntil // a snooze is written
	return h.dirty || h.leases > 0 || waits || h.robots.loading != loadIdle ||
		slices.ContainsFunc(h.queues, func(q *queue) bool {
			return q.dirty || q.log != nil || q.wanted || q.reserved > 0 || q.jar.busy()
		})
}

// makeWhole has the hosts leave that are in memory without the queues of a crawl that
// goes on, since its delay binds them too; they come back with all their queues.
func (f *Frontier) makeWhole(c *crawlState) {
	for id, h := range f.hosts {
		if f.queueOf(id, c.No) == nil {
			f.leave(h)
		}
	}
}

// unstall has hosts leave that hold memory while others wait on disk, and cannot be
// served for long: snoozed, blocked, or of crawls that may not go on.
func (f *Frontier) unstall() {
	k := &f.parking
	if !k.some || f.roomy() || f.now < k.looked+tick(longWait) {
		return
	}
	k.looked = f.now
	for _, h := range f.hosts {
		if !h.leaving && !f.inUse(h) && !slices.ContainsFunc(h.queues, f.soon) {
			f.leave(h)
		}
	}
}

// soon reports whether a queue may be served soon.
func (f *Frontier) soon(q *queue) bool {
	at, ok := f.readyAt(q)
	return ok && at <= f.now+tick(longWait) && f.dispatchable(q.c)
}

// took counts a turn of a host; after many of them another host has one.
func (f *Frontier) took(h *host) {
	if h.turns++; h.turns >= maxTurns && f.parking.some {
		f.leave(h)
	}
}

// siblings appends the places where other crawls may have queues of a host on disk.
func (f *Frontier) siblings(dst []HostRef, r HostRef) []HostRef {
	if !f.parking.some {
		return dst
	}
	for _, c := range f.active {
		if c.parked && c.No != r.Crawl {
			dst = append(dst, HostRef{Partition: r.Partition, Crawl: c.No, Host: r.Host})
		}
	}
	return dst
}

// Parked returns where the store is to be asked for hosts that wait on disk, by
// Lister.ScanHosts with n, and whether there is room for any. Answer with Unpark.
func (f *Frontier) Parked() (after HostRef, n int, ok bool) {
	k := &f.parking
	f.unstall()
	if !k.some || !f.roomy() || f.now < k.next {
		return after, 0, false
	}
	for ; k.part < len(f.parts); k.part, k.crawl, k.host = k.part+1, 0, 0 {
		if f.parts[k.part] == nil {
			continue
		}
		for _, c := range f.active {
			if c.No == k.crawl {
				return HostRef{Partition: uint32(k.part), Crawl: c.No, Host: k.host}, parkedPage, true
			}
			if c.No > k.crawl && c.parked {
				k.crawl, k.host = c.No, 0
				return HostRef{Partition: uint32(k.part), Crawl: c.No}, parkedPage, true
			}
		}
	}
	k.part, k.crawl, k.host = 0, 0, 0
	k.next = f.now + tick(crowdWait)
	k.some, k.again = k.again || k.snoozed, false
	if k.snoozed {
		k.snoozed = false
		k.next = f.now + tick(snoozeWait)
	}
	if !k.some {
		for _, c := range f.active {
			c.parked = false
		}
	}
	return after, 0, false
}

// Unpark takes the hosts that were read after a place. It returns the queues of them
// in other crawls: read them by Reader.Hosts and hand them to Admit.
func (f *Frontier) Unpark(now time.Time, after HostRef, hosts []HostState) (siblings []HostRef) {
	f.at(now)
	k := &f.parking
	if after.Partition != uint32(k.part) || after.Crawl != k.crawl || !f.Owns(after.Partition) || f.crawls[k.crawl] == nil {
		return nil // gone meanwhile
	}
	full := false
	for i := range hosts {
		st := &hosts[i]
		id, known := st.Ready.Host, f.hosts[st.Ready.Host] != nil
		if full = !known && st.Ready.Rows > 0 && len(f.hosts) >= f.cfg.MaxHosts && !f.modest(f.crawls[after.Crawl]); full {
			break // this host is the next when there is room again
		}
		k.host = id
		switch {
		case st.Ready.Rows == 0 || f.queueOf(id, after.Crawl) != nil:
		case !known && f.tickOf(st.Host.NotBefore) > f.now+tick(longWait):
			k.snoozed = true // looked at again, and no sooner than it is worth it
		default:
			if !known {
				siblings = f.siblings(siblings, st.Ready.HostRef)
			}
			f.admit(*st)
		}
	}
	if !full && len(hosts) < parkedPage {
		k.crawl, k.host = k.crawl+1, 0 // maybe of no crawl
	}
	for _, r := range siblings {
		f.missing[r] = false
	}
	return siblings
}

// ended remembers when hosts that are not in memory were last visited, for as long as
// any crawl may ask a host to be left alone. Its size follows the rate of visits.
type ended struct {
	at    map[HostID]tick
	order []idleHost // as they left memory
}

// idleHost is a host that left memory.
type idleHost struct {
	id HostID
	at tick
}

// remember takes note of a host that leaves memory.
func (f *Frontier) remember(h *host) {
	e := &f.left
	longest := tick(0)
	for _, c := range f.order {
		longest = max(longest, tick(c.longest()))
	}
	n := 0
	for n < len(e.order) && e.order[n].at+longest <= f.now {
		if o := e.order[n]; e.at[o.id] == o.at {
			delete(e.at, o.id)
		}
		n++
	}
	e.order = e.order[n:] // moving the rest would cost all of it for each host that leaves
	if h.lastEnd+longest > f.now {
		e.at[h.id] = h.lastEnd
		e.order = append(e.order, idleHost{h.id, h.lastEnd})
	}
}

// longest is the most time between two visits that a crawl can ask for, whatever it
// has learnt.
func (c *crawlState) longest() time.Duration {
	d := time.Duration(float64(c.Delay) * (1 + c.Jitter))
	if c.Adaptive || c.ObeyRobots {
		if c.MaxDelay == 0 {
			return time.Hour
		}
		d = max(d, c.MaxDelay)
	}
	return d
}
