package frontier

// Flush returns everything to be written since the last call, nil for nothing.
// The batch is the caller's until the next Flush.
func (f *Frontier) Flush() *Batch {
	b := f.out
	for _, q := range f.dirtyQ {
		q.dirty = false
		b.Ready = append(b.Ready, ReadyRow{
			HostRef: q.ref(), Rows: q.rows, Pages: q.pages, Seen: q.seen, Patterns: q.shape.bytes(),
			Rendering: q.render.pack(), Moved: q.filed != (q.rows > 0),
		})
		q.filed = q.rows > 0
	}
	for _, h := range f.dirtyH {
		h.dirty = false
		b.Hosts = append(b.Hosts, f.hostRow(h))
	}
	for _, s := range f.dirtyS {
		b.Stats = append(b.Stats, s.row())
	}
	for _, j := range f.dirtyJ {
		j.dirty = false
		b.Jars = append(b.Jars, j.row())
	}
	for _, c := range f.dirtyC {
		c.dirty = false
		b.Crawls = append(b.Crawls, c.Crawl)
	}
	f.dirtyQ, f.dirtyH = clearAll(f.dirtyQ), clearAll(f.dirtyH)
	f.dirtyS, f.dirtyC, f.dirtyJ = clearAll(f.dirtyS), clearAll(f.dirtyC), clearAll(f.dirtyJ)
	f.evict()
	f.park()
	b.Sync = b.Sync || len(b.URLs)+len(b.Queue)+len(b.Due)+len(b.Ready)+len(b.Robots)+len(b.Jars)+len(b.Crawls)+len(b.Stats)+len(b.Outbox) > 0 || b.Seq > 0
	if !b.Sync && len(b.Hosts)+len(b.Leases) == 0 {
		return nil
	}
	clear(f.urlIdx)
	clear(f.outRows)
	f.out, f.spare = f.spare.reset(), b
	return b
}

// row is a share as it is written. Leased URLs are written as queued ones, so that
// handing out writes leases only.
func (s *share) row() StatsRow {
	s.dirty = false
	s.change++
	st := s.stats // shares the maps: the batch is written before the next change
	st.Queued, st.Leased = st.Queued+st.Leased, 0
	return StatsRow{Partition: s.part.id, No: s.c.No, Version: s.version, Change: s.change, Quota: s.quota, Jars: s.jars, Stats: st}
}

// reset empties a batch for its next use, keeping the memory of its slices.
func (b *Batch) reset() *Batch {
	*b = Batch{
		URLs: clearAll(b.URLs), Queue: clearAll(b.Queue), Due: clearAll(b.Due),
		Ready: clearAll(b.Ready), Hosts: clearAll(b.Hosts), Robots: clearAll(b.Robots), Jars: clearAll(b.Jars),
		Crawls: clearAll(b.Crawls), Stats: clearAll(b.Stats), Leases: clearAll(b.Leases), Outbox: clearAll(b.Outbox),
	}
	return b
}

// maxKept bounds the rows for which an empty batch keeps memory.
const maxKept = 1 << 14

// clearAll empties a slice and drops what it points to.
func clearAll[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}

// writeURL adds or replaces the record of a URL in the batch.
func (f *Frontier) writeURL(ref Ref, rec Record) {
	if i, ok := f.urlIdx[ref]; ok {
		f.out.URLs[i].Record = rec
		return
	}
	f.urlIdx[ref] = int32(len(f.out.URLs))
	f.out.URLs = append(f.out.URLs, URLRow{Ref: ref, Record: rec})
}

// writeLease adds a lease to the batch.
func (f *Frontier) writeLease(l *lease) {
	if lim := &l.q.c.Limits; !l.robots && (lim.Pages > 0 || lim.PagesPerHost > 0) {
		// The result of a lease that a crash made unknown would be a page too many.
		f.out.Sync = true
	}
	f.out.Leases = append(f.out.Leases, LeaseRow{
		ID: l.id, Partition: l.q.h.part, Crawl: l.q.c.No, Host: l.q.h.id, Key: l.item.Key,
		Robots: l.robots, Void: l.void, Reserve: l.reserve, Render: l.pool == PoolBrowser, Mode: l.item.Mode,
		QKey: l.item.QKey, Attempts: l.item.Attempts, Generation: l.item.Generation,
		Deadline: f.wall(l.deadline),
	})
}

// touchQueue has a queue's counters written.
func (f *Frontier) touchQueue(q *queue) {
	if !q.dirty {
		q.dirty = true
		f.dirtyQ = append(f.dirtyQ, q)
	}
}

// touchHost has a host's politeness written.
func (f *Frontier) touchHost(h *host) {
	if !h.dirty {
		h.dirty = true
		f.dirtyH = append(f.dirtyH, h)
	}
}

// touch has a share's counters written.
func (f *Frontier) touch(s *share) {
	if !s.dirty {
		s.dirty = true
		f.dirtyS = append(f.dirtyS, s)
	}
}

// define has a crawl's definition and state written, as its next version.
func (f *Frontier) define(c *crawlState) {
	c.Version++
	if !c.dirty {
		c.dirty = true
		f.dirtyC = append(f.dirtyC, c)
	}
	f.know(c)
}
