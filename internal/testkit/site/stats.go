package site

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what clients did since the start or the last reset.
type Stats struct {
	// Hosts by number.
	Hosts []HostStats `json:"hosts"`
}

// HostStats is what clients did to one host.
type HostStats struct {
	// Host is host:port.
	Host string `json:"host"`
	// Requests by path and query, robots.txt included.
	Requests map[string]int `json:"requests"`
	// Order of the requests' paths, robots.txt included, at most orderCap.
	Order []string `json:"order"`
	// Sequence has, for each of Order, its number among the requests to all hosts.
	Sequence []uint64 `json:"sequence"`
	// Statuses counts answers by status.
	Statuses map[int]int `json:"statuses"`
	// UserAgents counts requests by User-Agent.
	UserAgents map[string]int `json:"user_agents"`
	// Throttled counts answers with Retry-After, Early the requests that came before
	// the time that the host had asked for last.
	Throttled int `json:"throttled"`
	Early     int `json:"early"`
	// Bytes of bodies sent.
	Bytes int64 `json:"bytes"`
	// First and Last are when the first request came and the last answer went, Busy the
	// time that at least one request was being answered.
	First time.Time     `json:"first"`
	Last  time.Time     `json:"last"`
	Busy  time.Duration `json:"busy"`
	// All is the pace of every request, Pages that without robots.txt.
	All Pace `json:"all"`
	// Pages is the pace of the requests other than robots.txt.
	Pages Pace `json:"pages"`
}

// Pace is how hard a host was pressed.
type Pace struct {
	// MaxConcurrent is the most requests that were answered at one time.
	MaxConcurrent int `json:"max_concurrent"`
	// MinGap is the least time between the end of one exchange and the start of the
	// next; 0 when two overlapped. It means nothing when Gaps is 0.
	MinGap time.Duration `json:"min_gap"`
	// Gaps is how many gaps were measured.
	Gaps int `json:"gaps"`
	// Overlaps is how many exchanges began while another was running.
	Overlaps int `json:"overlaps"`
}

// Total is the number of requests to the host, robots.txt left out.
func (h HostStats) Total() int {
	n := 0
	for path, count := range h.Requests {
		if path != robotsPath {
			n += count
		}
	}
	return n
}

// Requests sums the requests of all hosts by URL, robots.txt left out.
func (s Stats) Requests() map[string]int {
	out := make(map[string]int)
	for _, h := range s.Hosts {
		for path, n := range h.Requests {
			if path != robotsPath {
				out["http://"+h.Host+path] += n
			}
		}
	}
	return out
}

// Total is the number of requests to all hosts, robots.txt left out.
func (s Stats) Total() int {
	n := 0
	for _, h := range s.Hosts {
		n += h.Total()
	}
	return n
}

// orderCap bounds the memory of a host's order; tests that look at the order are
// far smaller.
const orderCap = 200_000

// account keeps the stats of one host.
type account struct {
	mu    sync.Mutex
	stats HostStats
	all   pacer
	pages pacer
	asked time.Time // not to be visited before
	busy  time.Time // since when a request is being answered
	// requests counts those to all hosts of the site.
	requests *atomic.Uint64
}

// pacer measures one Pace.
type pacer struct {
	pace    Pace
	running int
	ended   time.Time
}

func (p *pacer) begin(now time.Time) {
	switch {
	case p.running > 0:
		p.pace.Overlaps++
		p.pace.MinGap = 0
		p.pace.Gaps++
	case !p.ended.IsZero():
		gap := now.Sub(p.ended)
		if p.pace.Gaps == 0 || gap < p.pace.MinGap {
			p.pace.MinGap = gap
		}
		p.pace.Gaps++
	}
	p.running++
	p.pace.MaxConcurrent = max(p.pace.MaxConcurrent, p.running)
}

func (p *pacer) end(now time.Time) {
	p.running--
	p.ended = now
}

func newAccount(host string, requests *atomic.Uint64) *account {
	a := &account{stats: HostStats{Host: host}, requests: requests}
	a.reset()
	return a
}

// reset forgets everything but the exchanges that are running.
func (a *account) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats = HostStats{
		Host: a.stats.Host, Requests: map[string]int{},
		Statuses: map[int]int{}, UserAgents: map[string]int{},
	}
	a.all = pacer{running: a.all.running}
	a.pages = pacer{running: a.pages.running}
}

// begin notes a request and returns how often its path was asked for before.
func (a *account) begin(path, agent string, now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.stats.Requests[path]
	a.stats.Requests[path]++
	a.stats.UserAgents[agent]++
	if now.Before(a.asked) {
		a.stats.Early++
	}
	if len(a.stats.Order) < orderCap {
		a.stats.Order = append(a.stats.Order, path)
		a.stats.Sequence = append(a.stats.Sequence, a.requests.Add(1))
	}
	if a.stats.First.IsZero() {
		a.stats.First = now
	}
	if a.all.running == 0 {
		a.busy = now
	}
	a.all.begin(now)
	if path != robotsPath {
		a.pages.begin(now)
	}
	return before
}

// ask notes that the host asks to be left alone until a time.
func (a *account) ask(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Throttled++
	if until.After(a.asked) {
		a.asked = until
	}
}

func (a *account) end(path string, status, n int, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Statuses[status]++
	a.stats.Bytes += int64(n)
	a.all.end(now)
	a.stats.Last = now
	if a.all.running == 0 {
		a.stats.Busy += now.Sub(a.busy)
	}
	if path != robotsPath {
		a.pages.end(now)
	}
}

func (a *account) snapshot() HostStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.stats
	out.Requests = maps.Clone(a.stats.Requests)
	out.Statuses = maps.Clone(a.stats.Statuses)
	out.UserAgents = maps.Clone(a.stats.UserAgents)
	out.Order = slices.Clone(a.stats.Order)
	out.Sequence = slices.Clone(a.stats.Sequence)
	out.All = a.all.pace
	out.Pages = a.pages.pace
	return out
}
