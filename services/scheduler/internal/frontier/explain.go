package frontier

import (
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
func (f *Frontier) Explain(now time.Time, no CrawlNo, u weburl.URL, rec Record) View { return View{} }

// Busiest returns the n hosts of a crawl with the most leases, then URLs.
func (f *Frontier) Busiest(no CrawlNo, n int) []HostActivity { return nil }
