package frontier

import "time"

// HostStates are all states that a host with work may be in.
func HostStates() []string {
	return []string{HostReady, HostVisited, HostDelay, HostSnoozed, HostRobots, HostDomainCap, HostIPCap, HostBlocked, HostDead}
}

// Census is what all crawls together are doing at a moment, in the partitions owned.
type Census struct {
	// Ledger is the sum over all crawls; Refused, Statuses and Errors are left out.
	Ledger Stats
	// Crawls by state; those at home here.
	Crawls map[State]int
	// Hosts in memory on which an active crawl has queued URLs, by what they wait for.
	Hosts map[string]int
}

// Census looks at every crawl and every host in memory: for a look now and then.
func (f *Frontier) Census(now time.Time) Census {
	t := f.at(now)
	out := Census{Crawls: make(map[State]int), Hosts: make(map[string]int)}
	for _, c := range f.order {
		if f.Owns(c.Home) {
			out.Crawls[c.State]++
		}
		for _, s := range c.shares {
			l, o := &out.Ledger, &s.stats
			l.Discovered += o.Discovered
			l.Queued += o.Queued
			l.Leased += o.Leased
			l.Delayed += o.Delayed
			l.Done += o.Done
			l.Failed += o.Failed
			l.Pages += o.Pages
			l.Items += o.Items
			l.RejectedItems += o.RejectedItems
			l.Bytes += o.Bytes
			l.Fetches += o.Fetches
			addAll(&l.Dropped, o.Dropped)
		}
	}
	for _, h := range f.hosts {
		if h.working() {
			state, _ := f.hostState(h, true, t)
			out.Hosts[state]++
		}
	}
	return out
}

// working reports whether an active crawl has queued URLs on the host.
func (h *host) working() bool {
	for _, q := range h.queues {
		if q.c.State.Active() && q.pending() > 0 {
			return true
		}
	}
	return false
}

// Age returns for how long a lease has been out; false for one that is unknown, or was
// made by another run.
func (f *Frontier) Age(now time.Time, id LeaseID) (time.Duration, bool) {
	l := f.leases[id]
	if l == nil || l.made == 0 {
		return 0, false
	}
	return time.Duration(f.at(now) - l.made), true
}
