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
	rec  Record // what will be written
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
	f.takeItem(v.q, v.ref, v.item.QKey)
	out := f.conclude(v)
	if c.Redirect != nil && out == Done {
		f.add(v.q.c, []Candidate{*c.Redirect}, []bool{c.RedirectKnown})
	}
	if len(c.Links) > 0 {
		f.add(v.q.c, c.Links, c.Known)
	}
	f.touch(v.q.c)
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
		cs.stats.Leased--
		f.endLease(l)
		return v, true
	}
	if rec.State != URLQueued || rec.Generation != c.Generation {
		return visit{}, false
	}
	v.item = itemOf(c, rec)
	cs.stats.Queued--
	return v, true
}

// itemOf rebuilds an item from its record; the URL is the result's own.
func itemOf(c *Completion, rec Record) Item {
	return Item{
		URL: c.URL, Key: c.Ref.Key, QKey: rec.QKey, Depth: rec.Depth,
		Attempts: rec.Attempts, Generation: rec.Generation, Redirects: rec.Redirects,
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

// conclude decides what becomes of the URL, writes its record and counts.
func (f *Frontier) conclude(v visit) Outcome {
	x, c := v.Exchange, v.q.c
	v.rec = Record{
		QKey: v.item.QKey, Depth: v.item.Depth, Attempts: v.item.Attempts,
		Generation: v.item.Generation, Redirects: v.item.Redirects,
		Status: x.Status, Class: x.Class, FetchedAt: v.EndedAt.Round(0).Truncate(time.Millisecond),
		URL: v.item.URL.String(),
	}
	if v.Redirect != nil && x.Class == crawl.ClassNone &&
		(v.Redirect.Redirects > c.MaxRedirects || v.Redirect.Ref.Key == v.ref.Key) {
		x.Class, v.rec.Class = crawl.ClassRedirectLoop, crawl.ClassRedirectLoop
	}
	f.countAttempt(c, x)
	c.stats.Bytes += v.Bytes
	c.stats.Items += uint64(max(v.Items, 0))
	c.stats.RejectedItems += uint64(max(v.Rejected, 0))
	if x.Class == crawl.ClassNone || x.Class.BurnsAttempt() {
		v.rec.Attempts++
	}
	out := f.verdict(&v, x)
	f.writeURL(v.ref, v.rec)
	return out
}

// verdict sets the state of a completed URL.
func (f *Frontier) verdict(v *visit, x Exchange) Outcome {
	c := v.q.c
	switch {
	case x.Class == crawl.ClassNone:
		v.rec.State = URLDone
		c.stats.Done++
		if x.Status/100 == 2 {
			c.stats.Pages++
			v.q.pages++
		}
		return Done
	case f.mayRetry(v, x):
		due := f.wall(f.now + tick(f.cfg.Retry.Delay(int(v.rec.Generation), f.cfg.Rand)))
		v.rec.State, v.rec.NotBefore = URLDelayed, due
		v.rec.Generation++
		c.stats.Delayed++
		f.out.Due = append(f.out.Due, DueRow{Ref: v.ref, At: due})
		f.dueAt, f.dueAdded = earlier(f.dueAt, due), earlier(f.dueAdded, due)
		return Delayed
	}
	v.rec.State = URLFailed
	c.stats.Failed++
	return FailedURL
}

// mayRetry reports whether a failed URL gets another visit.
func (f *Frontier) mayRetry(v *visit, x Exchange) bool {
	if !x.Class.Retry() && !(x.Class == crawl.ClassStatus4xx && crawl.RetryStatus(x.Status)) {
		return false
	}
	c := v.q.c
	return v.rec.Attempts <= c.Retries && int(v.item.Generation) < c.Retries+f.cfg.MaxVisits
}

// countAttempt counts a finished attempt, of robots.txt too.
func (f *Frontier) countAttempt(c *crawlState, x Exchange) {
	c.stats.Fetches++
	if x.Status > 0 {
		bump(&c.stats.Statuses, x.Status)
	}
	if x.Class != crawl.ClassNone {
		bump(&c.stats.Errors, x.Class.String())
	}
	f.touch(c)
}

// canonical reads a URL of the store.
func canonical(s string) (weburl.URL, bool) {
	u, err := weburl.FromCanonical(s)
	return u, err == nil
}
