package frontier

import (
	"cmp"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
)

// Robots verdicts of a View.
const (
	VerdictAllowed     = "allowed"
	VerdictDenied      = "denied"
	VerdictUnknown     = "unknown"
	VerdictUnreachable = "unreachable"
	VerdictIgnored     = "ignored"
)

// View tells where a URL stands and why.
type View struct {
	// Record with the state that counts leases.
	Record Record
	// Reason where the state is not plain: a drop reason, a crawl's state, a snooze.
	Reason string
	// NotBefore is the earliest time of the next visit, zero when none is to come.
	NotBefore time.Time
	// Verdict of robots.txt and the line of it that decided.
	Verdict, RobotsRule string
	// Lease of the URL while it is handed out, 0 otherwise.
	Lease LeaseID
}

// HostActivity is what a host is doing for a crawl.
type HostActivity struct {
	// Origin of the host.
	Origin string
	// Leased and Queued URLs.
	Leased int
	Queued uint64
}

// Explain tells what is known of a URL; rec is its record.
func (f *Frontier) Explain(now time.Time, no CrawlNo, u weburl.URL, rec Record) View {
	t := f.at(now)
	v := View{Record: rec, Reason: rec.Reason, NotBefore: rec.NotBefore, Verdict: VerdictUnknown}
	c := f.crawls[no]
	if c == nil {
		return v
	}
	ref := f.Ref(no, u)
	if i, ok := f.urlIdx[ref]; ok {
		v.Record = f.out.URLs[i].Record
	}
	q := f.queueOf(ref.Host, no)
	f.explainRobots(&v, c, q, u, t)
	if q == nil {
		if v.Record.State == URLQueued {
			v.Reason = "its host waits for a turn"
		}
		return v
	}
	if l := q.findLease(ref.Key); l != nil {
		v.Record.State, v.Lease = URLLeased, l.id
	}
	if v.Record.State == URLQueued {
		f.explainQueued(&v, q, t)
	}
	return v
}

// explainRobots fills in what robots.txt says, as far as memory knows.
func (f *Frontier) explainRobots(v *View, c *crawlState, q *queue, u weburl.URL, t tick) {
	if !c.ObeyRobots {
		v.Verdict = VerdictIgnored
		return
	}
	if q == nil || !q.h.robots.fresh(t) {
		return
	}
	if q.h.robots.state == RobotsUnreachable {
		v.Verdict = VerdictUnreachable
		return
	}
	g := f.groupOf(q)
	if g == nil {
		return
	}
	ok, line := g.Allowed(u.PathQuery())
	if v.RobotsRule = line.Text; ok {
		v.Verdict = VerdictAllowed
	} else {
		v.Verdict = VerdictDenied
	}
}

// explainQueued says what a queued URL waits for.
func (f *Frontier) explainQueued(v *View, q *queue, t tick) {
	c, h := q.c, q.h
	switch {
	case !c.State.Active():
		v.Reason = "crawl is " + c.State.String()
		return
	case c.Reason != "":
		v.Reason = c.Reason
		return
	case !f.dispatchable(c):
		v.Reason = "waits for pages under " + ReasonPages
	case q.lined:
		v.Reason = "waits for a browser"
	default:
		v.Reason = f.hostWait(q, t)
	}
	if h.pace.policy.Blocked {
		return
	}
	at := max(h.nextAt, h.policyAt, t)
	if c.ObeyRobots && h.robots.state == RobotsUnknown {
		at = max(at, h.robots.until)
	}
	v.NotBefore = f.wall(at)
}

// hostWait says what a queue with work waits for because of its host.
func (f *Frontier) hostWait(q *queue, t tick) string {
	h := q.h
	state, _ := f.hostState(h, true, t)
	switch state {
	case HostDead:
		return "host could not be connected to"
	case HostBlocked:
		return "host is blocked: " + orElse(h.pace.policy.Note, "see weir host")
	case HostSnoozed:
		return "host is snoozed"
	}
	if q.c.ObeyRobots && !h.robots.fresh(t) {
		return "waits for robots.txt"
	}
	switch state {
	case HostVisited:
		return "host is being visited"
	case HostDomainCap:
		return "other hosts of its domain are being visited"
	case HostIPCap:
		return "other hosts of its address are being visited"
	case HostDelay:
		return "host's delay"
	case HostReady:
		return "waits for its turn"
	}
	return ""
}

// orElse returns s, or other when s is empty.
func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Busiest returns the n hosts of a crawl with the most leases, then URLs. It looks
// at every host in memory.
func (f *Frontier) Busiest(no CrawlNo, n int) []HostActivity {
	c := f.crawls[no]
	if c == nil || n <= 0 {
		return nil
	}
	var top []HostActivity
	for _, q := range f.queues {
		if q == nil || q.c != c || q.rows == 0 {
			continue
		}
		a := HostActivity{Origin: q.h.origin, Leased: len(q.leased), Queued: q.pending()}
		i, _ := slices.BinarySearchFunc(top, a, compareActivity)
		if i >= n {
			continue
		}
		top = slices.Insert(top, i, a)
		top = top[:min(len(top), n)]
	}
	return top
}

// compareActivity puts the busiest host first.
func compareActivity(a, b HostActivity) int {
	return cmp.Or(cmp.Compare(b.Leased, a.Leased), cmp.Compare(b.Queued, a.Queued), cmp.Compare(a.Origin, b.Origin))
}
