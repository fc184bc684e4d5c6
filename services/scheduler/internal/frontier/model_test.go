package frontier_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// model is the naive truth: every URL in a map, every rule written as one would
// say it.
type model struct {
	crawls map[frontier.CrawlNo]*modelCrawl
	hosts  map[frontier.HostID]*modelHost
	added  int
	next   *frontier.Candidate // where the last completion leads
}

// modelCrawl is a crawl of the model.
type modelCrawl struct {
	conf    frontier.Crawl
	state   frontier.State
	urls    map[frontier.Key]*modelURL
	pages   uint64
	perHost map[frontier.HostID]uint64
	fetches uint64
	jars    map[string]*modelJar // by site
}

// modelURL is a URL of a crawl. leased is memory's knowledge, which a crash of the
// machine may lose.
type modelURL struct {
	url      string
	host     frontier.HostID
	state    frontier.URLState
	lease    frontier.LeaseID
	gen      uint32
	attempts int
	order    [4]int // priority, redirects first, depth or newest, counter
	loose    bool   // its place is not known: it may have had to go behind the others

	mode       frontier.Mode
	redirects  int
	via        string
	chain      uint64 // 0 without a redirect
	redirected bool   // its last answer was a redirect, and jar the version of cookies sent
	jar        int
}

// modelHost is what the world does to a host.
type modelHost struct {
	inflight map[frontier.LeaseID]struct{}
	lastEnd  time.Time
	snooze   time.Time
}

func newModel() *model {
	return &model{crawls: map[frontier.CrawlNo]*modelCrawl{}, hosts: map[frontier.HostID]*modelHost{}}
}

// clone copies everything, as the store would be after a power cut: no leases.
func (m *model) clone() *model {
	c := &model{crawls: map[frontier.CrawlNo]*modelCrawl{}, hosts: m.hosts, added: m.added}
	for no, mc := range m.crawls {
		cc := *mc
		cc.urls, cc.perHost = map[frontier.Key]*modelURL{}, maps.Clone(mc.perHost)
		for k, u := range mc.urls {
			uu := *u
			cc.urls[k] = &uu
		}
		cc.jars = map[string]*modelJar{}
		for site, j := range mc.jars {
			cc.jars[site] = j.clone()
		}
		c.crawls[no] = &cc
	}
	return c
}

// cloneHosts copies what the world did to the hosts.
func (m *model) cloneHosts() map[frontier.HostID]*modelHost {
	c := make(map[frontier.HostID]*modelHost, len(m.hosts))
	for id, h := range m.hosts {
		hh := *h
		hh.inflight = maps.Clone(h.inflight)
		c[id] = &hh
	}
	return c
}

// host returns a host of the world.
func (m *model) host(id frontier.HostID) *modelHost {
	h := m.hosts[id]
	if h == nil {
		h = &modelHost{inflight: map[frontier.LeaseID]struct{}{}}
		m.hosts[id] = h
	}
	return h
}

// add returns whether a URL is new.
func (m *model) add(no frontier.CrawlNo, c frontier.Candidate) bool {
	mc := m.crawls[no]
	if mc.urls[c.Ref.Key] != nil {
		return false
	}
	m.added++
	order := [4]int{int(c.Priority), 1, c.Depth, m.added}
	if mc.conf.Order == frontier.BestFirst {
		order[2] = 0
	}
	if mc.conf.Order == frontier.DepthFirst {
		order[2], order[3] = 0, -m.added
	}
	if c.Next {
		order[1] = 0
	}
	u := &modelURL{
		url: c.URL.String(), host: c.Ref.Host, state: frontier.URLQueued, gen: 1, order: order, mode: c.Mode, redirects: c.Redirects,
	}
	if c.Hop != nil {
		u.via, u.chain = c.Hop.Via, c.Hop.Chain
	}
	mc.urls[c.Ref.Key] = u
	return true
}

// count returns the ledger of a crawl.
func (mc *modelCrawl) count() map[frontier.URLState]uint64 {
	n := map[frontier.URLState]uint64{}
	for _, u := range mc.urls {
		if u.state == frontier.URLQueued && u.lease != 0 {
			n[frontier.URLLeased]++
			continue
		}
		n[u.state]++
	}
	return n
}

// diff compares the ledger of the frontier with the model's, "" when they agree.
func (mc *modelCrawl) diff(c frontier.Crawl, s frontier.Stats) string {
	n := mc.count()
	var dropped uint64
	for _, d := range s.Dropped {
		dropped += d
	}
	got := []uint64{s.Discovered, s.Queued, s.Leased, s.Delayed, s.Done, s.Failed, dropped, s.Pages}
	want := []uint64{
		uint64(len(mc.urls)), n[frontier.URLQueued], n[frontier.URLLeased], n[frontier.URLDelayed],
		n[frontier.URLDone], n[frontier.URLFailed], n[frontier.URLDropped], mc.pages,
	}
	if !slices.Equal(got, want) || s.Discovered != s.Accounted() {
		return fmt.Sprintf("crawl %d (%s %s): discovered queued leased delayed done failed dropped pages: got %v, model %v", c.No, c.State, c.Reason, got, want)
	}
	return ""
}

// before returns a URL of the same queue that should have come before u and still
// waits, "" for none. With full browsers, those that wait for them do not count.
func (mc *modelCrawl) before(u *modelURL, full bool) string {
	if u.loose {
		return ""
	}
	for _, o := range mc.urls {
		if o.loose || full && mc.mayWait(o) {
			continue
		}
		if o.host == u.host && o.state == frontier.URLQueued && o.lease == 0 && slices.Compare(o.order[:], u.order[:]) < 0 {
			return fmt.Sprintf("%s %v before %s %v", o.url, o.order, u.url, u.order)
		}
	}
	return ""
}

// hasWork reports whether a crawl has URLs in a host's queue.
func (mc *modelCrawl) hasWork(h frontier.HostID) bool {
	for _, u := range mc.urls {
		if u.host == h && u.state == frontier.URLQueued {
			return true
		}
	}
	return false
}

// impolite says which rule a fetch of a host at a time would break.
func (m *model) impolite(id frontier.HostID, now time.Time, active func(frontier.CrawlNo) bool) string {
	h := m.host(id)
	if now.Before(h.snooze) {
		return fmt.Sprintf("host is snoozed until %s", h.snooze.Sub(now))
	}
	for no, mc := range m.crawls {
		if !active(no) || !mc.hasWork(id) {
			continue
		}
		if len(h.inflight) >= max(mc.conf.Concurrency, 1) {
			return fmt.Sprintf("crawl %d allows %d fetches, %d run", mc.conf.No, mc.conf.Concurrency, len(h.inflight))
		}
		if gap := now.Sub(h.lastEnd); gap < mc.conf.Delay {
			return fmt.Sprintf("crawl %d wants %s between fetches, not %s", mc.conf.No, mc.conf.Delay, gap)
		}
	}
	return ""
}

// complete applies a completion by the rule and returns what it should do.
func (m *model) complete(c *frontier.Completion, now time.Time, maxVisits int) frontier.Outcome {
	mc := m.crawls[c.Ref.Crawl]
	u := mc.urls[c.Ref.Key]
	if u == nil || u.state != frontier.URLQueued || u.gen != c.Generation {
		return frontier.Duplicate
	}
	u.lease = 0
	mc.fetches++
	x := c.Exchange
	before := mc.jarOf(u.url).version
	if mc.conf.Cookies {
		mc.jarOf(u.url).set(c.SetCookies)
	}
	if mc.toBrowser(u, c) {
		m.added++
		u.gen++
		u.mode, u.loose = frontier.ModeBrowser, true
		u.again(mc.conf.Order, m.added)
		return frontier.Again
	}
	u.redirected, m.next = false, nil
	if c.Redirect != nil && x.Class == crawl.ClassNone {
		if mc.leads(u, c, before) {
			to := *c.Redirect
			to.Hop = u.hop(c.Ref.Key)
			if u.mode == frontier.ModeMedia {
				to.Mode = frontier.ModeMedia
			}
			m.next = &to
		} else if x.Status/100 != 2 {
			x.Class = crawl.ClassRedirectLoop
		}
	}
	if x.Class == crawl.ClassNone || x.Class.BurnsAttempt() {
		u.attempts++
	}
	switch {
	case x.Class == crawl.ClassNone:
		u.state = frontier.URLDone
		if x.Status/100 == 2 && u.mode != frontier.ModeMedia {
			mc.pages++
			mc.perHost[u.host]++
		}
	case x.Class.Retry() && u.attempts <= mc.conf.Retries && int(u.gen) < mc.conf.Retries+maxVisits:
		u.state = frontier.URLDelayed
		u.gen++
		return frontier.Delayed
	default:
		u.state = frontier.URLFailed
		return frontier.FailedURL
	}
	return frontier.Done
}

// sorted returns the keys of a map in order, so that a failing run repeats.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
