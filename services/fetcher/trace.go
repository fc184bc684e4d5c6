package fetcher

import (
	"time"

	"github.com/weircrawl/weir/internal/trace"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// describe says in a span what is to be fetched.
func (s *Service) describe(span *trace.Span, t *crawlv1.FetchTask) {
	if span == nil {
		return
	}
	ref := t.GetRef()
	span.Set(trace.URL(ref.GetUrl()), trace.Crawl(ref.GetCrawlId()), trace.Attempt(ref.GetAttempt()), trace.Text("pool", s.cfg.Pool))
}

// describeExchange says in a span how an exchange went, with a step for each of its parts. A
// page that a browser showed has what that took as its last.
func describeExchange(span *trace.Span, r *client.Result) {
	if span == nil {
		return
	}
	span.Set(trace.Status(r.Status), trace.Class(r.Class.String()), trace.Bytes(r.Body.Size), trace.Text("protocol", r.Protocol))
	if r.Detail != "" {
		span.Set(trace.Text("detail", r.Detail))
	}
	t := &r.Timings
	at, end := r.Start, r.Start.Add(r.Duration)
	for _, step := range []struct {
		name string
		took time.Duration
	}{{"dns", t.DNS}, {"connect", t.Connect}, {"tls", t.TLS}, {"first byte", t.FirstByte}, {"body", t.Body}} {
		if step.took <= 0 {
			continue
		}
		next := at.Add(step.took)
		if next.After(end) {
			next = end
		}
		span.Child(step.name, at, next)
		at = next
	}
}
