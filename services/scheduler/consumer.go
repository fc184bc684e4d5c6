package scheduler

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/trace"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// consumeResults applies results, and links from other partitions, in batches
// until ctx ends.
func (s *session) consumeResults(ctx context.Context) error {
	opt := bus.BatchOptions{Max: s.cfg.Batch, Age: s.cfg.BatchAge}
	return s.deps.Bus.ConsumeBatch(ctx, s.results, opt, s.takeResults)
}

// takeResults returns when the batch is durable, so that it may be acked.
func (s *session) takeResults(ctx context.Context, ds []bus.Delivery) (err error) {
	if spans, batch := s.resultSpans(ds); batch != nil {
		ctx = batch.In(ctx)
		defer func() {
			for _, span := range spans {
				span.End(err)
			}
			batch.End(err)
		}()
	}
	if err := s.outbox.room(ctx); err != nil {
		return err
	}
	vs := make([]visit, 0, len(ds))
	var links []arrival
	for _, d := range ds {
		if bus.IsLinks(d) {
			a, ok, err := s.readLinks(ctx, d)
			if err != nil {
				return err
			}
			if ok {
				links = append(links, a)
			}
			continue
		}
		m, outlinks, err := bus.ReadResult(d.Data)
		if err != nil {
			return err
		}
		if _, err := s.await(ctx, m.GetRef().GetCrawlId()); err != nil {
			return err
		}
		v, ok := s.crawls.readResult(m, outlinks)
		if !ok {
			s.m.results.WithLabelValues("unknown").Inc()
			continue
		}
		if v.movedSeed(m.GetRef()) {
			if err := s.followSeed(ctx, &v, m, outlinks); err != nil {
				return err
			}
		}
		vs = append(vs, v)
	}
	if len(vs)+len(links) == 0 {
		return nil
	}
	return s.do(ctx, func(l *loop, now time.Time) error {
		if err := l.mine(vs, links); err != nil {
			return err
		}
		for i := range links {
			if err := l.arrive(ctx, now, &links[i]); err != nil {
				return err
			}
		}
		return l.complete(ctx, now, vs)
	})
}

// resultSpans begins the spans of those results that are traced, and of their batch,
// which is nil when there are none.
func (s *session) resultSpans(ds []bus.Delivery) (spans []*trace.Span, batch *trace.Span) {
	if s.deps.Tracer == nil {
		return nil, nil
	}
	for _, d := range ds {
		if span := s.deps.Tracer.Receive(d.Trace, d.Stored, "results", "apply"); span != nil {
			spans = append(spans, span)
		}
	}
	batch = s.deps.Tracer.Batch("apply batch", spans)
	batch.Set(trace.Count("messages", len(ds)))
	return spans, batch
}

// followSeed makes the host that a seed moved to part of its crawl.
func (s *session) followSeed(ctx context.Context, v *visit, m *crawlv1.Result, outlinks bus.Outlinks) error {
	_, err := s.widen(ctx, v.e, []string{v.redirect.String()})
	switch crawl.KindOf(err) {
	case crawl.Conflict:
		// The owner of the crawl's home takes the target as a seed.
		err = s.addAtHome(ctx, v.e, []*schedulerv1.SeedURL{{Url: v.redirect.String()}}, &schedulerv1.AddURLsResponse{})
		if crawl.KindOf(err) == crawl.Precondition {
			// The crawl takes no more seeds, but its scope is wider from here on: the
			// target counts as any other redirect's as soon as that is known here.
			return crawl.Errorf(crawl.Unavailable, "the wider scope of crawl %s is not announced yet", v.e.meta.GetId())
		}
	case crawl.Invalid:
		return nil // the scope can be no wider, so the target is out of it
	}
	if err != nil {
		return err
	}
	if again, ok := s.crawls.readResult(m, outlinks); ok {
		*v = again
	}
	return nil
}

// mine refuses what is about partitions that are not ours (any more).
func (l *loop) mine(vs []visit, links []arrival) error {
	for i := range vs {
		if !l.f.Owns(vs[i].partition) {
			return bus.ErrFenced
		}
	}
	for i := range links {
		if !l.f.Owns(links[i].partition) {
			return bus.ErrFenced
		}
	}
	return nil
}

// takeDeadLetter fails the URL that a dead letter is about.
func (s *session) takeDeadLetter(ctx context.Context, d *crawlv1.DeadLetter) error {
	ref := refOf(d)
	s.deps.Log.Warn("dead letter", "stream", d.GetStream(), "reason", d.GetReason(), "url", ref.GetUrl(), "crawl_id", ref.GetCrawlId(), "lease_id", frontier.LeaseID(ref.GetLease()).String(), "attempt", ref.GetAttempt())
	if ref == nil || s.crawls.id(ref.GetCrawlId()) == nil {
		return nil
	}
	// The owner of the URL's partition fails it, whoever that is.
	m := bus.Result(&crawlv1.Result{
		Ref: ref, Error: crawlv1.ErrorClass_ERROR_CLASS_DEAD_LETTER, EndedAt: timestamp(s.deps.Now()),
	})
	m.ID = "dead-" + m.ID // it may be the result itself that was given up
	return s.deps.Bus.PublishAll(ctx, m)
}

// refOf reads what visit a dead letter is about, nil when that cannot be known or it is
// about none.
func refOf(d *crawlv1.DeadLetter) *crawlv1.TaskRef {
	var m interface {
		proto.Message
		GetRef() *crawlv1.TaskRef
	}
	switch d.GetStream() {
	case bus.StreamTasks:
		m = new(crawlv1.FetchTask)
	case bus.StreamPages:
		m = new(crawlv1.Page)
	case bus.StreamRecords:
		m = new(crawlv1.Record)
	case bus.StreamResults:
		m = new(crawlv1.Result)
	default:
		return nil
	}
	if err := proto.Unmarshal(d.GetData(), m); err != nil {
		return nil
	}
	if r, ok := m.(interface{ GetReparse() bool }); ok && r.GetReparse() {
		return nil // a page that is stored and was to be read again: its visit ended well
	}
	return m.GetRef()
}

// judge resolves a seed as anybody writes it into a candidate, or says why it
// does not belong to the crawl.
func (e *entry) judge(raw string) (weburl.URL, string) {
	u, err := e.spec.Canon.Parse(raw)
	if err != nil {
		return weburl.URL{}, err.Error()
	}
	if v := e.spec.Scope.Judge(u, 0); !v.Accept {
		if v.Rule != "" {
			return u, "out of scope: " + v.Rule
		}
		return u, "out of scope: " + string(v.Reason)
	}
	return u, ""
}

// candidates makes seeds of URLs.
func (l *loop) candidates(e *entry, urls []weburl.URL) []frontier.Candidate {
	out := make([]frontier.Candidate, len(urls))
	for i, u := range urls {
		out[i] = frontier.Candidate{Ref: l.f.Ref(e.no, u), URL: u, Priority: e.spec.Priority(u, 0), Mode: e.seedMode(u)}
	}
	return out
}

// add queues seeds and returns how many were new.
func (l *loop) add(ctx context.Context, now time.Time, e *entry, urls []weburl.URL) (int, error) {
	if len(urls) == 0 {
		return 0, nil
	}
	return l.addAll(ctx, now, e.no, l.candidates(e, urls))
}

// addAll queues candidates and returns how many were new.
func (l *loop) addAll(ctx context.Context, now time.Time, no frontier.CrawlNo, cs []frontier.Candidate) (int, error) {
	refs := l.scratch.refs[:0]
	for _, c := range cs {
		refs = append(refs, c.Ref)
	}
	l.scratch.refs = refs
	if err := l.admit(ctx, now, refs); err != nil {
		return 0, err
	}
	known := grow(&l.scratch.known, len(refs))
	if err := l.store.Known(ctx, refs, known); err != nil {
		return 0, err
	}
	if err := l.lookBackLinks(ctx, now, cs, known); err != nil {
		return 0, err
	}
	return l.f.Add(now, no, cs, known), nil
}
