package frontier

import "slices"

// host is a politeness budget: an origin that all crawls share.
type host struct {
	id     HostID
	part   uint32
	origin string
	site   SiteID // 0 until it is needed
	queues []*queue

	inflight int     // fetches whose end is not known
	leases   int     // all leases, reported and void ones included
	nextAt   tick    // no fetch starts before
	begun    tick    // start of the last fetch
	lastEnd  tick    // end of the last fetch, or the start of this run
	draw     float64 // of jitter, from 0 to 1, anew for each fetch
	policyAt tick    // HostPolicy.NotBefore
	turn     float64
	pace     pace
	gate     *gated // nil while no crawl asks for a cap
	robots   robotsFile
	dirty    bool
	turns    int  // visits handed out since it came into memory
	leaving  bool // to be put on disk
}

// idleMark is a queue that had no work at a time.
type idleMark struct {
	idx int32
	at  tick
}

// queueOf returns a host's part of a crawl, nil when it is not in memory.
func (f *Frontier) queueOf(id HostID, no CrawlNo) *queue {
	h := f.hosts[id]
	if h == nil {
		return nil
	}
	for _, q := range h.queues {
		if q.c.No == no {
			return q
		}
	}
	return nil
}

// admit puts a host's part of a crawl into memory, if it is not there.
func (f *Frontier) admit(st HostState) *queue {
	c := f.crawls[st.Ready.Crawl]
	if c == nil || !f.Owns(st.Ready.Partition) {
		return nil
	}
	p := f.parts[st.Ready.Partition]
	h := f.hosts[st.Ready.Host]
	if h == nil {
		h = &host{id: st.Ready.Host, part: st.Ready.Partition, origin: st.Host.Origin, nextAt: f.now, lastEnd: longAgo, begun: longAgo, draw: f.cfg.Rand()}
		f.restorePace(h, &st.Host)
		if h.origin != "" { // whoever owned it before may just have visited it
			h.lastEnd = p.since
		}
		if at, ok := f.left.at[h.id]; ok {
			h.lastEnd = max(h.lastEnd, at)
			delete(f.left.at, h.id)
		}
		f.hosts[h.id] = h
	} else if q := f.queueOf(h.id, c.No); q != nil {
		return q
	}
	q := &queue{
		h: h, c: c, s: f.shareOf(c, p), rows: st.Ready.Rows, pages: st.Ready.Pages,
		seen: st.Ready.Seen, shape: readShapes(st.Ready.Patterns), turn: h.turn,
	}
	q.render.unpack(st.Ready.Rendering)
	q.more, q.filed = q.rows > 0, q.rows > 0
	f.number(q)
	h.queues = append(h.queues, q)
	q.at = len(c.queues)
	c.queues = append(c.queues, q)
	f.holdBack(h)
	f.enterGates(h)
	f.placeAll(h)
	f.markIdle(q)
	if len(h.queues) == 1 && f.crowded() && !f.modest(c) {
		f.leave(h)
	}
	return q
}

// number gives a queue its index.
func (f *Frontier) number(q *queue) {
	if n := len(f.free); n > 0 {
		q.idx = f.free[n-1]
		f.free = f.free[:n-1]
		f.queues[q.idx], f.pos[q.idx] = q, notQueued
		return
	}
	q.idx = int32(len(f.queues))
	f.queues = append(f.queues, q)
	f.pos = append(f.pos, notQueued)
}

// ref returns where the queue is kept.
func (q *queue) ref() HostRef { return HostRef{Partition: q.h.part, Crawl: q.c.No, Host: q.h.id} }

// placeAll puts each queue of a host where it belongs after a change of the host.
func (f *Frontier) placeAll(h *host) {
	f.ask(h)
	for _, q := range h.queues {
		f.placeOne(q)
	}
	f.keepPass(h)
}

// place puts a queue into its crawl's heap when it may be served, at the time from
// which it may, and takes it out otherwise.
func (f *Frontier) place(q *queue) {
	f.placeOne(q)
	f.keepPass(q.h)
}

func (f *Frontier) placeOne(q *queue) {
	q.s.held = q.s.held || f.full(q.s)
	at, ok := f.readyAt(q)
	if !ok {
		q.c.ready.remove(f.pos, q.idx)
		return
	}
	q.c.ready.set(f.pos, q.idx, at)
}

// readyAt returns from when a queue may be served; false while an event has to
// come first: a slot, a window, rules, a page that makes room under a limit.
func (f *Frontier) readyAt(q *queue) (tick, bool) {
	h := q.h
	switch {
	case q.pending() == 0,
		q.s.part.frozen,
		q.h.leaving,
		f.full(q.s),
		q.lined,
		q.wanted && len(q.items()) == 0,
		q.jar.busy(),
		h.pace.policy.Blocked,
		h.inflight >= h.slots(),
		h.gate.shut(),
		f.hostFull(q) && q.pages < q.c.Limits.PagesPerHost:
		return 0, false
	}
	at := max(h.nextAt, h.policyAt)
	if q.c.ObeyRobots {
		wait, ok := h.robots.readyAt(f.now)
		if !ok {
			return 0, false
		}
		at = max(at, wait)
	}
	return at, true
}

// hostFull reports whether the host's pages of a crawl are all had or on the way.
func (f *Frontier) hostFull(q *queue) bool {
	l := q.c.Limits.PagesPerHost
	if l == 0 {
		return false
	}
	n := q.pages + uint64(q.reserved)
	for _, l := range q.leased {
		if l.item.Mode != ModeMedia {
			n++
		}
	}
	return n >= l
}

// markIdle notes that a queue without work may be forgotten later.
func (f *Frontier) markIdle(q *queue) {
	if q.idle || q.rows > 0 {
		return
	}
	q.idle, q.idleSince = true, f.now
	f.idle = append(f.idle, idleMark{q.idx, f.now})
}

// evict forgets queues that had no work for long, and hosts without queues. What
// was to be written of them has been flushed.
func (f *Frontier) evict() {
	n := 0
	ttl := f.cfg.IdleTTL
	if f.parking.some && !f.roomy() {
		ttl = 0 // others need the room
	}
	for _, m := range f.idle {
		if f.now.Sub(m.at) < ttl {
			break
		}
		n++
		q := f.queues[m.idx]
		if q == nil || !q.idle || q.idleSince != m.at {
			continue
		}
		q.idle = false
		switch {
		case q.rows > 0:
		case q.h.leases > 0 || q.reserved > 0 || q.log != nil || q.wanted || q.h.robots.loading != loadIdle || q.jar.busy() || q.h.nextAt > f.now:
			f.markIdle(q) // again later
		default:
			f.drop(q)
		}
	}
	f.idle = f.idle[n:]
}

// drop takes a queue out of memory.
func (f *Frontier) drop(q *queue) {
	q.c.ready.remove(f.pos, q.idx)
	f.unbindJar(q)
	f.inWindows -= len(q.items())
	f.queues[q.idx] = nil
	f.free = append(f.free, q.idx)
	last := len(q.c.queues) - 1
	q.c.queues[q.at] = q.c.queues[last]
	q.c.queues[q.at].at = q.at
	q.c.queues[last] = nil
	q.c.queues = q.c.queues[:last]
	h := q.h
	h.queues = slices.DeleteFunc(h.queues, func(o *queue) bool { return o == q })
	if f.ask(h); len(h.queues) == 0 {
		f.leaveGates(h)
		f.remember(h)
		delete(f.hosts, h.id)
	}
}
