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
)

// parking is where the search for hosts with work that are only on disk goes on. It
// goes round all partitions and active crawls; a round that found room for all that
// it met, while none was put on disk, ends it.
//
//	memory ──full, or maxTurns──► on disk ──round, when there is room──► memory
type parking struct {
	some    bool // the store may have queues with work that memory has not
	again   bool // another round is needed after this one
	part    int
	crawl   int // place in active
	host    HostID
	surplus []int32 // queues to be put on disk, if they are not in use
}

// crowded reports whether memory has as many queues as it may.
func (f *Frontier) crowded() bool { return len(f.queues)-len(f.free) > f.cfg.MaxHosts }

// park puts the queues that leave on disk, where all that matters of them is
// written; one in use goes when it is not any more.
func (f *Frontier) park() {
	k := &f.parking
	k.surplus = slices.DeleteFunc(k.surplus, func(idx int32) bool {
		q := f.queues[idx]
		if q == nil || !q.leaving {
			return true
		}
		if f.inUse(q) {
			return false
		}
		f.noteParked(q.c, q.rows)
		f.drop(q)
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

// leave has a queue put on disk as soon as it is not in use; until then nothing more
// is handed out of it.
func (f *Frontier) leave(q *queue) {
	if !q.leaving {
		q.leaving = true
		f.parking.surplus = append(f.parking.surplus, q.idx)
		f.place(q)
	}
}

// leavesAt returns when the first queue that only waits for its host's delay may
// leave, never without one.
func (f *Frontier) leavesAt() tick {
	first := never
	for _, idx := range f.parking.surplus {
		if q := f.queues[idx]; q != nil && q.leaving && q.leases == 0 && q.log == nil {
			first = min(first, q.h.nextAt)
		}
	}
	return first
}

// roomy reports whether there is room for a page of hosts from disk.
func (f *Frontier) roomy() bool {
	return len(f.queues)-len(f.free) <= f.cfg.MaxHosts-max(1, f.cfg.MaxHosts/4)
}

// inUse reports whether memory knows of a queue what the store does not.
func (f *Frontier) inUse(q *queue) bool {
	h := q.h
	last := len(h.queues) == 1 // then the host goes too
	return q.dirty || q.leases > 0 || q.log != nil || q.wanted || h.robots.loading != loadIdle ||
		last && (h.nextAt > f.now || h.dirty)
}

// took counts a turn of a queue; after many of them another host has one.
func (f *Frontier) took(q *queue) {
	if q.turns++; q.turns >= maxTurns && f.parking.some {
		f.leave(q)
	}
}

// Parked returns where the store is to be asked for hosts that wait on disk, by
// Lister.ScanHosts with n, and whether there is room for any. Answer with Unpark.
func (f *Frontier) Parked() (after HostRef, n int, ok bool) {
	k := &f.parking
	if !k.some || !f.roomy() {
		return after, 0, false
	}
	for ; k.part < len(f.parts); k.part, k.crawl, k.host = k.part+1, 0, 0 {
		if f.parts[k.part] != nil && k.crawl < len(f.active) {
			return HostRef{Partition: uint32(k.part), Crawl: f.active[k.crawl].No, Host: k.host}, parkedPage, true
		}
	}
	k.part, k.crawl, k.host = 0, 0, 0
	if k.some, k.again = k.again, false; !k.some {
		for _, c := range f.active {
			c.parked = false
		}
	}
	return after, 0, false
}

// Unpark takes the hosts that were read after a place.
func (f *Frontier) Unpark(now time.Time, after HostRef, hosts []HostState) {
	f.at(now)
	k := &f.parking
	if f.crawls[after.Crawl] == nil || !f.Owns(after.Partition) {
		return // gone meanwhile
	}
	for i := range hosts {
		st := &hosts[i]
		k.host = st.Ready.Host
		switch {
		case st.Ready.Rows == 0 || f.queueOf(st.Ready.Host, after.Crawl) != nil:
		case f.crowded():
			f.noteParked(f.crawls[after.Crawl], st.Ready.Rows)
		default:
			f.admit(*st)
		}
	}
	if len(hosts) < parkedPage {
		k.crawl, k.host = k.crawl+1, 0
	}
}
