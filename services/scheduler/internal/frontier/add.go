package frontier

import "time"

// Add queues the candidates that are new: known tells which the store has a
// record of, and those added since the last Flush are known too. It returns how
// many were added. Candidates of a crawl that is not known are ignored.
func (f *Frontier) Add(now time.Time, no CrawlNo, cs []Candidate, known []bool) int {
	f.at(now)
	c := f.crawls[no]
	if c == nil {
		return 0
	}
	return f.add(c, cs, known)
}

// add queues what is new. Links of a page mostly stay on its host, so the queue of
// the last candidate is tried first.
func (f *Frontier) add(c *crawlState, cs []Candidate, known []bool) int {
	added := 0
	var q *queue
	for i := range cs {
		if known[i] {
			continue
		}
		cand := &cs[i]
		cand.Ref.Crawl = c.No
		if _, dup := f.urlIdx[cand.Ref]; dup {
			continue
		}
		if q == nil || q.h.id != cand.Ref.Host {
			q = f.queueFor(c, cand)
		}
		f.enqueue(q, cand)
		added++
	}
	if added > 0 {
		c.stats.Discovered += uint64(added)
		c.stats.Queued += uint64(added)
		f.touch(c)
	}
	return added
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
		q.h.origin = cand.URL.Origin()
		f.touchHost(q.h)
	}
	return q
}

// enqueue adds one new URL.
func (f *Frontier) enqueue(q *queue, cand *Candidate) {
	it := Item{
		URL: cand.URL, Key: cand.Ref.Key, Depth: cand.Depth, Generation: 1, Redirects: cand.Redirects,
		QKey: QKey{Priority: cand.Priority, Seq: f.newSeq(q.c.Order, cand.Depth, cand.Next)},
	}
	f.writeURL(cand.Ref, Record{
		State: URLQueued, QKey: it.QKey, Depth: it.Depth, Generation: 1, Redirects: it.Redirects,
	})
	f.putItem(q, cand.Ref, it)
}

// putItem puts an item into the durable queue and, near its turn, the window.
func (f *Frontier) putItem(q *queue, ref Ref, it Item) {
	f.out.Queue = append(f.out.Queue, QueueRow{Ref: ref, Item: it})
	f.insert(q, it)
	if q.rows++; q.rows == 1 {
		f.holdBack(q.h)
	}
	q.idle = false
	f.touchQueue(q)
	f.place(q)
}

// takeItem takes an item that is not leased any more out of queue and window.
func (f *Frontier) takeItem(q *queue, ref Ref, k QKey) {
	f.forget(q, k)
	f.out.Queue = append(f.out.Queue, QueueRow{Ref: ref, Delete: true, Item: Item{QKey: k}})
	q.rows--
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
		Attempts: rec.Attempts, Generation: rec.Generation, Redirects: rec.Redirects,
	}
	rec.State, rec.URL, rec.NotBefore = URLQueued, "", time.Time{}
	f.writeURL(d.Ref, rec)
	c.stats.Delayed--
	c.stats.Queued++
	f.touch(c)
	f.putItem(q, d.Ref, it)
}

// earlier returns the earlier of two times, zero meaning none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
