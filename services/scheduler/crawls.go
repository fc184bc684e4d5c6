package scheduler

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// entry is one revision of a crawl; it is never changed, only replaced.
type entry struct {
	no frontier.CrawlNo
	// meta is the crawl without what changes as it runs: state, reason, end, stats.
	meta *crawlv1.Crawl
	spec *spec.Compiled
	// sitemaps are those of the seeds, canonical.
	sitemaps map[string]struct{}
}

// seedMode is the mode of a seed: a sitemap is nothing for a browser.
func (e *entry) seedMode(u weburl.URL) frontier.Mode {
	if _, ok := e.sitemaps[u.String()]; ok {
		return frontier.ModePlain
	}
	return frontier.ModePage
}

// roster knows every crawl by number, id and name. It is safe for concurrent use.
type roster struct {
	mu   sync.RWMutex
	byNo map[frontier.CrawlNo]*entry
	byID map[string]*entry
}

func newRoster() *roster {
	return &roster{byNo: map[frontier.CrawlNo]*entry{}, byID: map[string]*entry{}}
}

func (r *roster) put(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byNo[e.no], r.byID[e.meta.GetId()] = e, e
}

// clear forgets all crawls: what a session that was refused made was never stored.
func (r *roster) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.byNo)
	clear(r.byID)
}

// remove forgets a crawl that was deleted.
func (r *roster) remove(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byNo, e.no)
	delete(r.byID, e.meta.GetId())
}

// number returns the crawl with a number, nil without one.
func (r *roster) number(no frontier.CrawlNo) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byNo[no]
}

// id returns the crawl with an id, nil without one.
func (r *roster) id(id string) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// find returns the crawl with an id, or the newest one with a name.
func (r *roster) find(name string) (*entry, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.byID[name]; e != nil {
		return e, nil
	}
	if e := r.newest(func(c *crawlv1.Crawl) bool { return c.GetSpec().GetName() == name }); e != nil {
		return e, nil
	}
	return nil, crawl.Errorf(crawl.NotFound, "no crawl has the id or name %q", name)
}

func (r *roster) newest(match func(*crawlv1.Crawl) bool) *entry {
	var found *entry
	for _, e := range r.byNo {
		if match(e.meta) && (found == nil || e.no > found.no) {
			found = e
		}
	}
	return found
}

// newestFirst returns at most n crawls with numbers below before (0: all).
func (r *roster) newestFirst(before frontier.CrawlNo, n int) []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var top frontier.CrawlNo
	for no := range r.byNo {
		top = max(top, no)
	}
	if before == 0 || before > top {
		before = top + 1
	}
	var out []*entry
	for no := before - 1; no > 0 && len(out) < n; no-- {
		if e := r.byNo[no]; e != nil {
			out = append(out, e)
		}
	}
	return out
}

// all returns every crawl, in no order.
func (r *roster) all() []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*entry, 0, len(r.byNo))
	for _, e := range r.byNo {
		out = append(out, e)
	}
	return out
}

// newEntry compiles a crawl.
func newEntry(no frontier.CrawlNo, meta *crawlv1.Crawl) (*entry, error) {
	compiled, err := spec.Compile(meta)
	if err != nil {
		return nil, err
	}
	e := &entry{no: no, meta: meta, spec: compiled}
	for _, raw := range compiled.Spec.GetSeeds().GetSitemaps() {
		if u, err := compiled.Canon.Parse(raw); err == nil {
			if e.sitemaps == nil {
				e.sitemaps = make(map[string]struct{})
			}
			e.sitemaps[u.String()] = struct{}{}
		}
	}
	return e, nil
}

// core returns the crawl as the frontier sees it; a crawl that it knows keeps its
// state.
func (e *entry) core(partitions uint32, state frontier.State) (frontier.Crawl, error) {
	meta, err := proto.Marshal(e.meta)
	if err != nil {
		return frontier.Crawl{}, fmt.Errorf("marshal crawl %s: %w", e.meta.GetId(), err)
	}
	s := e.spec.Spec
	p, l := s.GetPoliteness(), s.GetLimits()
	rec, traps := s.GetRecrawl(), s.GetTraps()
	return frontier.Crawl{
		No:           e.no,
		Home:         weburl.Partition(e.meta.GetId(), partitions),
		ID:           e.meta.GetId(),
		Revision:     e.meta.GetRevision(),
		State:        state,
		Order:        frontier.Order(s.GetOrder()),
		Delay:        p.GetDelay().AsDuration(),
		MaxDelay:     p.GetMaxDelay().AsDuration(),
		Jitter:       p.GetJitter(),
		Concurrency:  int(p.GetConcurrencyPerHost()),
		Adaptive:     p.GetAdaptive(),
		ObeyRobots:   p.GetObeyRobots(),
		Agent:        e.spec.Agent,
		Retries:      int(s.GetFetch().GetRetries()),
		MaxRedirects: int(s.GetFetch().GetMaxRedirects()),
		Cookies:      s.GetFetch().GetCookies(),
		Render:       renders(s.GetFetch().GetRender()),
		Limits: frontier.Limits{
			Pages:        l.GetPages(),
			Items:        l.GetItems(),
			Bytes:        uint64(max(l.GetBytes(), 0)),
			Errors:       l.GetErrors(),
			PagesPerHost: l.GetPagesPerHost(),
			Duration:     l.GetDuration().AsDuration(),
			URLs:         l.GetUrls(),
		},
		PerIP:     int(p.GetConcurrencyPerIp()),
		PerDomain: int(p.GetConcurrencyPerDomain()),
		Recrawl: frontier.Recrawl{
			Every:    rec.GetEvery().AsDuration(),
			Adaptive: rec.GetAdaptive(),
			Min:      rec.GetMin().AsDuration(),
			Max:      rec.GetMax().AsDuration(),
		},
		Traps:     frontier.Traps{PerHost: traps.GetUrlsPerHost(), PerPattern: traps.GetUrlsPerPattern()},
		CreatedAt: e.meta.GetCreatedAt().AsTime(),
		Weight:    int(s.GetWeight()),
		Meta:      meta,
	}, nil
}

// renders reads which pages go through a browser.
func renders(r crawlv1.Render) frontier.Render {
	switch r {
	case crawlv1.Render_RENDER_AUTO:
		return frontier.RenderAuto
	case crawlv1.Render_RENDER_ALWAYS:
		return frontier.RenderAlways
	default:
		return frontier.RenderNever
	}
}

// loadEntry makes an entry of what the frontier kept.
func loadEntry(c frontier.Crawl) (*entry, error) {
	meta := new(crawlv1.Crawl)
	if err := proto.Unmarshal(c.Meta, meta); err != nil {
		return nil, fmt.Errorf("read crawl %d: %w", c.No, err)
	}
	return newEntry(c.No, meta)
}

// exact reports whether the crawl has a limit that is never exceeded.
func (e *entry) exact() bool {
	l := e.spec.Spec.GetLimits()
	return l.GetPages() > 0 || l.GetPagesPerHost() > 0
}

// seedHosts returns e, or a new revision of it whose seeds' hosts include those
// of hosts that are missing. With a scope of its own a crawl keeps that scope, and its
// seeds' hosts matter only where credentials are for them.
func (e *entry) seedHosts(hosts []string) (*entry, error) {
	s := e.meta.GetSpec().GetScope()
	scoped := len(s.GetHosts())+len(s.GetDomains())+len(s.GetNets()) > 0
	if scoped && !spec.ForSeeds(e.meta.GetSpec().GetFetch()) {
		return e, nil
	}
	have := make(map[string]bool, len(e.meta.GetSeedHosts()))
	for _, h := range e.meta.GetSeedHosts() {
		have[h] = true
	}
	var missing []string
	for _, h := range hosts {
		if !have[h] {
			have[h] = true
			missing = append(missing, h)
		}
	}
	if len(missing) == 0 {
		return e, nil
	}
	if len(have) > maxSeedHosts && scoped {
		return nil, crawl.Errorf(crawl.Invalid,
			"more than %d hosts among the seeds, which fetch has credentials for; say which hosts they are for", maxSeedHosts)
	}
	if len(have) > maxSeedHosts {
		return nil, crawl.Errorf(crawl.Invalid,
			"more than %d hosts among the seeds; say with scope.hosts, scope.domains or scope.nets what belongs to the crawl", maxSeedHosts)
	}
	meta := proto.CloneOf(e.meta)
	meta.SeedHosts = append(meta.SeedHosts, missing...)
	meta.Revision++
	return newEntry(e.no, meta)
}

// maxSeedHosts bounds a crawl's default scope, and whom its credentials are for, which travels to every service.
const maxSeedHosts = 10_000

// view returns the crawl as clients see it.
func (e *entry) view(c frontier.Crawl, s frontier.Stats) *crawlv1.Crawl {
	out := proto.CloneOf(e.meta)
	out.State = crawlv1.CrawlState(c.State)
	out.Reason = c.Reason
	out.EndedAt = timestamp(c.EndedAt)
	out.Version, out.Closed = c.Version, c.Closed
	out.Stats = statsToProto(s)
	return out
}

// defaultName names a crawl after the host of its first seed.
func defaultName(host string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		default:
			return '-'
		}
	}, host)
	name = strings.Trim(name[:min(len(name), 63)], "-")
	if name == "" {
		return "crawl"
	}
	return name
}
