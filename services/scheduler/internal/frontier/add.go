package frontier

import (
	"strings"
	"time"
)

// Add queues the candidates that are new: known tells which the store has a
// record of, and those added since the last Flush are known too. Those of
// partitions that are not owned go to the outbox. It returns how many were new, as
// far as that is known here. Candidates of a crawl that is not known are ignored.
// At least one partition must be owned.
func (f *Frontier) Add(now time.Time, no CrawlNo, cs []Candidate, known []bool) int {
	f.at(now)
	c := f.crawls[no]
	p := f.sender()
	if c == nil || p == nil {
		return 0
	}
	return f.add(c, p, cs, known)
}

// add queues what is new; p's outbox takes what is somebody else's. Links of a page
// mostly stay on its host, so the queue of the last candidate is tried first.
func (f *Frontier) add(c *crawlState, p *partition, cs []Candidate, known []bool) int {
	added := 0
	var q *queue
	room := f.urlRoom(c)
	for i := range cs {
		cand := &cs[i]
		cand.Ref.Crawl = c.No
		if known[i] {
			if cand.Was != nil {
				f.goBack(c, p, cand)
			}
			continue
		}
		if _, dup := f.urlIdx[cand.Ref]; dup {
			continue
		}
		if !f.Owns(cand.Ref.Partition) {
			f.send(p, c, cand)
			added++
			continue
		}
		if q == nil || q.h.id != cand.Ref.Host {
			q = f.queueFor(c, cand)
		}
		reason := RefuseQuota
		if room > 0 {
			reason = f.trapped(q, cand)
		}
		if reason != "" {
			bump(&q.s.stats.Refused, reason, 1)
			f.touch(q.s)
			continue
		}
		f.enqueue(q, cand)
		added++
		room--
	}
	return added
}

// urlRoom is the number of URLs that a crawl may still add. In a shared store the
// others' are those of the last Settle.
func (f *Frontier) urlRoom(c *crawlState) uint64 {
	limit := c.Limits.URLs
	if limit == 0 || f.cfg.MaxURLs > 0 && f.cfg.MaxURLs < limit {
		limit = f.cfg.MaxURLs
	}
	if limit == 0 {
		return 1<<64 - 1
	}
	have := c.sum().discovered + c.elsewhere
	return limit - min(limit, have)
}

// queueFor returns the queue of a candidate, made when the caller did not admit it.
func (f *Frontier) queueFor(c *crawlState, cand *Candidate) *queue {
	q := f.queueOf(cand.Ref.Host, c.No)
	if q == nil {
		q = f.admit(HostState{
			Ready: ReadyRow{HostRef: HostRef{Partition: cand.Ref.Partition, Crawl: c.No, Host: cand.Ref.Host}},
			Host:  HostRow{Partition: cand.Ref.Partition, Host: cand.Ref.Host},
		})
	}
	if q.h.origin == "" {
		q.h.origin = strings.Clone(cand.URL.Origin())
		f.touchHost(q.h)
		f.enterGates(q.h)
	}
	return q
}

// enqueue adds one new URL.
func (f *Frontier) enqueue(q *queue, cand *Candidate) {
	q.seen++
	q.s.stats.Discovered++
	f.touch(q.s)
	f.touchQueue(q)
	// The URL may be a part of a page's links, which would all be kept with it.
	it := Item{
		URL: cand.URL.Clone(), Key: cand.Ref.Key, Depth: cand.Depth, Generation: 1, Redirects: cand.Redirects, Mode: cand.Mode, Hop: cand.Hop,
		QKey: QKey{Priority: cand.Priority, Seq: f.newSeq(q.c.Order, cand.Depth, cand.Next)},
	}
	rec := Record{State: URLQueued, QKey: it.QKey, Depth: it.Depth, Generation: 1, Redirects: it.Redirects, Mode: it.Mode, Hop: it.Hop}
	if cand.NotBefore.After(f.start.Add(time.Duration(f.now))) {
		rec.URL = it.URL.String()
		f.postpone(q, cand.Ref, rec, f.tickOf(cand.NotBefore))
		f.markIdle(q)
		return
	}
	q.s.stats.Queued++
	f.writeURL(cand.Ref, rec)
	f.putItem(q, cand.Ref, it)
}

// postpone writes the record of a URL that is to be visited at a time.
func (f *Frontier) postpone(q *queue, ref Ref, rec Record, t tick) {
	due := f.wall(t)
	rec.State, rec.NotBefore = URLDelayed, due
	q.s.stats.Delayed++
	f.touch(q.s)
	f.out.Due = append(f.out.Due, DueRow{Ref: ref, At: due})
	f.dueAt, f.dueAdded = earlier(f.dueAt, due), earlier(f.dueAdded, due)
	f.writeURL(ref, rec)
}

// putItem puts an item into the durable queue and, near its turn, the window.
func (f *Frontier) putItem(q *queue, ref Ref, it Item) {
	f.out.Queue = append(f.out.Queue, QueueRow{Ref: ref, Item: it})
	f.insert(q, it)
	q.rows++
	q.idle = false
	f.touchQueue(q)
	if q.rows == 1 { // its crawl may ask for more than those with work so far
		f.holdBack(q.h)
		f.placeAll(q.h)
		return
	}
	f.place(q)
}

// takeItem takes an item that is not leased any more out of queue and window.
func (f *Frontier) takeItem(q *queue, ref Ref, k QKey) {
	f.forget(q, k)
	f.out.Queue = append(f.out.Queue, QueueRow{Ref: ref, Delete: true, Item: Item{QKey: k}})
	if q.rows--; q.rows == 0 {
		f.ask(q.h)
	}
	q.settleWindow()
	f.touchQueue(q)
	f.markIdle(q)
}

// Wake queues delayed URLs whose time has come; next is the due time of the
// first one left. Flush and Apply before asking Store.Due again.
func (f *Frontier) Wake(now time.Time, items []DueItem, next time.Time) {
	f.at(now)
	for i := range items {
		f.wake(&items[i])
	}
	f.dueAt = earlier(next, f.dueAdded)
	f.dueAdded = time.Time{}
}

// wake queues one delayed URL again, at the place it had.
func (f *Frontier) wake(d *DueItem) {
	if !f.Owns(d.Ref.Partition) {
		return // its new owner wakes it
	}
	f.out.Due = append(f.out.Due, DueRow{Ref: d.Ref, At: d.At, Delete: true})
	rec := d.Record
	if i, ok := f.urlIdx[d.Ref]; ok {
		rec = f.out.URLs[i].Record
	}
	c := f.crawls[d.Ref.Crawl]
	if c == nil || rec.State != URLDelayed || rec.NotBefore.After(d.At) {
		return
	}
	u, ok := canonical(rec.URL)
	if !ok {
		return // cannot be: the URL was canonical when it was stored
	}
	cand := Candidate{Ref: d.Ref, URL: u}
	q := f.queueFor(c, &cand)
	it := Item{
		URL: u, Key: d.Ref.Key, QKey: rec.QKey, Depth: rec.Depth,
		Attempts: rec.Attempts, Generation: rec.Generation, Redirects: rec.Redirects, Visit: rec.Visit,
		Mode: rec.Mode, Hop: rec.Hop,
	}
	rec.State, rec.URL, rec.NotBefore = URLQueued, "", time.Time{}
	f.writeURL(d.Ref, rec)
	q.s.stats.Delayed--
	q.s.stats.Queued++
	f.touch(q.s)
	f.putItem(q, d.Ref, it)
}

// Retry puts a URL that was given up, or whose page was a dead letter, back into
// its queue for a new visit with all its attempts. rec is its record. False when
// the URL has not failed; the caller has admitted its host.
func (f *Frontier) Retry(now time.Time, ref Ref, rec Record) bool {
	f.at(now)
	if i, ok := f.urlIdx[ref]; ok {
		rec = f.out.URLs[i].Record
	}
	c := f.crawls[ref.Crawl]
	if c == nil || !f.Owns(ref.Partition) || rec.State != URLFailed {
		return false
	}
	u, ok := canonical(rec.URL)
	if !ok {
		return false
	}
	q := f.queueFor(c, &Candidate{Ref: ref, URL: u})
	it := Item{
		URL: u, Key: ref.Key, QKey: rec.QKey, Depth: rec.Depth,
		Generation: rec.Generation + 1, Redirects: rec.Redirects, Visit: rec.Visit, Mode: rec.Mode, Hop: rec.Hop,
	}
	f.writeURL(ref, Record{
		State: URLQueued, QKey: it.QKey, Depth: it.Depth, Generation: it.Generation, Redirects: it.Redirects, Visit: it.Visit,
		Mode: it.Mode, Hop: it.Hop,
	})
	q.s.stats.Failed--
	q.s.stats.Queued++
	f.touch(q.s)
	f.putItem(q, ref, it)
	return true
}

// earlier returns the earlier of two times, zero meaning none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
