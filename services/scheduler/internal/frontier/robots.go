package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/robots"
	"github.com/weircrawl/weir/internal/weburl"
)

// maxRobotsRedirects is what RFC 9309 asks for at least.
const maxRobotsRedirects = 5

// loading says whether the text of a robots.txt is on its way from the store.
type loading uint8

const (
	loadIdle loading = iota
	loadWanted
	loadAsked
)

// robotsFile is what is known of a host's robots.txt.
//
//	unknown ──lease──► ok, none ──until──► unknown
//	   │  ▲ until                │ refresh fails: kept, tried again
//	   ▼  │
//	  tries ──RobotsTries──► unreachable ──until──► unknown
type robotsFile struct {
	state   RobotsState
	until   tick // state holds until then; when unknown: no try before
	tries   int
	class   crawl.Class // of the last failure
	rules   *robots.Rules
	text    bool // the store has a text for rules
	loading loading
	version uint32 // counts changes of rules
	lease   LeaseID

	redirects int
	target    weburl.URL // where the next try goes after a redirect
}

// fresh reports whether the state can be used at a time.
func (r *robotsFile) fresh(t tick) bool { return r.state != RobotsUnknown && t < r.until }

// readyAt returns from when an obeying crawl may go on with the host; false while a
// lease or the store has to answer first.
func (r *robotsFile) readyAt(t tick) (tick, bool) {
	switch {
	case r.loading != loadIdle:
		return 0, false
	case r.fresh(t):
		return longAgo, true
	case r.lease != 0:
		return 0, false
	case r.state == RobotsUnknown:
		return r.until, true
	}
	return longAgo, true
}

// groupOf returns the rules for a crawl's agent, nil while they are not known.
func (f *Frontier) groupOf(q *queue) *robots.Group {
	r := &q.h.robots
	if r.rules == nil {
		return nil
	}
	if q.group == nil || q.groupVer != r.version {
		q.group, q.groupVer = r.rules.Agent(q.c.Agent), r.version
	}
	return q.group
}

// robotsStep does what a queue's crawl needs of robots.txt before its next page. It
// returns true when the page may be judged.
func (f *Frontier) robotsStep(q *queue) (ready bool, l *Lease) {
	r := &q.h.robots
	switch {
	case r.fresh(f.now) && r.state == RobotsUnreachable:
		return true, nil
	case r.fresh(f.now):
		if r.rules != nil {
			return true, nil
		}
		r.loading = loadWanted
		f.wants = append(f.wants, q)
		f.placeAll(q.h)
		return false, nil
	case r.lease != 0 || r.loading != loadIdle || r.state == RobotsUnknown && f.now < r.until:
		f.place(q)
		return false, nil
	}
	return false, f.leaseRobots(q)
}

// leaseRobots hands out a visit of a host's robots.txt.
func (f *Frontier) leaseRobots(q *queue) *Lease {
	h := q.h
	u := h.robots.target
	if u.IsZero() {
		var err error
		if u, err = weburl.FromCanonical(h.origin + "/robots.txt"); err != nil {
			// An origin that is no URL has no robots.txt; its pages will fail alike.
			f.setRules(h, RobotsNone, robots.AllowAll(), nil)
			return nil
		}
	}
	also := f.hostOf(u, h)
	if also != nil && !f.lends(also) {
		h.robots.until = max(also.nextAt, f.now+tick(busyTarget))
		f.placeAll(h)
		return nil
	}
	l := f.newLease(q, Item{URL: u, Attempts: h.robots.tries, Generation: 1, Redirects: h.robots.redirects}, PoolHTTP, true)
	h.robots.lease = l.id
	if also != nil {
		l.also = also
		also.leases++
		also.begun = f.now
		f.takeSlot(also)
		f.placeAll(also)
	}
	f.placeAll(h)
	out := f.export(l)
	return &out
}

// busyTarget is how long a redirected robots.txt waits before it asks again for a
// slot of its target's host.
const busyTarget = 100 * time.Millisecond

// hostOf returns the host of a robots.txt that another host redirects to, nil when
// it is not in memory: then nobody visits it, and the first host's slot is enough.
func (f *Frontier) hostOf(u weburl.URL, from *host) *host {
	if h := f.hosts[u.HostID()]; h != from {
		return h
	}
	return nil
}

// lends reports whether a host has a slot for a robots.txt that another one
// redirects to it.
func (f *Frontier) lends(h *host) bool {
	for _, at := range gatesOf(h) {
		if at != nil && !f.vacant(at) {
			return false
		}
	}
	return h.inflight < h.slots() && max(h.nextAt, h.policyAt) <= f.now && !h.pace.policy.Blocked
}

// CompleteRobots takes the result of a visit of robots.txt; redirect is the
// target if the response was one. A result of an unknown lease is ignored.
func (f *Frontier) CompleteRobots(now time.Time, id LeaseID, x Exchange, body []byte, redirect weburl.URL) Outcome {
	t := f.at(now)
	l := f.leases[id]
	if l == nil || !l.robots {
		return Duplicate
	}
	f.report(l, x, t)
	h, void := l.q.h, l.void
	f.removeLease(l)
	f.countAttempt(l.q.s, x)
	if !void || h.robots.lease == 0 && !h.robots.fresh(t) {
		f.takeRobots(h, x, body, redirect, t)
	}
	f.placeAll(h)
	return Done
}

// takeRobots draws the conclusions of RFC 9309 §2.3.1.
func (f *Frontier) takeRobots(h *host, x Exchange, body []byte, redirect weburl.URL, t tick) {
	r := &h.robots
	r.target = weburl.URL{}
	switch {
	case x.Status == 429 || x.Status >= 500 || x.Status == 0,
		x.Status < 300 && x.Class != crawl.ClassNone && x.Class != crawl.ClassTooLarge: // cut off
		f.robotsFailed(h, x, t)
	case x.Status >= 300 && x.Status < 400 && !redirect.IsZero() && r.redirects < maxRobotsRedirects:
		r.redirects++
		r.target = redirect
		r.state, r.until = RobotsUnknown, t
	case x.Status >= 200 && x.Status < 300:
		f.setRules(h, RobotsOK, robots.Parse(body), robots.Head(body))
	default: // 4xx, redirects without end or target: there is none
		f.setRules(h, RobotsNone, robots.AllowAll(), nil)
	}
}

// setRules takes over rules that are good for RobotsTTL.
func (f *Frontier) setRules(h *host, s RobotsState, rules *robots.Rules, text []byte) {
	r := &h.robots
	r.state, r.until = s, f.now+tick(f.cfg.RobotsTTL)
	r.tries, r.class, r.redirects = 0, crawl.ClassNone, 0
	r.rules = rules
	r.version++
	if len(text) > 0 || r.text {
		f.out.Robots = append(f.out.Robots, RobotsRow{Partition: h.part, Host: h.id, Text: append([]byte(nil), text...)})
	}
	r.text = len(text) > 0
	f.touchHost(h)
	f.holdBack(h)
}

// robotsFailed waits and tries again, and gives up after RobotsTries or at once
// when trying again is of no use. Rules that were had before are kept meanwhile.
func (f *Frontier) robotsFailed(h *host, x Exchange, t tick) {
	r := &h.robots
	r.tries++
	r.redirects = 0
	r.class = x.Class
	wait := f.cfg.RobotsRetry.Delay(r.tries, f.cfg.Rand)
	final := x.Status == 0 && !x.Class.Retry() && x.Class != crawl.ClassDeadLetter
	switch {
	case r.state == RobotsOK || r.state == RobotsNone:
		r.until = t + tick(wait)
	case final || r.tries >= f.cfg.RobotsTries:
		r.state, r.until = RobotsUnreachable, t+tick(f.cfg.RobotsFailTTL)
		if !final {
			r.class = crawl.ClassRobotsUnreachable
		}
		r.tries = 0
	default:
		r.state, r.until = RobotsUnknown, t+tick(wait)
	}
	f.touchHost(h)
}

// fillRobots takes the text that a Want asked for.
func (f *Frontier) fillRobots(h *host, text []byte) {
	r := &h.robots
	if r.loading == loadAsked && r.rules == nil {
		r.rules = robots.Parse(text)
		r.version++
	}
	r.loading = loadIdle
	f.holdBack(h)
}

// restore takes what the store knows; the text is asked for when it is needed.
func (r *robotsFile) restore(f *Frontier, i RobotsInfo) {
	*r = robotsFile{state: i.State, until: f.tickOf(i.Until), tries: i.Tries, class: crawl.Class(i.Class)}
	switch i.State {
	case RobotsOK:
		r.text = true
	case RobotsNone:
		r.rules = robots.AllowAll()
	}
}

// info is what is stored of it.
func (r *robotsFile) info(f *Frontier) RobotsInfo {
	return RobotsInfo{State: r.state, Until: f.wall(r.until), Tries: r.tries, Class: uint8(r.class)}
}
