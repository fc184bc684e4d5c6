package frontier

import "time"

// CrawlNo is the short number of a crawl inside one store, from 1, never used
// again.
type CrawlNo uint32

// State is where a crawl stands; the numbers are those of crawlv1.CrawlState.
//
//	running <-> paused
//	   |  \        |
//	   |   closing |     closing: no more seeds, finish what is queued
//	   v     v     v
//	finished  cancelled  failed      (final; a resume leads back)
type State uint8

// States of a crawl.
const (
	// Running hands out work and takes seeds.
	Running State = iota + 1
	// Paused hands out nothing; what is in flight is finished.
	Paused
	// Closing hands out work until nothing is left.
	Closing
	// Finished has nothing left, or met a limit.
	Finished
	// Cancelled was stopped by a user; its URLs stay queued.
	Cancelled
	// Failed was stopped by an error.
	Failed
	// Deleted is being taken out of the store; nobody sees it any more.
	Deleted
)

// String returns the name of the state in lower case.
func (s State) String() string {
	names := [...]string{"unknown", "running", "paused", "closing", "finished", "cancelled", "failed", "deleted"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Active reports whether a crawl in this state hands out work.
func (s State) Active() bool { return s == Running || s == Closing }

// Final reports whether a crawl in this state has ended.
func (s State) Final() bool { return s >= Finished }

// Order is the order of the URLs of one priority.
type Order uint8

// Orders; the numbers are those of crawlv1.Order.
const (
	// BreadthFirst visits by depth, first come first served.
	BreadthFirst Order = iota + 1
	// DepthFirst visits what was found last first.
	DepthFirst
	// BestFirst visits by priority alone, first come first served.
	BestFirst
)

// Render says which pages go through a browser.
type Render uint8

// Choices of pages.
const (
	// RenderNever, the default: none.
	RenderNever Render = iota
	// RenderAuto: those whose visit without one says so, and those of hosts most of
	// whose pages did.
	RenderAuto
	// RenderAlways: all.
	RenderAlways
)

// Limits end a crawl; zero means no limit.
type Limits struct {
	// Pages with a 2xx status; never exceeded.
	Pages uint64
	// Items stored; work in flight may add to it.
	Items uint64
	// Bytes of bodies; work in flight may add to it.
	Bytes uint64
	// Errors is the number of URLs that failed for good.
	Errors uint64
	// PagesPerHost is Pages for each host; the host's other URLs are dropped with
	// reason DropPagesPerHost.
	PagesPerHost uint64
	// Duration since CreatedAt, pauses included.
	Duration time.Duration
	// URLs that the crawl may keep; further ones are refused with reason RefuseQuota
	// and the crawl goes on.
	URLs uint64
}

// Recrawl says when pages are visited again; the zero value means never.
type Recrawl struct {
	// Every is the time from one visit to the next.
	Every time.Duration
	// Adaptive lets it follow the page's changes between Min and Max.
	Adaptive bool
	Min, Max time.Duration
}

// Traps are budgets against URL spaces without end; 0 means none.
type Traps struct {
	// PerHost and PerPattern bound the URLs of a host, and of a pattern on a host.
	PerHost, PerPattern uint64
}

// Crawl is a crawl as the frontier knows it: plain values, no spec.
type Crawl struct {
	// No is the crawl's number; New crawls take Frontier.NextCrawlNo.
	No CrawlNo
	// ID is the crawl's public id.
	ID string
	// Revision of the spec.
	Revision uint64
	// Version counts changes of all fields here but Meta.
	Version uint64
	// Home is the partition whose owner alone changes the crawl.
	Home uint32
	// State and the reason for it, for example "limit:pages". While the crawl is
	// active the reason names the limit that was met: it hands out nothing more and
	// ends when what is in flight is over.
	State  State
	Reason string
	// Closed remembers that no more seeds are taken, through pauses.
	Closed bool
	// Order of URLs of one priority. Default: BreadthFirst.
	Order Order
	// Delay is the least time from the end of a fetch of a host to the next start.
	Delay time.Duration
	// MaxDelay bounds adaptive pacing, Crawl-delay and back-off. 0: no bound.
	MaxDelay time.Duration
	// Jitter is the random share of Delay added or taken away, 0 to 1.
	Jitter float64
	// Concurrency is the number of fetches of one host at a time. 0 means 1.
	Concurrency int
	// Adaptive lets the delay follow the host's latency.
	Adaptive bool
	// PerIP and PerDomain cap the fetches at a time of all hosts with one address and
	// of all hosts of one registrable domain. 0 means no cap.
	PerIP, PerDomain int
	// ObeyRobots makes robots.txt a prerequisite of every host.
	ObeyRobots bool
	// Agent is the product token matched in robots.txt.
	Agent string
	// Retries after a first failure that may pass.
	Retries int
	// MaxRedirects from one URL.
	MaxRedirects int
	// Cookies says that those of sites are kept and sent back.
	Cookies bool `json:",omitempty"`
	// Render says which pages go through a browser.
	Render Render `json:",omitempty"`
	// Limits of the crawl.
	Limits Limits
	// Recrawl and Traps of the crawl.
	Recrawl Recrawl
	Traps   Traps
	// CreatedAt and EndedAt; EndedAt is zero until the state is final.
	CreatedAt, EndedAt time.Time
	// Weight is the crawl's share against other crawls. 0 means 1.
	Weight int
	// Meta is kept for the caller and means nothing here.
	Meta []byte
}

// Reasons for which a URL is dropped.
const (
	// DropRobots: robots.txt does not allow the URL.
	DropRobots = "robots_denied"
	// DropPagesPerHost: the host has its pages.
	DropPagesPerHost = "pages_per_host"
)

// Reasons for which a mention of a URL is refused.
const (
	// RefuseQuota: the crawl has its URLs.
	RefuseQuota = "url_quota"
	// RefuseHostBudget and RefusePatternBudget: see Traps.
	RefuseHostBudget    = "host_budget"
	RefusePatternBudget = "pattern_budget"
)

// Reasons for which a crawl ends by itself.
const (
	// ReasonDone: nothing is left to visit.
	ReasonDone = "done"
	// ReasonPages and the following name the limit that was met.
	ReasonPages    = "limit:pages"
	ReasonItems    = "limit:items"
	ReasonBytes    = "limit:bytes"
	ReasonErrors   = "limit:errors"
	ReasonDuration = "limit:duration"
)
