package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// lookBack reads what the frontier needs beyond hosts to follow redirects and to take
// cookies: the records of known targets, and the cookies of sites that are not in
// memory. Most batches need neither.
func (l *loop) lookBack(ctx context.Context, now time.Time, targets []*frontier.Candidate, sites []frontier.Ref) error {
	if len(targets) > 0 {
		refs := make([]frontier.Ref, len(targets))
		for i, c := range targets {
			refs[i] = c.Ref
		}
		records := make([]frontier.Record, len(refs))
		if err := l.store.Lookup(ctx, refs, records); err != nil {
			return err
		}
		for i, c := range targets {
			c.Was = &records[i]
		}
		sites = append(sites, refs...)
	}
	var wants []frontier.Want
	asked := make(map[frontier.SiteID]bool)
	for _, ref := range sites {
		if w, ok := l.f.WantJar(ref); ok && !asked[w.Site^uint64(w.Crawl)] {
			asked[w.Site^uint64(w.Crawl)] = true
			wants = append(wants, w)
		}
	}
	if len(wants) == 0 {
		return nil
	}
	fillings, err := l.windows(ctx, wants)
	if err != nil {
		return err
	}
	for i, w := range wants {
		l.f.Fill(now, w, fillings[i])
	}
	return nil
}

// lookBackVisits does it for results; known is as complete has it.
func (l *loop) lookBackVisits(ctx context.Context, now time.Time, vs []visit, known []bool) error {
	var targets []*frontier.Candidate
	var sites []frontier.Ref
	next := 0
	for i := range vs {
		v := &vs[i]
		if !v.robots {
			next++
		}
		next += len(v.c.Links)
		keeps := v.e.spec.Spec.GetFetch().GetCookies() && !v.robots
		if r := v.c.Redirect; r != nil {
			if known[next] && keeps && r.Ref != v.c.Ref {
				targets = append(targets, r)
			}
			next++
		}
		if keeps && (len(v.c.SetCookies) > 0 || v.c.Redirect != nil) {
			sites = append(sites, v.c.Ref)
		}
	}
	return l.lookBack(ctx, now, targets, sites)
}

// lookBackLinks does it for links.
func (l *loop) lookBackLinks(ctx context.Context, now time.Time, cs []frontier.Candidate, known []bool) error {
	var targets []*frontier.Candidate
	for i := range cs {
		if known[i] && cs[i].Hop != nil {
			targets = append(targets, &cs[i])
		}
	}
	return l.lookBack(ctx, now, targets, nil)
}
