package frontier

import "time"

// States of a host: what its next fetch waits for.
const (
	HostReady     = "ready"
	HostVisited   = "visited"    // as many fetches run as may
	HostDelay     = "delay"      // the time between fetches is not over
	HostSnoozed   = "snoozed"    // 429, 503, failures to connect, or an operator's pause
	HostRobots    = "robots"     // robots.txt comes first
	HostDomainCap = "domain_cap" // other hosts of its domain are being visited
	HostIPCap     = "ip_cap"     // other hosts of its address are, or the address is being looked up
	HostBlocked   = "blocked"    // by an operator
	HostIdle      = "idle"       // nothing is queued
	HostDead      = "dead"       // it could not be connected to too often
)

// HostView is how a host is treated and why.
type HostView struct {
	// Origin of the host.
	Origin string
	// State is one of the constants above.
	State string
	// Queued and Leased URLs and Pages had, of one crawl or of all in memory.
	Queued uint64
	Leased int
	Pages  uint64
	// Delay between fetches as it is now, and what latency and robots.txt ask for.
	Delay, Adaptive, CrawlDelay time.Duration
	// Concurrency is the number of fetches at a time.
	Concurrency int
	// Level counts back-offs by 429 and 503 in a row, Fails failures to connect.
	Level, Fails int
	// NextAt is the earliest time of the next fetch, zero when nothing waits for a time.
	NextAt time.Time
	// Robots is the state of robots.txt and RobotsUntil how long it is good for.
	Robots      RobotsState
	RobotsUntil time.Time
	// Address that was dialled last or looked up, empty when not known.
	Address string
	// Policy of the operator.
	Policy HostPolicy
}

// Host tells how a host is treated, as memory knows it or, where it is not in memory,
// as st from the store says. no is the crawl whose URLs are counted, 0 for all that
// memory knows of.
func (f *Frontier) Host(now time.Time, no CrawlNo, st HostState) HostView {
	t := f.at(now)
	h := f.hosts[st.Host.Host]
	live := h != nil
	if !live {
		h = f.absent(&st.Host)
	}
	p := &h.pace
	row := f.viewRow(h)
	v := HostView{
		Origin: h.origin, Delay: f.delay(h), Adaptive: p.adaptive, CrawlDelay: f.crawlDelay(h),
		Concurrency: h.slots(), Level: p.level, Fails: p.fails,
		Robots: row.Robots.State, Address: row.Address, Policy: p.policy,
	}
	if t.Sub(max(p.lastBad, p.snoozeUntil)) > f.cfg.HostQuiet {
		v.Level = 0
	}
	if v.Robots != RobotsUnknown {
		v.RobotsUntil = row.Robots.Until
	}
	f.countURLs(&v, h, no, st.Ready)
	at := never
	v.State, at = f.hostState(h, v.Queued+uint64(v.Leased) > 0, t)
	if at != never && at > t {
		v.NextAt = f.wall(at)
	}
	return v
}

// viewRow is hostRow for looking only.
func (f *Frontier) viewRow(h *host) HostRow {
	written := h.pace.written
	row := f.hostRow(h)
	h.pace.written = written
	return row
}

// countURLs fills in the URLs of one crawl or of all.
func (f *Frontier) countURLs(v *HostView, h *host, no CrawlNo, r ReadyRow) {
	found := false
	for _, q := range h.queues {
		if no == 0 || q.c.No == no {
			v.Queued += q.pending()
			v.Leased += len(q.leased)
			v.Pages += q.pages
			found = true
		}
	}
	if !found && no == r.Crawl {
		v.Queued, v.Pages = r.Rows, r.Pages
	}
}

// crawlDelay is the longest that robots.txt asks of a crawl with work on a host.
func (f *Frontier) crawlDelay(h *host) time.Duration {
	var d time.Duration
	for _, q := range h.queues {
		if g := f.groupOf(q); g != nil && q.c.ObeyRobots {
			cd, _ := g.CrawlDelay()
			d = max(d, cd)
		}
	}
	return d
}

// hostState returns what a host waits for and, where that is a time, until when;
// otherwise never. work says that there is something to be fetched or in flight.
func (f *Frontier) hostState(h *host, work bool, t tick) (string, tick) {
	p := &h.pace
	next := max(h.nextAt, h.policyAt)
	switch {
	case p.deadUntil > t:
		return HostDead, p.deadUntil
	case p.policy.Blocked:
		return HostBlocked, never
	case p.snoozeUntil > t || h.policyAt > t:
		return HostSnoozed, next
	case !work:
		return HostIdle, never
	}
	if wait, ok := f.robotsWait(h, t); !ok || wait > t {
		if ok {
			return HostRobots, max(wait, next)
		}
		return HostRobots, never
	}
	switch g := h.gate; {
	case h.inflight >= h.slots():
		return HostVisited, never
	case g != nil && g.waits != nil && g.waits.kind == domainGate:
		return HostDomainCap, never
	case g.shut():
		return HostIPCap, never
	case next > t:
		return HostDelay, next
	}
	return HostReady, next
}

// robotsWait returns from when the crawls with work on a host may go on as far as
// robots.txt goes: at once when any of them does not obey it.
func (f *Frontier) robotsWait(h *host, t tick) (tick, bool) {
	obey := false
	for _, q := range h.queues {
		if q.pending() == 0 {
			continue
		}
		if !q.c.ObeyRobots {
			return longAgo, true
		}
		obey = true
	}
	if !obey {
		return longAgo, true
	}
	return h.robots.readyAt(t)
}
