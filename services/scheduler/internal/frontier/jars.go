package frontier

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// jarKey names the cookies of a crawl and site.
type jarKey struct {
	crawl CrawlNo
	site  SiteID
}

// siteJar is the cookies of a crawl and site in memory, as long as a queue of the site
// is that needs them. Crawls and partitions without cookies have none.
//
//	(nil) ──turn, cookies set──► wanted ──Wants──► asked ──Fill──► loaded
//	  └── nothing of the partition is stored ──────────────────────► loaded
type siteJar struct {
	jarKey
	part    uint32
	queues  []*queue
	jar     cookie.Jar
	version uint32 // 0: the store has none
	loading loading
	loaded  bool
	dirty   bool
}

// busy reports whether the store has to answer first; it is false for nil.
func (j *siteJar) busy() bool { return j != nil && j.loading != loadIdle }

// row is the jar as it is stored.
func (j *siteJar) row() JarRow {
	return JarRow{Partition: j.part, Crawl: j.crawl, Site: j.site, Version: j.version, Cookies: j.jar.Encode()}
}

// bindJar gives a queue the cookies of its site, false when it has to do without: its
// host has never had a URL.
func (f *Frontier) bindJar(q *queue) bool {
	if q.jar != nil {
		return true
	}
	if q.h.site == 0 {
		u, ok := originURL(q.h.origin)
		if !ok {
			return false
		}
		q.h.site = u.SiteID()
	}
	k := jarKey{q.c.No, q.h.site}
	j := f.jars[k]
	if j == nil {
		j = &siteJar{jarKey: k, part: q.h.part, loaded: q.s.jars == 0}
		f.jars[k] = j
	}
	j.queues = append(j.queues, q)
	q.jar = j
	return true
}

// unbindJar takes a queue from its site's cookies.
func (f *Frontier) unbindJar(q *queue) {
	j := q.jar
	if j == nil {
		return
	}
	q.jar = nil
	j.queues = slices.DeleteFunc(j.queues, func(o *queue) bool { return o == q })
	if len(j.queues) == 0 {
		delete(f.jars, j.jarKey)
	}
}

// jarReady reports whether the cookies of a queue's site are known. Otherwise they are
// asked for.
func (f *Frontier) jarReady(q *queue) bool {
	if q.jar == nil && q.s.jars == 0 || !f.bindJar(q) || q.jar.loaded {
		return true
	}
	if q.jar.loading == loadIdle {
		q.jar.loading = loadWanted
		f.wants = append(f.wants, q)
		for _, o := range q.jar.queues {
			f.place(o)
		}
	}
	return false
}

// WantJar returns what the store has to answer before a visit of a URL is completed
// that set cookies or redirects, or before a redirect leads to the URL; false when
// nothing is missing. Its host has been admitted. Answer with Fill.
func (f *Frontier) WantJar(ref Ref) (Want, bool) {
	q := f.queueOf(ref.Host, ref.Crawl)
	if q == nil || !q.c.Cookies || q.jar == nil && q.s.jars == 0 || !f.bindJar(q) || q.jar.loaded {
		return Want{}, false
	}
	return Want{HostRef: q.ref(), Jar: true, Site: q.jar.site}, true
}

// fillJar takes the cookies that a Want asked for.
func (f *Frontier) fillJar(q *queue, r *JarRow) {
	j := q.jar
	if j == nil {
		return
	}
	j.loading = loadIdle
	if !j.loaded {
		j.loaded, j.version = true, r.Version
		// What cannot be read is lost: the site sets its cookies again.
		j.jar, _ = cookie.Decode(r.Cookies)
	}
	for _, o := range j.queues {
		f.place(o)
	}
}

// takeCookies merges the cookies that a visit has set, and notes the version that the
// visit was sent.
func (f *Frontier) takeCookies(v *visit) {
	q := v.q
	if !q.c.Cookies || len(v.SetCookies) == 0 && q.jar == nil || !f.bindJar(q) || !q.jar.loaded {
		return
	}
	j := q.jar
	v.rec.Jar = j.version
	jar, effect := j.jar.Merge(v.item.URL, v.SetCookies, f.clock())
	if effect == cookie.Nothing {
		return
	}
	if j.version == 0 {
		q.s.jars++
		f.touch(q.s)
	}
	if effect == cookie.Changed {
		j.version++
	}
	j.jar = jar
	if !j.dirty {
		j.dirty = true
		f.dirtyJ = append(f.dirtyJ, j)
	}
}

// cookiesFor returns the cookies that go with a visit: those that its request gets,
// or all of the site for a browser, which makes requests of its own.
func (f *Frontier) cookiesFor(q *queue, it *Item, p Pool) []cookie.Cookie {
	if q.jar == nil || q.jar.jar.Len() == 0 || !q.c.Cookies {
		return nil
	}
	all := q.jar.jar.Cookies(f.clock())
	if p == PoolBrowser {
		return all
	}
	return cookie.Matching(all, it.URL, f.clock())
}

// clock is the wall clock, as far as the caller has told.
func (f *Frontier) clock() time.Time { return f.start.Add(time.Duration(f.now)).Round(0) }

// hopFrom is the hop of what a visited URL redirects to.
func hopFrom(u weburl.URL, k Key, h *Hop) *Hop {
	return &Hop{Via: u.String(), Chain: chainOf(k, h)}
}

// chainOf names the chain of redirects that a URL belongs to.
func chainOf(k Key, h *Hop) uint64 {
	if h != nil {
		return h.Chain
	}
	return binary.BigEndian.Uint64(k[:])
}

// backIn reports whether a redirect that leads to a known URL may send it round again:
// its own last answer was a redirect of the same chain, an earlier one.
func backIn(c *crawlState, cand *Candidate, rec *Record) bool {
	return c.Cookies && cand.Hop != nil && rec.Redirected && rec.Class == crawl.ClassNone &&
		(rec.State == URLDone || rec.State == URLDelayed) &&
		chainOf(cand.Ref.Key, rec.Hop) == cand.Hop.Chain &&
		cand.Redirects > rec.Redirects && cand.Redirects <= c.MaxRedirects
}

// goBack visits the known target of a redirect again when its last answer was a
// redirect too and its site's cookies have changed since: sites that want cookies send
// their visitors in such a circle. It costs no attempt; the chain's length bounds it,
// and a message that comes twice finds it as long as it is.
func (f *Frontier) goBack(c *crawlState, p *partition, cand *Candidate) {
	rec := *cand.Was
	if i, ok := f.urlIdx[cand.Ref]; ok {
		rec = f.out.URLs[i].Record
	}
	if !backIn(c, cand, &rec) {
		return
	}
	if !f.Owns(cand.Ref.Partition) {
		f.send(p, c, cand) // its owner knows the cookies
		return
	}
	q := f.queueFor(c, cand)
	if !f.jarReady(q) || q.jar == nil || q.jar.version == rec.Jar {
		return
	}
	s := &q.s.stats
	if rec.State == URLDelayed { // for a recrawl, whose generation it takes
		f.out.Due = append(f.out.Due, DueRow{Ref: cand.Ref, At: rec.NotBefore, Delete: true})
		s.Delayed--
	} else {
		rec.Generation++
		s.Done--
	}
	s.Queued++
	f.touch(q.s)
	f.queueAgain(q, cand.Ref, Item{
		URL: cand.URL, Key: cand.Ref.Key, QKey: QKey{Priority: rec.Priority}, Depth: rec.Depth,
		Attempts: max(rec.Attempts-1, 0), Generation: rec.Generation,
		Redirects: cand.Redirects, Hop: cand.Hop, Mode: rec.Mode, Visit: rec.Visit,
	})
}

// queueAgain puts a URL that was visited before all others of its host and priority.
func (f *Frontier) queueAgain(q *queue, ref Ref, it Item) {
	it.Seq = f.newSeq(q.c.Order, it.Depth, true)
	f.writeURL(ref, Record{
		State: URLQueued, QKey: it.QKey, Depth: it.Depth, Attempts: it.Attempts, Generation: it.Generation,
		Redirects: it.Redirects, Hop: it.Hop, Mode: it.Mode, Visit: it.Visit,
	})
	f.putItem(q, ref, it)
}
