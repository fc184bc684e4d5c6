package frontier_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestModel does random things to a frontier over a real store, crashes included,
// and compares it with the naive model after each.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, t)
		rt.Repeat(map[string]func(*rapid.T){
			"":         w.check,
			"crawl":    w.act((*world).actCrawl),
			"add":      w.act((*world).actAdd),
			"next":     w.act((*world).actNext),
			"next2":    w.act((*world).actNext),
			"report":   w.act((*world).actReport),
			"complete": w.act((*world).actComplete),
			"complet2": w.act((*world).actComplete),
			"again":    w.act((*world).actAgain),
			"return":   w.act((*world).actReturn),
			"time":     w.act((*world).actTime),
			"expire":   w.act((*world).actExpire),
			"state":    w.act((*world).actState),
			"browsers": w.act((*world).actBrowsers),
			"flush":    w.act((*world).actFlush),
			"restart":  w.act((*world).actRestart),
		})
		w.t = rt
		w.finish()
	})
}

func (w *world) act(f func(*world)) func(*rapid.T) {
	return func(t *rapid.T) { w.t = t; f(w) }
}

func (w *world) actCrawl() {
	if len(w.m.crawls) < 3 {
		w.putCrawl(0)
	}
}

// putCrawl draws a crawl whose home is a partition.
func (w *world) putCrawl(home uint32) {
	draw := func(name string, vs ...int) int { return rapid.SampledFrom(vs).Draw(w.t, name) }
	c := frontier.Crawl{
		No: frontier.CrawlNo(len(w.m.crawls) + 1), ID: string(rune('a' + len(w.m.crawls))), Home: home, State: frontier.Running,
		Order:       frontier.Order(draw("order", 1, 2, 3)),
		Delay:       time.Duration(draw("delay", 0, 0, 1, 3)) * time.Second,
		MaxDelay:    time.Minute,
		Concurrency: draw("concurrency", 1, 1, 2, 5),
		Adaptive:    draw("adaptive", 0, 1) == 1,
		ObeyRobots:  draw("robots", 0, 1) == 1,
		Agent:       "weir", Retries: draw("retries", 0, 2), MaxRedirects: 3, CreatedAt: w.now, Weight: draw("weight", 1, 3),
		Cookies: draw("cookies", 0, 1, 1) == 1, Render: frontier.Render(draw("render", 0, 0, 1, 2)),
		Limits: frontier.Limits{Pages: uint64(draw("pages", 0, 0, 5)), PagesPerHost: uint64(draw("perHost", 0, 0, 2))},
	}
	w.f.PutCrawl(w.now, c)
	w.m.crawls[c.No] = &modelCrawl{conf: c, state: c.State, urls: map[frontier.Key]*modelURL{}, perHost: map[frontier.HostID]uint64{}, jars: map[string]*modelJar{}}
}

// someCrawl draws a crawl, 0 without one.
func (w *world) someCrawl() frontier.CrawlNo {
	if len(w.m.crawls) == 0 {
		return 0
	}
	return rapid.SampledFrom(sorted(w.m.crawls)).Draw(w.t, "crawl")
}

func (w *world) actAdd() {
	no := w.someCrawl()
	if no == 0 {
		return
	}
	var cs []frontier.Candidate
	var refs []frontier.Ref
	want := 0
	for range rapid.IntRange(1, 12).Draw(w.t, "n") {
		c := w.candidate(no)
		cs, refs = append(cs, c), append(refs, c.Ref)
		if w.m.add(no, c) {
			want++
		}
	}
	if got := w.f.Add(w.now, no, cs, w.lookups(refs)); got != want {
		w.t.Fatalf("added %d, model %d", got, want)
	}
}

func (w *world) actNext() {
	w.flush()
	w.next(rapid.IntRange(1, 6).Draw(w.t, "max"))
	for _, want := range w.f.Wants() {
		fill, err := w.store.Window(w.tb.Context(), want)
		w.must(err)
		if rapid.IntRange(0, 3).Draw(w.t, "late") == 0 { // things happen between question and answer
			w.actAdd()
			w.actComplete()
			w.actReturn()
		}
		w.f.Fill(w.now, want, fill)
	}
	w.unpark()
	w.next(2)
}

func (w *world) actReport() {
	if len(w.out) == 0 {
		return
	}
	l := rapid.SampledFrom(w.out).Draw(w.t, "lease")
	x := w.exchange()
	w.ended(l, x)
	w.f.Report(w.now, l.ID, x)
}

func (w *world) actComplete() {
	if l, ok := w.taken(); ok {
		w.completeOne(l)
	}
}

// completeOne delivers the result of a lease.
func (w *world) completeOne(l frontier.Lease) {
	if l.Robots {
		w.completeRobots(l, w.robotsExchange())
		return
	}
	x := w.exchange()
	c := frontier.Completion{
		Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation, Exchange: x, EndedAt: w.now, Bytes: 10,
		SetCookies: w.cookies(l.Item.URL), Rendered: l.Render,
	}
	if x.Status == 200 {
		c.WantsRender = !l.Render && rapid.IntRange(0, 2).Draw(w.t, "wants") > 0
		for range rapid.IntRange(0, 4).Draw(w.t, "links") {
			c.Links = append(c.Links, w.candidate(l.Ref.Crawl))
		}
	}
	if x.Status == 301 || x.Status == 200 && rapid.IntRange(0, 4).Draw(w.t, "refresh") == 0 {
		c.Redirect = w.redirect(l)
	}
	w.complete(l, c)
	w.done = append(w.done, c)
}

func (w *world) completeRobots(l frontier.Lease, x frontier.Exchange) {
	w.ended(l, x)
	w.f.CompleteRobots(w.now, l.ID, x, []byte("User-agent: *\nDisallow: /private\n"), weburl.URL{})
}

// actAgain delivers a completion once more.
func (w *world) actAgain() {
	if len(w.done) == 0 {
		return
	}
	c := rapid.SampledFrom(w.done).Draw(w.t, "completion")
	if w.m.crawls[c.Ref.Crawl] == nil {
		return
	}
	w.complete(frontier.Lease{ID: c.Lease, Ref: c.Ref}, c)
}

func (w *world) actReturn() {
	l, ok := w.taken()
	if !ok {
		return
	}
	w.ended(l, frontier.Exchange{})
	if mc := w.m.crawls[l.Ref.Crawl]; mc != nil && !l.Robots {
		if u := mc.urls[l.Ref.Key]; u != nil && u.lease == l.ID {
			u.lease = 0
		}
	}
	w.f.Return(w.now, l.ID)
}

func (w *world) actTime() {
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 500, 1000, 3000, 20_000}).Draw(w.t, "ms")) * time.Millisecond)
	w.wake()
}

// wake queues what is due.
func (w *world) wake() {
	due := w.f.DueAt()
	if due.IsZero() || due.After(w.now) {
		return
	}
	w.flush()
	items, next, err := w.store.Due(w.tb.Context(), w.now, 3)
	w.must(err)
	var refs []frontier.Ref
	for _, d := range items {
		refs = append(refs, d.Ref)
		u := w.m.crawls[d.Ref.Crawl].urls[d.Ref.Key]
		if u.state != frontier.URLDelayed {
			w.t.Fatalf("due %s is %v", u.url, u.state)
		}
		u.state = frontier.URLQueued
	}
	w.lookups(refs)
	w.f.Wake(w.now, items, next)
}

// actExpire lets leases run out; some are extended, the others returned.
func (w *world) actExpire() {
	w.now = w.now.Add(time.Minute)
	for _, id := range w.f.Expired(w.now) {
		if rapid.Bool().Draw(w.t, "extend") || w.limited() && w.delivered(id) {
			w.f.Extend(w.now, id)
			continue
		}
		// Lost: no fetcher has it. Its completion may still come: a late result.
		for _, h := range w.m.hosts {
			if _, ok := h.inflight[id]; ok {
				delete(h.inflight, id)
				h.lastEnd = w.now
			}
		}
		for _, mc := range w.m.crawls {
			for _, u := range mc.urls {
				if u.lease == id {
					u.lease = 0
				}
			}
		}
		if rapid.Bool().Draw(w.t, "reallyLost") || w.limited() {
			w.out = deleteLease(w.out, id)
		}
		w.f.Return(w.now, id)
	}
}

// delivered reports whether a result of a lease is among those that may come again:
// it would still be on the bus, so nobody would call its lease lost.
func (w *world) delivered(id frontier.LeaseID) bool {
	return slices.ContainsFunc(w.done, func(c frontier.Completion) bool { return c.Lease == id })
}

// limited reports whether a crawl has a limit of pages: a lease that was returned
// as lost must be lost then, or the limit could not be kept by anybody.
func (w *world) limited() bool {
	for _, mc := range w.m.crawls {
		if mc.conf.Limits.Pages > 0 || mc.conf.Limits.PagesPerHost > 0 {
			return true
		}
	}
	return false
}

func deleteLease(ls []frontier.Lease, id frontier.LeaseID) []frontier.Lease {
	for i := range ls {
		if ls[i].ID == id {
			return append(ls[:i:i], ls[i+1:]...)
		}
	}
	return ls
}

func (w *world) actState() {
	no := w.someCrawl()
	if no == 0 {
		return
	}
	s := rapid.SampledFrom([]frontier.State{frontier.Running, frontier.Running, frontier.Paused, frontier.Cancelled, frontier.Closing}).Draw(w.t, "state")
	err := w.f.SetState(w.now, no, s, "")
	if err != nil && crawl.KindOf(err) != crawl.Precondition {
		w.t.Fatal(err)
	}
	if err == nil && s == frontier.Cancelled {
		for _, u := range w.m.crawls[no].urls {
			u.lease = 0
		}
	}
}

func (w *world) actFlush() { w.flush() }

// actBrowsers lets browsers come and go.
func (w *world) actBrowsers() { w.browsers(rapid.IntRange(0, 3).Draw(w.t, "window")) }

func (w *world) browsers(n int) {
	w.cfg.MaxUnreported[frontier.PoolBrowser] = n
	w.f.SetWindow(frontier.PoolBrowser, n)
}

func (w *world) actRestart() {
	power := rapid.Bool().Draw(w.t, "power")
	if !power || rapid.Bool().Draw(w.t, "flush") { // without, what was not written is lost
		w.flush()
	}
	w.crash(power)
}

// finish lets every crawl run to its end: nothing may be lost on the way.
func (w *world) finish() {
	w.browsers(2)
	for _, no := range w.f.Crawls() {
		_ = w.f.SetState(w.now, no, frontier.Running, "")
		_ = w.f.SetState(w.now, no, frontier.Closing, "")
	}
	w.check(w.t)
	for round := range 20_000 {
		w.flush()
		w.next(100)
		for _, want := range w.f.Wants() {
			fill, err := w.store.Window(w.tb.Context(), want)
			w.must(err)
			w.f.Fill(w.now, want, fill)
		}
		for len(w.out) > 0 {
			l := w.out[0]
			w.out = w.out[1:]
			if l.Robots {
				w.completeRobots(l, frontier.Exchange{Status: 200})
				continue
			}
			w.complete(l, frontier.Completion{
				Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation,
				Exchange: frontier.Exchange{Status: 200}, EndedAt: w.now, Rendered: l.Render,
			})
		}
		w.flush()
		w.check(w.t)
		w.unpark()
		at := w.f.WakeAt(w.now)
		if at.IsZero() {
			break
		}
		if at.After(w.now) {
			w.now = at
		}
		w.wake()
		for _, id := range w.f.Expired(w.now) {
			w.lost(id)
		}
		if round == 19_999 {
			w.t.Fatal("does not come to an end")
		}
	}
	for _, no := range w.f.Crawls() {
		c, s, _ := w.f.Crawl(no)
		if c.State.Active() {
			w.t.Fatalf("crawl %d is still %s: %+v, leases %+v", no, c.State, s, w.f.Leases())
		}
	}
	w.must(w.store.Close())
}

// lost returns a lease that nobody has.
func (w *world) lost(id frontier.LeaseID) {
	for _, h := range w.m.hosts {
		delete(h.inflight, id)
	}
	for _, mc := range w.m.crawls {
		for _, u := range mc.urls {
			if u.lease == id {
				u.lease = 0
			}
		}
	}
	w.f.Return(w.now, id)
}
