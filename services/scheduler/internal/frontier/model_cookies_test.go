package frontier_test

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// modelJar is the cookies of a crawl and site: names and values, for all its hosts.
type modelJar struct {
	values  map[string]string
	version int
}

func (j *modelJar) clone() *modelJar {
	return &modelJar{values: maps.Clone(j.values), version: j.version}
}

// header is what a request gets, sorted.
func (j *modelJar) header() string {
	var out []string
	for _, name := range sorted(j.values) {
		out = append(out, name+"="+j.values[name])
	}
	return strings.Join(out, "; ")
}

// jarOf returns the cookies of a URL's site.
func (mc *modelCrawl) jarOf(url string) *modelJar {
	u, _ := weburl.FromCanonical(url)
	j := mc.jars[u.Site()]
	if j == nil {
		j = &modelJar{values: map[string]string{}}
		mc.jars[u.Site()] = j
	}
	return j
}

// set applies what a response set.
func (j *modelJar) set(cookies []cookie.Cookie) {
	changed := false
	for _, c := range cookies {
		old, had := j.values[c.Name]
		if !c.Expires.IsZero() { // it is in the past
			delete(j.values, c.Name)
			changed = changed || had
			continue
		}
		j.values[c.Name] = c.Value
		changed = changed || !had || old != c.Value
	}
	if changed {
		j.version++
	}
}

// cookies draws what a response from a URL sets.
func (w *world) cookies(u weburl.URL) []cookie.Cookie {
	var out []cookie.Cookie
	for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 2}).Draw(w.t, "cookies") {
		h := rapid.SampledFrom([]string{"a=1", "a=2", "b=1", "a=; max-age=0", "b=; max-age=0"}).Draw(w.t, "cookie")
		c, err := cookie.Parse(h+"; path=/; domain="+u.Site(), u, w.now)
		w.must(err)
		out = append(out, c)
	}
	return out
}

// redirect draws where a redirect of a lease leads: to itself, to where it came from, to
// what led elsewhere before, or anywhere.
func (w *world) redirect(l frontier.Lease) *frontier.Candidate {
	r := w.candidate(l.Ref.Crawl)
	if r.Mode == frontier.ModeMedia {
		r.Mode = frontier.ModePage // that is decided by what redirects
	}
	to := ""
	switch n := rapid.IntRange(0, 5).Draw(w.t, "to"); {
	case n == 0:
		to = l.Item.URL.String()
	case n <= 2 && l.Item.Hop != nil:
		to = l.Item.Hop.Via
	case n <= 4:
		to = w.redirected(l.Ref.Crawl)
	}
	if to != "" {
		u, err := weburl.FromCanonical(to)
		w.must(err)
		r.URL, r.Ref = u, w.f.Ref(l.Ref.Crawl, u)
	}
	r.Next, r.Redirects = true, l.Item.Redirects+1
	return &r
}

// redirected draws a URL whose last answer was a redirect, "" without one.
func (w *world) redirected(no frontier.CrawlNo) string {
	var urls []string
	for _, u := range w.m.crawls[no].urls {
		if u.redirected && u.state == frontier.URLDone {
			urls = append(urls, u.url)
		}
	}
	if len(urls) == 0 {
		return ""
	}
	slices.Sort(urls)
	return rapid.SampledFrom(urls).Draw(w.t, "back")
}

// leads decides whether a redirect is followed, after its cookies were set.
func (mc *modelCrawl) leads(u *modelURL, c *frontier.Completion, before int) bool {
	r := c.Redirect
	u.redirected, u.jar = mc.conf.Cookies, before
	return r.Redirects <= mc.conf.MaxRedirects &&
		(r.Ref.Key != c.Ref.Key || mc.conf.Cookies && mc.jarOf(u.url).version != before)
}

// follow queues the target of a redirect, for the first time or again.
func (m *model) follow(no frontier.CrawlNo, r frontier.Candidate) {
	if m.add(no, r) {
		return
	}
	mc := m.crawls[no]
	u := mc.urls[r.Ref.Key]
	chain := u.chain
	if chain == 0 {
		chain = chainOf(r.Ref.Key)
	}
	if !mc.conf.Cookies || r.Hop == nil || u.state != frontier.URLDone || !u.redirected || chain != r.Hop.Chain ||
		r.Redirects <= u.redirects || r.Redirects > mc.conf.MaxRedirects || mc.jarOf(u.url).version == u.jar {
		return
	}
	m.added++
	u.state = frontier.URLQueued
	u.gen++
	u.attempts = max(u.attempts-1, 0)
	u.redirects, u.chain, u.via = r.Redirects, r.Hop.Chain, r.Hop.Via
	u.redirected = false
	u.again(mc.conf.Order, m.added)
}

// again puts a URL before the others of its priority.
func (u *modelURL) again(o frontier.Order, added int) {
	u.order[1], u.order[3] = 0, added
	if o == frontier.DepthFirst {
		u.order[3] = -added
	}
}

func chainOf(k frontier.Key) (c uint64) {
	for _, b := range k[:8] {
		c = c<<8 | uint64(b)
	}
	return c
}

// hop is what the model says of a redirect from u.
func (u *modelURL) hop(k frontier.Key) *frontier.Hop {
	h := &frontier.Hop{Via: u.url, Chain: u.chain}
	if h.Chain == 0 {
		h.Chain = chainOf(k)
	}
	return h
}

// checkLease checks what a lease brings besides its URL.
func (w *world) checkLease(l frontier.Lease, mc *modelCrawl, u *modelURL) {
	via := ""
	if l.Item.Hop != nil {
		via = l.Item.Hop.Via
	}
	if via != u.via || l.Item.Redirects != u.redirects || l.Item.Mode != u.mode {
		w.t.Fatalf("leased %+v, via %q, model has %+v", l.Item, via, u)
	}
	got := strings.Split(cookie.Header(l.Cookies, l.Item.URL, w.now), "; ")
	slices.Sort(got)
	want := ""
	if mc.conf.Cookies {
		want = mc.jarOf(u.url).header()
	}
	if g := strings.Join(got, "; "); g != want {
		w.t.Fatalf("leased %s with cookies %q, model has %q", u.url, g, want)
	}
	always, never := mc.conf.Render == frontier.RenderAlways, mc.conf.Render == frontier.RenderNever
	switch page := u.mode == frontier.ModePage; {
	case l.Render && (u.mode == frontier.ModeMedia || never), !l.Render && (u.mode == frontier.ModeBrowser || page && always):
		w.t.Fatalf("leased %s for a browser: %v; %+v", u.url, l.Render, mc.conf)
	}
}

// browserFull reports whether the pool of browsers may have had no room.
func (w *world) browserFull() bool {
	return w.f.Unreported(frontier.PoolBrowser) >= w.cfg.MaxUnreported[frontier.PoolBrowser]
}

// mayWait reports whether a URL may wait for a browser while others have their turn.
func (mc *modelCrawl) mayWait(u *modelURL) bool {
	return u.loose || u.mode == frontier.ModeBrowser || u.mode == frontier.ModePage && mc.conf.Render != frontier.RenderNever
}

// lookBack reads what redirects and cookies need, as the loop does.
func (w *world) lookBack(refs []frontier.Ref, targets []*frontier.Candidate) {
	for _, to := range targets {
		recs := make([]frontier.Record, 1)
		w.must(w.store.Lookup(w.tb.Context(), []frontier.Ref{to.Ref}, recs))
		to.Was = &recs[0]
		refs = append(refs, to.Ref)
	}
	for _, r := range refs {
		if want, ok := w.f.WantJar(r); ok {
			fill, err := w.store.Window(w.tb.Context(), want)
			w.must(err)
			w.f.Fill(w.now, want, fill)
		}
	}
}

// toBrowser reports whether a visit has to be made again in a browser.
func (mc *modelCrawl) toBrowser(u *modelURL, c *frontier.Completion) bool {
	return mc.conf.Render == frontier.RenderAuto && u.mode == frontier.ModePage && !c.Rendered && c.WantsRender && c.Exchange.Class == crawl.ClassNone
}
