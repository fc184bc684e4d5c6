package frontier

import (
	"net/netip"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// pace is what a host's answers taught about how to treat it.
type pace struct {
	snoozeUntil tick          // from 429, 503 and failures to connect
	level       int           // back-offs by 429 and 503 in a row
	lastBad     tick          // the last of them
	fails       int           // failures to connect in a row
	failClass   crawl.Class   // the last of them
	deadUntil   tick          // queued URLs fail until then
	adaptive    time.Duration // what latency asks for, 0 before the first answer
	written     time.Duration // adaptive as the store has it
	policy      HostPolicy    // what an operator asked for
	address     netip.Addr    // dialled last, or looked up
}

// slots is the number of fetches that the host bears at a time: what the crawls
// with work on it agree on.
func (h *host) slots() int {
	n := 0
	for _, q := range h.queues {
		if q.rows == 0 || !q.c.State.Active() {
			continue
		}
		if c := max(q.c.Concurrency, 1); n == 0 || c < n {
			n = c
		}
	}
	return max(least(n, h.pace.policy.Concurrency), 1)
}

// delay is the wait between two fetches of a host: the longest that an operator or
// any crawl with work on it asks for, jitter included. It is the same for one fetch
// however often it is asked for: the longest of many draws would be no jitter.
func (f *Frontier) delay(h *host) time.Duration {
	d := h.pace.policy.Delay
	for _, q := range h.queues {
		if q.rows > 0 && q.c.State.Active() {
			d = max(d, f.queueDelay(q))
		}
	}
	return d
}

// queueDelay is the wait that one crawl asks for.
func (f *Frontier) queueDelay(q *queue) time.Duration {
	c := q.c
	d := c.Delay
	if c.Jitter > 0 && d > 0 {
		d = time.Duration(float64(d) * (1 + c.Jitter*(2*q.h.draw-1)))
	}
	if c.Adaptive {
		d = max(d, c.bounded(q.h.pace.adaptive))
	}
	if c.ObeyRobots {
		if g := f.groupOf(q); g != nil {
			if cd, ok := g.CrawlDelay(); ok {
				d = max(d, c.bounded(cd))
			}
		}
	}
	return d
}

// bounded applies MaxDelay, which never lowers Delay itself.
func (c *crawlState) bounded(d time.Duration) time.Duration {
	if c.MaxDelay > 0 {
		return min(d, max(c.MaxDelay, c.Delay))
	}
	return d
}

// pacing takes the end of an exchange with a host at time t.
func (f *Frontier) pacing(h *host, c *crawlState, x Exchange, t tick) {
	f.adapt(h, x)
	p := &h.pace
	switch {
	case x.Class == crawl.ClassStatus429 || x.Status == 429 || x.Status == 503:
		p.fails = 0
		f.throttled(h, c, x, t)
	case x.Status == 0 && x.Class.SnoozesHost():
		// Several fetches that were under way together fail together: that is one
		// failure of the host.
		if p.snoozeUntil <= t {
			p.fails++
		}
		p.failClass = x.Class
		if f.cfg.HostTries > 0 && p.fails >= f.cfg.HostTries {
			p.deadUntil = t + tick(f.cfg.RobotsFailTTL)
			p.fails = f.cfg.HostTries - 1 // one more try after that
			f.touchHost(h)
			break
		}
		f.snooze(h, t, c.bounded(f.cfg.HostBackoff.Delay(p.fails, f.cfg.Rand)))
	case x.Status > 0 && p.fails > 0:
		p.fails = 0
		f.touchHost(h)
	}
	h.lastEnd, h.draw = t, f.cfg.Rand()
	h.nextAt = max(h.nextAt, p.snoozeUntil)
	f.holdBack(h)
}

// holdBack applies a crawl or rule that comes to a host after its last fetch ended
// to the wait that runs already. With several slots, starts are spaced like ends.
func (f *Frontier) holdBack(h *host) {
	d := tick(f.delay(h))
	h.nextAt = max(h.nextAt, h.lastEnd+d)
	if h.slots() > 1 {
		h.nextAt = max(h.nextAt, h.begun+d)
	}
}

// SetHostPolicy replaces what an operator asked for a host, for all crawls and at
// once. With reset it also forgets what the host's answers taught: back-off,
// failures, snooze and an unreachable robots.txt. row is the host as the store has
// it, or as it is to be stored. False when somebody else owns its partition. Flush
// and Apply before the store is asked for the host again.
func (f *Frontier) SetHostPolicy(now time.Time, row HostRow, p HostPolicy, reset bool) bool {
	f.at(now)
	if !f.Owns(row.Partition) {
		return false
	}
	h := f.hosts[row.Host]
	live := h != nil
	if !live {
		h = f.absent(&row)
	}
	p.NotBefore = p.NotBefore.Round(0).Truncate(time.Millisecond)
	h.pace.policy, h.policyAt = p, f.tickOf(p.NotBefore)
	if reset {
		h.reset(f.now)
	}
	f.out.Sync = true // what was asked for is kept
	if !live {
		f.out.Hosts = append(f.out.Hosts, f.hostRow(h))
		return true
	}
	h.nextAt = max(h.pace.snoozeUntil, f.now) // the delay may be shorter now
	f.holdBack(h)
	f.touchHost(h)
	f.placeAll(h)
	return true
}

// absent is a host that has no work, as the store has it.
func (f *Frontier) absent(row *HostRow) *host {
	h := &host{id: row.Host, part: row.Partition, origin: row.Origin, nextAt: f.now, lastEnd: longAgo, begun: longAgo}
	f.restorePace(h, row)
	return h
}

// reset forgets what a host's answers taught.
func (h *host) reset(now tick) {
	p := &h.pace
	p.snoozeUntil, p.deadUntil, p.lastBad = longAgo, longAgo, longAgo
	p.level, p.fails = 0, 0
	if r := &h.robots; r.state == RobotsUnreachable || r.state == RobotsUnknown && r.tries > 0 {
		r.state, r.until, r.tries = RobotsUnknown, now, 0
	}
}

// throttled takes a 429 or 503: Retry-After where given, else exponential back-off
// that is forgotten after quiet time.
func (f *Frontier) throttled(h *host, c *crawlState, x Exchange, t tick) {
	p := &h.pace
	// A host that was left alone as it asked has not been quiet meanwhile.
	if t.Sub(max(p.lastBad, p.snoozeUntil)) > f.cfg.HostQuiet {
		p.level = 0
	}
	if p.snoozeUntil <= t { // answers to fetches under way together count once
		p.level++
	}
	p.lastBad = t
	if x.RetryAfter > 0 {
		f.snooze(h, t, min(x.RetryAfter, f.cfg.MaxRetryAfter))
		return
	}
	f.snooze(h, t, c.bounded(f.cfg.HostBackoff.Delay(p.level, f.cfg.Rand)))
}

// snooze keeps a host alone for a while.
func (f *Frontier) snooze(h *host, t tick, d time.Duration) {
	h.pace.snoozeUntil = max(h.pace.snoozeUntil, t+tick(d))
	f.touchHost(h)
	if d > longWait && f.parking.some {
		f.leave(h)
	}
}

// adapt is Scrapy's AutoThrottle: the delay moves half way to latency divided by
// concurrency and at once when that is longer. Errors are often fast, so they may
// only raise it.
func (f *Frontier) adapt(h *host, x Exchange) {
	if x.Duration <= 0 || x.Status == 0 {
		return
	}
	p := &h.pace
	target := x.Duration / time.Duration(h.slots())
	next := max(target, (p.adaptive+target)/2)
	if next < p.adaptive && (x.Class != crawl.ClassNone || x.Status != 200) {
		return
	}
	p.adaptive = next
	// Written when it has moved by a quarter: a row for each page would be a waste.
	if diff := (next - p.written).Abs(); f.adaptiveUsed(h) && diff > p.written/4 {
		f.touchHost(h)
	}
}

// adaptiveUsed reports whether any crawl on the host paces by latency.
func (f *Frontier) adaptiveUsed(h *host) bool {
	for _, q := range h.queues {
		if q.c.Adaptive {
			return true
		}
	}
	return false
}

// restorePace takes what the store knows of a host.
func (f *Frontier) restorePace(h *host, r *HostRow) {
	h.pace = pace{
		snoozeUntil: f.tickOf(r.NotBefore), level: r.Level, lastBad: f.tickOf(r.LastBad),
		fails: r.Fails, policy: r.Policy, deadUntil: longAgo, failClass: crawl.ClassOther, adaptive: r.Adaptive, written: r.Adaptive,
	}
	if a, err := netip.ParseAddr(r.Address); err == nil {
		h.pace.address = a
	}
	h.policyAt = f.tickOf(r.Policy.NotBefore)
	h.nextAt = max(h.nextAt, h.pace.snoozeUntil)
	h.robots.restore(f, r.Robots)
}

// hostRow is the host as it is stored.
func (f *Frontier) hostRow(h *host) HostRow {
	p := &h.pace
	p.written = p.adaptive
	address := ""
	if p.address.IsValid() {
		address = p.address.String()
	}
	return HostRow{
		Partition: h.part, Host: h.id, Origin: h.origin,
		NotBefore: f.wall(p.snoozeUntil), Level: p.level, LastBad: f.wall(p.lastBad),
		Fails: p.fails, Adaptive: p.adaptive, Robots: h.robots.info(f),
		Policy: p.policy, Address: address,
	}
}
