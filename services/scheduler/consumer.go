package scheduler

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// consumeResults applies results in batches until ctx ends.
func (s *Service) consumeResults(ctx context.Context) error {
	consumers := bus.NewConsumerSet()
	for p := range uint32(s.cfg.Partitions) {
		consumers.Add(bus.ResultConsumer(p))
	}
	opt := bus.BatchOptions{Max: s.cfg.Batch, Age: s.cfg.BatchAge}
	return s.deps.Bus.ConsumeBatch(ctx, consumers, opt, s.takeResults)
}

// takeResults returns when the batch is durable, so that it may be acked.
func (s *Service) takeResults(ctx context.Context, ds []bus.Delivery) error {
	vs := make([]visit, 0, len(ds))
	for _, d := range ds {
		m := new(crawlv1.Result)
		if err := proto.Unmarshal(d.Data, m); err != nil {
			return crawl.Errorf(crawl.Invalid, "read result: %w", err)
		}
		v, ok := s.crawls.readResult(m)
		if !ok {
			s.m.results.WithLabelValues("unknown").Inc()
			continue
		}
		if v.movedSeed(m.GetRef()) {
			if _, err := s.widen(ctx, v.e, []string{v.redirect.String()}); err != nil {
				return err
			}
			v, _ = s.crawls.readResult(m)
		}
		vs = append(vs, v)
	}
	if len(vs) == 0 {
		return nil
	}
	return s.do(ctx, func(l *loop, now time.Time) error { return l.complete(ctx, now, vs) })
}

// partitions are all there are.
func (s *Service) partitions() *bus.PartitionSet {
	set := bus.NewPartitionSet()
	for p := range uint32(s.cfg.Partitions) {
		set.Add(p)
	}
	return set
}

// takeReport hands reports to the loop; it waits while the loop is busy.
func (s *Service) takeReport(ctx context.Context) func(*crawlv1.FetchReport) {
	return func(r *crawlv1.FetchReport) {
		select {
		case s.loop.reports <- r:
		case <-ctx.Done():
		}
	}
}

// takeDeadLetter fails the URL that a dead letter is about.
func (s *Service) takeDeadLetter(ctx context.Context, d *crawlv1.DeadLetter) error {
	ref := refOf(d)
	s.deps.Log.Warn("dead letter", "stream", d.GetStream(), "reason", d.GetReason(), "url", ref.GetUrl())
	if ref == nil {
		return nil
	}
	v, ok := s.crawls.readResult(&crawlv1.Result{Ref: ref, Error: crawlv1.ErrorClass_ERROR_CLASS_DEAD_LETTER})
	if !ok {
		return nil
	}
	v.c.EndedAt = s.deps.Now()
	return s.do(ctx, func(l *loop, now time.Time) error { return l.complete(ctx, now, []visit{v}) })
}

// refOf reads what visit a dead letter is about, nil when that cannot be known.
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
		out[i] = frontier.Candidate{Ref: l.f.Ref(e.no, u), URL: u, Priority: e.spec.Priority(u, 0)}
	}
	return out
}

// add queues seeds and returns how many were new.
func (l *loop) add(ctx context.Context, now time.Time, e *entry, urls []weburl.URL) (int, error) {
	if len(urls) == 0 {
		return 0, nil
	}
	cs := l.candidates(e, urls)
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
	return l.f.Add(now, e.no, cs, known), nil
}
