package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// NeedsRecord reports whether Complete needs the URL's record: the lease is not
// known, or came back from the store.
func (f *Frontier) NeedsRecord(ref Ref, id LeaseID) bool {
	l := f.leases[id]
	return l == nil || l.void || l.robots || l.item.Key != ref.Key || l.item.URL.IsZero()
}

// visit is a completion that was accepted.
type visit struct {
	*Completion
	q    *queue
	ref  Ref
	item Item
	rec  Record     // what will be written
	next *Candidate // where it leads, if that is to be followed
}

// Complete takes the result of a visit. rec is the URL's record, which may be
// zero when NeedsRecord said no. It is accepted when the URL is queued or leased
// and its generation is that of the visit, whatever the lease: a result that comes
// after its lease has expired is as good as any, and the first one counts.
func (f *Frontier) Complete(now time.Time, c Completion, rec Record) Outcome {
	t := f.at(now)
	own := f.leases[c.Lease]
	if own != nil && (own.robots || own.item.Key != c.Ref.Key || own.q.c.No != c.Ref.Crawl || own.q.h.id != c.Ref.Host) {
		own = nil
	}
	if own != nil {
		f.report(own, c.Exchange, t)
		defer f.placeAll(own.q.h)
		if own.void {
			f.removeLease(own) // its result is here: it holds nothing any more
		}
	}
	v, ok := f.accept(&c, rec)
	if !ok {
		return Duplicate
	}
	f.takeCookies(&v)
	f.takeItem(v.q, v.ref, v.item.QKey)
	out := f.conclude(&v)
	if v.next != nil {
		f.follow(&v)
	}
	if len(c.Links) > 0 {
		f.add(v.q.c, v.q.s.part, c.Links, c.Known)
	}
	addAll(&v.q.s.stats.Refused, c.Refused)
	f.touch(v.q.s)
	f.settle(v.q.c)
	f.placeAll(v.q.h)
	return out
}

// accept decides whether a completion counts, and ends the URL's lease or takes it
// from the queued ones.
func (f *Frontier) accept(c *Completion, rec Record) (visit, bool) {
	cs := f.crawls[c.Ref.Crawl]
	if cs == nil {
		return visit{}, false
	}
	if i, ok := f.urlIdx[c.Ref]; ok { // newer than what the store had
		rec = f.out.URLs[i].Record
	}
	q := f.queueOf(c.Ref.Host, c.Ref.Crawl)
	if q == nil {
		return visit{}, false // a queued or leased URL keeps its host in memory
	}
	v := visit{Completion: c, q: q, ref: c.Ref}
	if l := q.findLease(c.Ref.Key); l != nil {
		if l.item.Generation != c.Generation {
			return visit{}, false
		}
		v.item = l.item
		if l.item.URL.IsZero() {
			v.item = itemOf(c, rec)
			v.item.QKey, v.item.Attempts, v.item.Generation = l.item.QKey, l.item.Attempts, l.item.Generation
		}
		q.s.stats.Leased--
		f.endLease(l)
		return v, true
	}
	if rec.State != URLQueued || rec.Generation != c.Generation {
		return visit{}, false
	}
	v.item = itemOf(c, rec)
	q.s.stats.Queued--
	return v, true
}

// itemOf rebuilds an item from its record; the URL is the result's own.
func itemOf(c *Completion, rec Record) Item {
	return Item{
		URL: c.URL, Key: c.Ref.Key, QKey: rec.QKey, Depth: rec.Depth,
		Attempts: rec.Attempts, Generation: rec.Generation, Redirects: rec.Redirects,
		Mode: rec.Mode, Hop: rec.Hop, Visit: rec.Visit,
	}
}

// endLease ends the lease of a URL that was completed. When the completion came
// under another lease, the fetch of this one may still run and keeps its slot.
func (f *Frontier) endLease(l *lease) {
	if l.reported {
		f.removeLease(l)
		return
	}
	f.voidLease(l, false)
}

// conclude decides what becomes of the URL, counts, and has its record written.
func (f *Frontier) conclude(v *visit) Outcome {
	x, s := v.Exchange, &v.q.s.stats
	v.rec = Record{
		QKey: v.item.QKey, Depth: v.item.Depth, Attempts: v.item.Attempts,
		Generation: v.item.Generation, Redirects: v.item.Redirects, Mode: v.item.Mode, Hop: v.item.Hop, Jar: v.rec.Jar,
		Status: x.Status, Class: x.Class, FetchedAt: v.EndedAt.Round(0).Truncate(time.Millisecond),
		Visit: v.item.Visit, URL: v.item.URL.String(),
	}
	s.Bytes += v.Bytes
	s.Items += uint64(max(v.Items, 0))
	s.RejectedItems += uint64(max(v.Rejected, 0))
	if v.toBrowser() {
		f.renderAgain(v)
		return Again
	}
	if v.Redirect != nil && x.Class == crawl.ClassNone && !f.leads(v) && x.Status/100 != 2 {
		x.Class, v.rec.Class = crawl.ClassRedirectLoop, crawl.ClassRedirectLoop
	}
	f.countAttempt(v.q.s, x)
	if x.Class == crawl.ClassNone || x.Class.BurnsAttempt() {
		v.rec.Attempts++
	}
	return f.verdict(v, x)
}

// leads reports whether the redirect of a visit is to be followed: the chain is not
// too long, and one to the URL itself comes with new cookies.
func (f *Frontier) leads(v *visit) bool {
	r, c := v.Redirect, v.q.c
	v.rec.Redirected = c.Cookies
	if r.Redirects > c.MaxRedirects || r.Ref.Key == v.ref.Key && (v.q.jar == nil || !c.Cookies || v.q.jar.version == v.rec.Jar) {
		return false
	}
	v.next = r
	return true
}

// follow queues the target of a redirect, or, for the sake of new cookies, a URL that
// the chain has been through.
func (f *Frontier) follow(v *visit) {
	to := *v.next
	known := v.RedirectKnown
	to.Hop = hopFrom(v.item.URL, v.ref.Key, v.item.Hop)
	if v.item.Mode == ModeMedia {
		to.Mode = ModeMedia
	}
	if to.Ref.Key == v.ref.Key {
		rec := v.rec // a visit stays off the heap
		known, to.Was = true, &rec
	}
	f.add(v.q.c, v.q.s.part, []Candidate{to}, []bool{known})
}

// verdict gives a completed URL its state and writes its record.
func (f *Frontier) verdict(v *visit, x Exchange) Outcome {
	s := &v.q.s.stats
	out := FailedURL
	if x.Class == crawl.ClassNone {
		out = Done
		if x.Status/100 == 2 && v.item.Mode != ModeMedia {
			s.Pages++
			v.q.pages++
		}
	}
	switch {
	case out != Done && f.mayRetry(v, x):
		v.rec.Generation++
		wait := f.cfg.Retry(x.Class).Delay(v.rec.Attempts, f.cfg.Rand)
		f.postpone(v.q, v.ref, v.rec, f.now+tick(wait))
		return Delayed
	case f.revisit(v, x):
		return Delayed
	case out == Done:
		v.rec.State = URLDone
		s.Done++
	default:
		v.rec.State = URLFailed
		s.Failed++
	}
	f.writeURL(v.ref, v.rec)
	return out
}

// mayRetry reports whether a failed URL gets another visit.
func (f *Frontier) mayRetry(v *visit, x Exchange) bool {
	if !x.Class.Retry() && !(x.Class == crawl.ClassStatus4xx && crawl.RetryStatus(x.Status)) {
		return false
	}
	if tries := x.Class.Tries(); tries > 0 && v.rec.Attempts >= tries {
		return false
	}
	c, most := v.q.c, v.q.c.Retries+f.cfg.MaxVisits
	if p := v.item.Visit; p != nil { // a page that is visited again and again has had as many before
		most *= int(p.Visits) + 1
	}
	return v.rec.Attempts <= c.Retries && int(v.item.Generation) < most
}

// countAttempt counts a finished attempt, of robots.txt too.
func (f *Frontier) countAttempt(s *share, x Exchange) {
	s.stats.Fetches++
	if x.Status > 0 {
		bump(&s.stats.Statuses, x.Status, 1)
	}
	if x.Class != crawl.ClassNone {
		bump(&s.stats.Errors, x.Class.String(), 1)
	}
	f.touch(s)
}

// canonical reads a URL of the store.
func canonical(s string) (weburl.URL, bool) {
	u, err := weburl.FromCanonical(s)
	return u, err == nil
}
