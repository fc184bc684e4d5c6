package storage

import (
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/trace"
)

// begin begins the spans of the entries that are traced, and that of their batch, which
// is nil when there are none.
func (s *Service) begin(b *batch, ds []bus.Delivery) *trace.Span {
	if s.deps.Tracer == nil {
		return nil
	}
	var spans []*trace.Span
	for _, e := range b.entries {
		d := &ds[e.message]
		if e.span = s.deps.Tracer.Receive(d.Trace, d.Stored, "records", "store"); e.span == nil {
			continue
		}
		spans = append(spans, e.span)
		fetch := e.rec.GetFetch()
		e.span.Set(trace.URL(e.page.CanonicalURL), trace.Crawl(e.page.Crawl), trace.Status(int(fetch.GetStatus())),
			trace.Class(e.page.Error.String()), trace.Bytes(int64(e.page.Size)))
	}
	span := s.deps.Tracer.Batch("store batch", spans)
	span.Set(trace.Count("records", len(ds)), trace.Count("bytes", b.bytes))
	return span
}

// end ends them; each shows the commit, for which all have waited.
func (b *batch) end(span *trace.Span, err error) {
	if span == nil {
		return
	}
	for _, e := range b.entries {
		if !b.committed.IsZero() && !e.known {
			e.span.Child("commit", b.committing, b.committed)
		}
		e.span.End(err)
	}
	if !b.committed.IsZero() {
		span.Child("commit", b.committing, b.committed)
	}
	span.End(err)
}
