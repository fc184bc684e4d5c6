package frontier

import (
	"slices"
	"time"
)

// partition is one that this frontier owns.
//
//	Own ──► owned ──Freeze──► frozen: hands out nothing, still takes results
//	          ▲────────────────┘ │
//	          └──────Own──── Disown
type partition struct {
	id     uint32
	since  tick // when it was taken: who had it before may just have visited its hosts
	frozen bool
	shares map[CrawlNo]*share
	outSeq uint64
	outbox map[uint64]int // links of rows that the bus does not have yet, by number
}

// share is a crawl's part in a partition, the unit of its counters.
type share struct {
	part     *partition
	c        *crawlState
	stats    Stats
	quota    int64  // pages of the limit that it may use, in shared stores
	jars     uint64 // sites whose cookies the store has
	reserved int    // void leases whose result may still become a page
	version  uint64
	change   uint64
	held     bool // queues of it are in no heap, because it was full
	dirty    bool
}

// used is the number of pages that are had, on the way, or may still come.
func (s *share) used() uint64 { return s.stats.Pages + s.stats.Leased + uint64(s.reserved) }

// full reports whether a shared crawl's page limit leaves the partition nothing.
func (f *Frontier) full(s *share) bool {
	return f.cfg.Shared && s.c.Limits.Pages > 0 && int64(s.used()) >= s.quota
}

// unhold puts the queues of shares that are not full any more where they belong.
func (f *Frontier) unhold() {
	if !f.cfg.Shared {
		return
	}
	for _, c := range f.active {
		if c.Limits.Pages == 0 {
			continue
		}
		for _, s := range c.shares {
			if !s.held || f.full(s) {
				continue
			}
			s.held = false
			for _, q := range c.queues {
				if q.s == s {
					f.place(q)
				}
			}
		}
	}
}

// Own takes up a partition. Its hosts are taken as just visited, so that a change
// of owner never shortens a delay, and its leases as exchanges under way: the
// caller returns those that are on no stream.
func (f *Frontier) Own(now time.Time, s *Snapshot) {
	t := f.at(now)
	if int(s.Partition) >= len(f.parts) {
		return // not of this store
	}
	f.Disown(s.Partition)
	p := &partition{id: s.Partition, since: t, shares: make(map[CrawlNo]*share), outbox: make(map[uint64]int)}
	f.parts[p.id] = p
	f.reserve(s.Seq)
	for _, c := range s.Crawls {
		f.Learn(now, c)
	}
	for _, row := range s.Stats {
		if c := f.crawls[row.No]; c != nil {
			sh := f.shareOf(c, p)
			sh.stats, sh.quota, sh.change, sh.version = row.Stats.Clone(), row.Quota, row.Change, row.Version
			sh.jars = row.Jars
		}
	}
	f.restoreHosts(s)
	f.restoreLeases(p, s.Leases)
	for _, row := range s.Outbox {
		p.outbox[row.Seq] = len(row.Links)
		p.outSeq = max(p.outSeq, row.Seq)
	}
	f.dueAt = earlier(f.dueAt, s.DueAt)
	for _, c := range f.order {
		f.know(c)
	}
}

// restoreLeases takes up the leases of a partition.
func (f *Frontier) restoreLeases(p *partition, rows []LeaseRow) {
	if len(rows) == 0 {
		return
	}
	for _, row := range rows {
		f.restoreLease(p, row)
	}
	slices.SortFunc(f.deadlines, func(a, b deadline) int { return int(a.at.Sub(b.at)) })
	f.voidLeases(func(l *lease) bool { // its last owner may not have heard of the crawl's end
		return l.q.s.part == p && (l.q.c.State == Cancelled || l.q.c.State == Failed)
	})
}

// reserve makes sequence numbers go on from those that a partition has seen.
func (f *Frontier) reserve(seen uint64) {
	f.seq = max(f.seq, seen)
	f.seqLimit = max(f.seqLimit, seen)
	if seen < f.seqLimit {
		f.out.Seq = f.seqLimit // the partition has to know what is used from now on
	}
}

// Owns reports whether a partition is this frontier's.
func (f *Frontier) Owns(p uint32) bool { return int(p) < len(f.parts) && f.parts[p] != nil }

// Owned returns the partitions of this frontier, ascending.
func (f *Frontier) Owned() []uint32 {
	var ids []uint32
	for _, p := range f.parts {
		if p != nil {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// Freeze stops handing out visits of a partition's hosts, robots.txt included.
func (f *Frontier) Freeze(now time.Time, p uint32) {
	f.at(now)
	if f.Owns(p) && !f.parts[p].frozen {
		f.parts[p].frozen = true
		f.placePartition(f.parts[p])
	}
}

// placePartition puts the queues of a partition where they belong.
func (f *Frontier) placePartition(p *partition) {
	for _, q := range f.queues {
		if q != nil && q.s.part == p {
			f.place(q)
		}
	}
}

// Disown lets go of a partition, and forgets what memory has of it. Flush and apply
// before, unless somebody else owns it already.
func (f *Frontier) Disown(p uint32) {
	if !f.Owns(p) {
		return
	}
	part := f.parts[p]
	for _, l := range f.leasesInOrder() {
		if l.q.s.part == part {
			f.forgetLease(l)
		}
	}
	for _, q := range f.queues {
		if q != nil && q.s.part == part {
			f.drop(q)
		}
	}
	for _, s := range part.shares {
		s.c.shares = slices.DeleteFunc(s.c.shares, func(o *share) bool { return o == s })
	}
	f.parts[p] = nil
	f.scrub()
}

// forgetLease takes a lease out of memory and leaves its row.
func (f *Frontier) forgetLease(l *lease) {
	delete(f.leases, l.id)
	if l.void {
		f.voids--
	}
	if !l.reported {
		f.leaveSlot(l.q.h)
		f.leaveAlso(l)
		f.unreported[l.pool]--
	}
	l.q.h.leases--
}

// scrub drops marks on queues, hosts and shares that are gone.
func (f *Frontier) scrub() {
	gone := func(q *queue) bool { return f.queues[q.idx] != q }
	f.wants = slices.DeleteFunc(f.wants, gone)
	f.dirtyQ = slices.DeleteFunc(f.dirtyQ, gone)
	f.dirtyJ = slices.DeleteFunc(f.dirtyJ, func(j *siteJar) bool { return len(j.queues) == 0 })
	f.dirtyH = slices.DeleteFunc(f.dirtyH, func(h *host) bool { return f.parts[h.part] == nil })
	f.dirtyS = slices.DeleteFunc(f.dirtyS, func(s *share) bool { return f.parts[s.part.id] != s.part || f.crawls[s.c.No] != s.c })
}

// shareOf returns a crawl's part in a partition, made when it has none.
func (f *Frontier) shareOf(c *crawlState, p *partition) *share {
	s := p.shares[c.No]
	if s == nil {
		s = &share{part: p, c: c}
		p.shares[c.No] = s
		c.shares = append(c.shares, s)
	}
	return s
}

// know has the version of a crawl written that this owner of its partitions knows:
// the end of a crawl is only declared when all of them know that it is closing.
func (f *Frontier) know(c *crawlState) {
	if !f.cfg.Shared {
		return
	}
	for _, p := range f.parts {
		if p == nil {
			continue
		}
		if s := f.shareOf(c, p); s.version != c.Version {
			s.version = c.Version
			f.touch(s)
		}
	}
}

// total adds up the shares of a crawl that this frontier has.
func (c *crawlState) total() Stats {
	if len(c.shares) == 1 {
		return c.shares[0].stats.Clone()
	}
	var t Stats
	for _, s := range c.shares {
		t.Add(&s.stats)
	}
	return t
}

// sums are the scalar counters of a crawl that are looked at all the time.
type sums struct {
	discovered, open, leased, failed, pages, items, bytes, used uint64
}

// add adds the counters of one partition.
func (n *sums) add(s *Stats) {
	n.discovered += s.Discovered
	n.open += s.Open()
	n.leased += s.Leased
	n.failed += s.Failed
	n.pages += s.Pages
	n.items += s.Items
	n.bytes += s.Bytes
}

// sum adds up the shares of a crawl.
func (c *crawlState) sum() (n sums) {
	for _, s := range c.shares {
		n.add(&s.stats)
		n.used += s.used()
	}
	return n
}
