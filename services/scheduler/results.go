package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// scratch is memory that the loop uses again in each turn.
type scratch struct {
	refs    []frontier.Ref
	known   []bool
	missing []frontier.HostRef
	records []frontier.Record
	needs   []frontier.Ref
}

// visit is a result that was read and resolved, ready for the loop.
type visit struct {
	c frontier.Completion
	e *entry
	// partition that the result came to, which is the URL's.
	partition uint32
	// links and redirect as URLs; the loop makes them into candidates.
	robots   bool
	media    bool
	body     []byte
	redirect weburl.URL
}

// readResult turns a message into a visit; ok is false when it is about a crawl
// or URL that cannot be known here. Runs outside the loop.
func (r *roster) readResult(m *crawlv1.Result, outlinks bus.Outlinks) (v visit, ok bool) {
	ref := m.GetRef()
	e := r.id(ref.GetCrawlId())
	if e == nil {
		return visit{}, false
	}
	u, err := weburl.FromCanonical(ref.GetUrl())
	if err != nil {
		return visit{}, false
	}
	v = visit{
		e: e, partition: ref.GetPartition(), body: m.GetRobots(),
		robots: ref.GetKind() == crawlv1.TaskKind_TASK_KIND_ROBOTS, media: ref.GetKind() == crawlv1.TaskKind_TASK_KIND_MEDIA,
	}
	v.c = frontier.Completion{
		URL:        u,
		Lease:      frontier.LeaseID(ref.GetLease()),
		Generation: ref.GetGeneration(),
		Exchange:   exchangeFrom(m),
		EndedAt:    m.GetEndedAt().AsTime(),
		Items:      int(m.GetItems()),
		Rejected:   int(m.GetRejectedItems()),
		Bytes:      m.GetBytes(),

		ETag: m.GetEtag(), LastModified: m.GetLastModified(), Digest: digest(m.GetSha256()),
		Refused: refusedFrom(m.GetRejectedLinks()),

		SetCookies: bus.Cookies(m.GetSetCookies()), Rendered: m.GetRendered(), WantsRender: m.GetWantsRender(),
	}
	if t := m.GetRedirectUrl(); t != "" {
		v.redirect, _ = weburl.FromCanonical(t)
	}
	if v.robots {
		v.c.Links = sitemapsOf(e.spec, u, m)
		return v, true
	}
	if !v.redirect.IsZero() {
		v.judgeRedirect(ref)
	}
	links := m.GetOutlinks()
	if p := m.GetPackedOutlinks(); p != nil {
		// What cannot be unpacked was packed by nobody of ours; the page counts.
		links, _ = bus.UnpackOutlinks(p)
	}
	v.c.Links = e.outlinks(links, outlinks, m.GetDuplicate())
	return v, true
}

// outlinks makes candidates of links, which the parser has made canonical and whose
// scope it has judged. Files come last: a URL that is a page too is a page.
func (e *entry) outlinks(links []*crawlv1.Outlink, more bus.Outlinks, duplicate bool) []frontier.Candidate {
	out := make([]frontier.Candidate, 0, len(links)+more.Count())
	var media []frontier.Candidate
	var add int32
	if duplicate {
		add = e.spec.Spec.GetParse().GetDuplicatePriority()
	}
	take := func(url string, depth uint32, priority int32, isMedia bool) {
		u, err := weburl.FromCanonical(url)
		if err != nil {
			return
		}
		c := frontier.Candidate{URL: u, Depth: int(depth), Priority: priority}
		if isMedia {
			c.Mode, c.Next = frontier.ModeMedia, true // with the page that they are of
			media = append(media, c)
			return
		}
		c.Priority = spec.AddPriority(c.Priority, add)
		out = append(out, c)
	}
	for _, o := range links {
		take(o.GetUrl(), o.GetDepth(), o.GetPriority(), o.GetMedia())
	}
	more.Each(take)
	return append(out, media...)
}

// judgeRedirect makes a candidate of a redirect's target if it is in scope; the
// frontier ends chains that turn in a circle or grow too long. The target of a file's
// redirect is a file, of which the scope is not asked.
func (v *visit) judgeRedirect(ref *crawlv1.TaskRef) {
	depth := int(ref.GetDepth())
	if !v.media && !v.e.spec.Scope.Judge(v.redirect, depth).Accept {
		return
	}
	v.c.Redirect = &frontier.Candidate{
		URL:       v.redirect,
		Depth:     depth,
		Priority:  v.e.spec.Priority(v.redirect, depth),
		Redirects: int(ref.GetRedirects()) + 1,
		Next:      true,
	}
}

// movedSeed reports whether a seed redirects to another host of its site, as
// example.org does to www.example.org. Where the scope is the seeds' hosts, that
// host is meant too: nothing would be left to visit otherwise.
func (v *visit) movedSeed(ref *crawlv1.TaskRef) bool {
	return !v.robots && !v.media && ref.GetDepth() == 0 && !v.redirect.IsZero() && v.c.Redirect == nil &&
		v.c.Exchange.Class == crawl.ClassNone && v.redirect.Site() == v.c.URL.Site() &&
		v.e.spec.Scope.Judge(v.redirect, 0).Reason == crawl.ReasonHost
}

// complete applies a batch of visits.
func (l *loop) complete(ctx context.Context, now time.Time, vs []visit) error {
	l.m.batch.Observe(float64(len(vs)))
	refs := l.refs(vs)
	if err := l.admit(ctx, now, refs); err != nil {
		return err
	}
	known := grow(&l.scratch.known, len(refs))
	if err := l.store.Known(ctx, refs, known); err != nil {
		return err
	}
	records, err := l.records(ctx, vs)
	if err != nil {
		return err
	}
	if err := l.lookBackVisits(ctx, now, vs, known); err != nil {
		return err
	}
	next := 0
	for i := range vs {
		v := &vs[i]
		if v.robots {
			if l.f.CompleteRobots(now, v.c.Lease, v.c.Exchange, v.body, v.redirect) != frontier.Duplicate {
				l.f.Add(now, v.e.no, v.c.Links, known[next:next+len(v.c.Links)])
			}
			next += len(v.c.Links)
			l.m.results.WithLabelValues("robots").Inc()
			continue
		}
		next++ // the URL itself
		v.c.Known = known[next : next+len(v.c.Links)]
		next += len(v.c.Links)
		if v.c.Redirect != nil {
			v.c.RedirectKnown = known[next]
			next++
		}
		if age, ok := l.f.Age(now, v.c.Lease); ok {
			l.m.visit.Observe(age.Seconds())
		}
		l.m.results.WithLabelValues(outcomeLabel(l.f.Complete(now, v.c, records[i]))).Inc()
	}
	return nil
}

// refs finds where the URLs of the visits are kept: for each visit the URL itself,
// unless it is a robots.txt, its links, then the redirect's target.
func (l *loop) refs(vs []visit) []frontier.Ref {
	refs := l.scratch.refs[:0]
	for i := range vs {
		v := &vs[i]
		no := v.e.no
		if !v.robots {
			v.c.Ref = l.f.Ref(no, v.c.URL)
			refs = append(refs, v.c.Ref)
		}
		for j := range v.c.Links {
			c := &v.c.Links[j]
			c.Ref = l.f.Ref(no, c.URL)
			refs = append(refs, c.Ref)
		}
		if c := v.c.Redirect; c != nil {
			c.Ref = l.f.Ref(no, c.URL)
			refs = append(refs, c.Ref)
		}
	}
	l.scratch.refs = refs
	return refs
}

// records reads the records of the visits whose leases are not in memory.
func (l *loop) records(ctx context.Context, vs []visit) ([]frontier.Record, error) {
	out := make([]frontier.Record, len(vs))
	needs := l.scratch.needs[:0]
	var at []int
	for i := range vs {
		if v := &vs[i]; !v.robots && l.f.NeedsRecord(v.c.Ref, v.c.Lease) {
			needs, at = append(needs, v.c.Ref), append(at, i)
		}
	}
	l.scratch.needs = needs
	if len(needs) == 0 {
		return out, nil
	}
	recs := grow(&l.scratch.records, len(needs))
	if err := l.store.Lookup(ctx, needs, recs); err != nil {
		return nil, err
	}
	for i, n := range at {
		out[n] = recs[i]
	}
	return out, nil
}

// admit brings the hosts of refs into memory.
func (l *loop) admit(ctx context.Context, now time.Time, refs []frontier.Ref) error {
	l.scratch.missing = l.f.Missing(l.scratch.missing[:0], refs)
	if len(l.scratch.missing) == 0 {
		return nil
	}
	hosts, err := l.store.Hosts(ctx, l.scratch.missing)
	if err != nil {
		return err
	}
	l.f.Admit(now, hosts)
	return nil
}

// grow returns *s with length n and zero values.
func grow[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n)
	}
	*s = (*s)[:n]
	clear(*s)
	return *s
}

func outcomeLabel(o frontier.Outcome) string {
	switch o {
	case frontier.Done:
		return "done"
	case frontier.Delayed:
		return "delayed"
	case frontier.FailedURL:
		return "failed"
	case frontier.Again:
		return "again"
	default:
		return "duplicate"
	}
}
