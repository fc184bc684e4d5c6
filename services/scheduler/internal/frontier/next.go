package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// maxSteps bounds what one Next does besides leasing (drops, rules, windows), so
// that a host with a million denied URLs does not hold up the others.
const maxSteps = 2048

// Next hands out at most n visits that may start now: of crawls that are active
// and under their limits, on hosts with a free slot whose delay is over and whose
// robots.txt allows the URL. Where robots.txt is not known yet, its visit is handed
// out first.
func (f *Frontier) Next(now time.Time, n int) []Lease {
	t := f.at(now)
	for _, c := range f.active {
		if c.Limits.Duration > 0 {
			f.settle(c)
		}
	}
	f.unhold()
	f.callLine()
	var out []Lease
	for steps := 0; len(out) < n && f.room(PoolHTTP) > 0 && steps < maxSteps; {
		q := f.pick(t)
		if q == nil {
			break
		}
		l := f.serve(q)
		if l == nil {
			steps++
			continue
		}
		if out == nil {
			out = make([]Lease, 0, min(n, 16))
		}
		out = append(out, *l)
	}
	return out
}

// pick returns the queue whose turn it is: the crawl that had the least service for
// its weight, its host that waits longest, and there again the crawl that had least.
func (f *Frontier) pick(t tick) *queue {
	var best *crawlState
	var idx int32
	for _, c := range f.active {
		e, ok := c.ready.top()
		if !ok || e.at > t || best != nil && c.vtime >= best.vtime || !f.dispatchable(c) {
			continue
		}
		best, idx = c, e.idx
	}
	if best == nil {
		return nil
	}
	q := f.queues[idx]
	for _, o := range q.h.queues {
		if o == q || f.pos[o.idx] == notQueued || o.turn >= q.turn || !f.dispatchable(o.c) {
			continue
		}
		if at := o.c.ready.e[f.pos[o.idx]].at; at <= t {
			q = o
		}
	}
	return q
}

// serve does the next thing for a queue at its turn. Without a lease something
// else has moved on: an item was dropped, or the queue waits for something.
func (f *Frontier) serve(q *queue) *Lease {
	if at, ok := f.readyAt(q); !ok || at > f.now {
		f.place(q)
		return nil
	}
	h := q.h
	dead := h.pace.deadUntil > f.now
	if !dead && !f.through(h) {
		return nil
	}
	if q.c.ObeyRobots && !dead {
		if ready, l := f.robotsStep(q); !ready {
			return l
		}
	}
	if len(q.items()) == 0 {
		f.want(q)
		f.place(q)
		return nil
	}
	if q.c.Cookies && !dead && !f.jarReady(q) {
		f.place(q)
		return nil
	}
	i, pool := 0, PoolHTTP
	if !dead && (!q.c.ObeyRobots || h.robots.state != RobotsUnreachable) {
		var room bool
		if i, pool, room = f.choose(q); !room {
			f.lineUp(q)
			return nil
		}
	}
	it := f.pop(q, i)
	if q.more && len(q.items()) <= f.cfg.WindowLow {
		f.want(q)
	}
	if dead {
		f.giveUp(q, it, h.pace.failClass)
		return nil
	}
	if q.c.ObeyRobots {
		if h.robots.state == RobotsUnreachable {
			f.giveUp(q, it, h.robots.class)
			return nil
		}
		if ok, _ := f.groupOf(q).Allowed(it.URL.PathQuery()); !ok {
			f.dropItem(q, it, DropRobots)
			return nil
		}
	}
	if it.Mode != ModeMedia && f.hostFull(q) {
		f.dropItem(q, it, DropPagesPerHost)
		return nil
	}
	l := f.newLease(q, it, pool, false)
	f.tookTurn(q, &it, pool)
	q.s.stats.Queued--
	q.s.stats.Leased++
	f.placeAll(h)
	out := f.export(l)
	out.Cookies = f.cookiesFor(q, &it, pool)
	return &out
}

// dropItem takes a URL out for a reason that is nobody's failure.
func (f *Frontier) dropItem(q *queue, it Item, reason string) {
	bump(&q.s.stats.Dropped, reason, 1)
	f.discard(q, it, Record{State: URLDropped, Reason: reason})
}

// giveUp fails a URL without an attempt, because its host cannot be reached.
func (f *Frontier) giveUp(q *queue, it Item, class crawl.Class) {
	q.s.stats.Failed++
	bump(&q.s.stats.Errors, class.String(), 1)
	f.discard(q, it, Record{State: URLFailed, Class: class})
}

// discard writes the end of a queued URL that was popped from the window.
func (f *Frontier) discard(q *queue, it Item, rec Record) {
	ref := Ref{Crawl: q.c.No, Partition: q.h.part, Host: q.h.id, Key: it.Key}
	rec.QKey, rec.Depth, rec.Attempts = it.QKey, it.Depth, it.Attempts
	rec.Generation, rec.Redirects, rec.URL, rec.Visit = it.Generation, it.Redirects, it.URL.String(), it.Visit
	rec.Mode, rec.Hop = it.Mode, it.Hop
	f.writeURL(ref, rec)
	q.s.stats.Queued--
	f.touch(q.s)
	f.takeItem(q, ref, it.QKey)
	f.place(q)
	f.settle(q.c)
}
