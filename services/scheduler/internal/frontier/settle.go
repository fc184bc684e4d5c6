package frontier

import (
	"slices"
	"time"
)

// Settle ends a shared crawl whose home is owned, or stops it from handing out more,
// by two readings of its counters over all partitions, one taken after the other. A
// crawl is over when nothing is open and no link is under way in either, every
// partition's owner knew that the crawl takes no more seeds (or that it has met its
// limit), and nothing was written between the two: then all of the first was true
// at one moment. Call it for Quiet crawls and once a second for active ones.
func (f *Frontier) Settle(now time.Time, first, second Totals) {
	f.at(now)
	c := f.crawls[second.No]
	if c == nil || !c.State.Active() {
		return
	}
	n := second.sum()
	c.elsewhere = n.discovered - min(n.discovered, c.sum().discovered)
	if !f.Owns(c.Home) {
		return // only how many URLs the others have matters here, for Limits.URLs
	}
	if !f.same(c, first, second) {
		// Only what grows can be told yet: that a limit was met.
		n.leased, n.open = 1, 1
	}
	f.finish(c, n)
}

// same reports whether two readings are one state that all owners agree on.
func (f *Frontier) same(c *crawlState, a, b Totals) bool {
	if a.Outbox > 0 || b.Outbox > 0 || len(a.Parts) != len(f.parts) {
		return false
	}
	return slices.EqualFunc(a.Parts, b.Parts, func(x, y StatsRow) bool {
		return x.Partition == y.Partition && x.Change == y.Change && x.Stats.Leased == y.Stats.Leased &&
			x.Version >= c.Version && y.Version >= c.Version
	})
}

// Sum adds up the counters of all partitions.
func (t *Totals) Sum() Stats {
	var s Stats
	for i := range t.Parts {
		s.Add(&t.Parts[i].Stats)
	}
	return s
}

// sum adds up the scalar counters of all partitions.
func (t *Totals) sum() (n sums) {
	for i := range t.Parts {
		n.add(&t.Parts[i].Stats)
	}
	return n
}

// GrantWant asks for pages of a crawl's limit for a partition, or gives some back
// when N is negative; see Store.Grant.
type GrantWant struct {
	Partition uint32
	No        CrawlNo
	N         int64
}

// grantSize is how many pages of a limit a partition holds ahead of its use: few, so
// that none lies idle where the limit is small, and more where it is large.
func (f *Frontier) grantSize(c *crawlState) uint64 {
	return min(max(c.Limits.Pages/uint64(8*len(f.parts)), 16), 1024)
}

// Grants returns what the partitions owned need of the page limits of shared crawls,
// and what they have and do not need. Answer each with Granted.
func (f *Frontier) Grants() []GrantWant {
	var ws []GrantWant
	for _, c := range f.active {
		if !f.cfg.Shared || c.Limits.Pages == 0 {
			continue
		}
		for _, s := range c.shares {
			need := int64(0)
			if open := s.stats.Queued; open > 0 && c.Reason == "" && !s.part.frozen && f.mayUse(s) {
				need = int64(min(open, f.grantSize(c)))
			}
			switch free := s.quota - int64(s.used()); {
			case need > 0 && free < (need+3)/4, need < free:
				ws = append(ws, GrantWant{Partition: s.part.id, No: c.No, N: need - free})
			}
		}
	}
	return ws
}

// mayUse reports whether pages that are granted to a share could be used soon: not
// when all its hosts are blocked or snoozed for long, since others wait for them. It
// looks at a bounded number of hosts and takes the others for usable.
func (f *Frontier) mayUse(s *share) bool {
	const most = 1024
	for i, q := range s.c.queues {
		if i == most {
			return true
		}
		if q.s == s && q.pending() > 0 && f.heldUntil(q.h) <= f.now+tick(longWait) {
			return true
		}
	}
	return false
}

// heldUntil returns until when a host may not be visited whatever its pace.
func (f *Frontier) heldUntil(h *host) tick {
	p := &h.pace
	if p.policy.Blocked {
		return never
	}
	return max(p.snoozeUntil, f.tickOf(p.policy.NotBefore))
}

// Granted takes the answer to a GrantWant: n pages more, or fewer when negative.
func (f *Frontier) Granted(now time.Time, p uint32, no CrawlNo, n int64) {
	f.at(now)
	if !f.Owns(p) || f.parts[p].shares[no] == nil {
		return
	}
	s := f.parts[p].shares[no]
	s.quota += n
}

// Gauge is what a crawl is doing at a moment, in the partitions owned.
type Gauge struct {
	No CrawlNo
	ID string
	// Ready is the number of hosts that may be visited now, Waiting of those with
	// URLs that wait for their delay, a slot or rules.
	Ready, Waiting int
	// Queued URLs, and Leased ones.
	Queued, Leased uint64
}

// Gauges returns what the active crawls are doing. It looks at every host with work.
func (f *Frontier) Gauges(now time.Time) []Gauge {
	t := f.at(now)
	out := make([]Gauge, 0, len(f.active))
	for _, c := range f.active {
		g := Gauge{No: c.No, ID: c.ID}
		for _, s := range c.shares {
			g.Queued += s.stats.Queued
			g.Leased += s.stats.Leased
		}
		for _, q := range c.queues {
			switch {
			case q.pending() == 0:
			case f.pos[q.idx] != notQueued && c.ready.e[f.pos[q.idx]].at <= t && f.dispatchable(c):
				g.Ready++
			default:
				g.Waiting++
			}
		}
		out = append(out, g)
	}
	return out
}
