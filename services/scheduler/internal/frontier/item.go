package frontier

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// HostID is the 64-bit hash of an origin (scheme, name and port).
type HostID = uint64

// Key is the hash of a canonical URL.
type Key = weburl.Key

// Ref finds a URL of a crawl in the store; Frontier.Ref makes one.
type Ref struct {
	// Crawl and Partition that own the URL.
	Crawl     CrawlNo
	Partition uint32
	// Host of the URL.
	Host HostID
	// Key of the URL.
	Key Key
}

// HostRef finds a host's part of a crawl in the store.
type HostRef struct {
	// Partition of the host.
	Partition uint32
	// Crawl and Host.
	Crawl CrawlNo
	Host  HostID
}

// QKey is the place of an item in its host's queue: lowest first.
type QKey struct {
	// Priority by the crawl's rules; lower comes first.
	Priority int32
	// Seq orders equal priorities: see seq.go.
	Seq uint64
}

// Compare orders two places.
func (k QKey) Compare(o QKey) int {
	if c := cmp.Compare(k.Priority, o.Priority); c != 0 {
		return c
	}
	return cmp.Compare(k.Seq, o.Seq)
}

// Mode says how a URL is visited.
type Mode uint8

// Modes of URLs.
const (
	// ModePage is a page: through a browser where the crawl, or what its host has
	// taught, says so.
	ModePage Mode = iota
	// ModeMedia is a file that an item refers to: fetched and kept, not parsed, and no
	// page under a limit.
	ModeMedia
	// ModeBrowser is a page that was found to need a browser.
	ModeBrowser
	// ModePlain is a page that never goes through a browser: a sitemap.
	ModePlain
)

// Hop is how a redirect led to a URL. It is never changed, only replaced.
type Hop struct {
	// Via is the canonical URL of the page that redirected here.
	Via string
	// Chain names the URL that was first asked for: the beginning of its key.
	Chain uint64
}

// Item is a queued URL.
type Item struct {
	// URL to visit. Zero in a lease that came back from the store; see Lease.
	URL weburl.URL
	// Key of URL.
	Key Key
	// QKey is its place.
	QKey
	// Depth in links from a seed.
	Depth int
	// Attempts finished that count against Crawl.Retries.
	Attempts int
	// Generation counts scheduled visits, from 1.
	Generation uint32
	// Redirects that led here.
	Redirects int
	// Mode of the visit.
	Mode Mode
	// Hop that led here, nil for a URL that was not redirected to.
	Hop *Hop
	// Visit before this one, nil for most.
	Visit *Visit
}

// Candidate is a URL to be added if it is new.
type Candidate struct {
	// Ref of the URL, from Frontier.Ref.
	Ref Ref
	// URL in canonical form.
	URL weburl.URL
	// Depth in links from a seed.
	Depth int
	// Priority by the crawl's rules.
	Priority int32
	// Redirects that led here.
	Redirects int
	// Next puts the URL before all others of its host and priority, as the target
	// of a redirect is.
	Next bool
	// NotBefore keeps the URL from being visited sooner; zero for no such time.
	NotBefore time.Time
	// Mode: ModePage, ModeMedia or ModePlain.
	Mode Mode
	// Hop that leads here, nil without a redirect.
	Hop *Hop
	// Was is the record of the target of a redirect that is known, nil without one:
	// it may be visited again, for the sake of cookies that were set since.
	Was *Record
}

// URLState is where a URL stands; the numbers are those of
// schedulerv1.URLState. The store never holds Leased: a lease is a row of its
// own beside a queued URL.
type URLState uint8

// States of a URL; the zero value is a URL that is not known.
const (
	URLUnknown URLState = iota
	URLQueued
	URLLeased
	URLDelayed
	URLDone
	URLFailed
	URLDropped
)

// Record is what the store knows of a URL.
type Record struct {
	// State, URLUnknown when there is no record.
	State URLState
	// QKey is its place in the queue, now or when it was last in it.
	QKey
	// Depth, Attempts, Generation and Redirects as in Item.
	Depth      int
	Attempts   int
	Generation uint32
	Redirects  int
	// Status and Class of the last attempt.
	Status int
	Class  crawl.Class
	// FetchedAt is the end of the last attempt, NotBefore the due time of a
	// delayed URL; to the millisecond.
	FetchedAt, NotBefore time.Time
	// Reason why a URL was dropped.
	Reason string
	// Mode and Hop as in Item.
	Mode Mode
	Hop  *Hop
	// Redirected says that the last answer led elsewhere, in a crawl that keeps
	// cookies, and Jar is the version of the site's cookies that it was sent.
	Redirected bool
	Jar        uint32
	// Visit is what the last visit with a page left for the next one, nil for most
	// URLs. It is never changed, only replaced.
	Visit *Visit
	// URL is only kept once the URL has left its queue, where it is kept before.
	URL string
}

// Visit is what a recrawl needs of the visit before.
type Visit struct {
	// ETag and LastModified as received, each at most 256 bytes.
	ETag, LastModified string
	// Digest is the beginning of the SHA-256 of the body, 0 when unknown.
	Digest uint64
	// Interval is the adaptive time to the next visit.
	Interval time.Duration
	// Visits counts those that gave a page or found it unchanged.
	Visits uint32
}

// DueItem is a delayed URL whose time has come.
type DueItem struct {
	// Ref of the URL.
	Ref Ref
	// At is its due time.
	At time.Time
	// Record with its URL.
	Record Record
}

// Exchange is what one attempt told about the host.
type Exchange struct {
	// Status, 0 without a response.
	Status int
	// Class of the failure, ClassNone without one.
	Class crawl.Class
	// Duration of the exchange.
	Duration time.Duration
	// RetryAfter asked for by the site.
	RetryAfter time.Duration
	// Address that was dialled; zero when none was, or it is not known.
	Address netip.Addr
}

// Completion is the outcome of one visit.
type Completion struct {
	// Ref of the URL.
	Ref Ref
	// URL as the result names it.
	URL weburl.URL
	// Lease and Generation of the visit.
	Lease      LeaseID
	Generation uint32
	// Exchange of the attempt.
	Exchange Exchange
	// EndedAt is when the exchange ended, by the fetcher's clock.
	EndedAt time.Time
	// Redirect is the target when the response was one and the target is in scope.
	Redirect *Candidate
	// RedirectKnown says that the store knows the target.
	RedirectKnown bool
	// Links to add and, for each, whether the store knows it.
	Links []Candidate
	Known []bool
	// Refused counts the page's links that are not among Links, by reason.
	Refused map[string]uint64
	// Items and Rejected items of the page, Bytes of its body.
	Items, Rejected int
	Bytes           uint64
	// ETag, LastModified and Digest of the response, as in Visit.
	ETag, LastModified string
	Digest             uint64
	// SetCookies are those that the response set.
	SetCookies []cookie.Cookie
	// Rendered says that a browser was used, WantsRender that the page has no content
	// without one.
	Rendered, WantsRender bool
}

// Outcome is what a completion did.
type Outcome uint8

// Outcomes of a completion.
const (
	// Duplicate changed no counter: the visit was completed before, or the URL or
	// crawl is not known.
	Duplicate Outcome = iota
	// Done: the URL was visited.
	Done
	// Delayed: it will be tried again.
	Delayed
	// FailedURL was given up.
	FailedURL
	// Again: it is visited again at once, in a browser.
	Again
)
