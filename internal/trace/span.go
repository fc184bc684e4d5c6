package trace

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

// Tracer makes the spans of a service. Safe for concurrent use; a nil one makes none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   otel.Tracer
	share    share
}

// Provider is for libraries that make spans of their own; nil without tracing.
func (t *Tracer) Provider() otel.TracerProvider {
	if t == nil {
		return nil
	}
	return t.provider
}

// Attr is something worth knowing of a span.
type Attr = attribute.KeyValue

// Begin decides whether a visit is traced, always alike for one visit, and begins its
// first span, which it began at a time; nil when it is not traced.
func (t *Tracer) Begin(crawlID string, lease uint64, name string, at time.Time) *Span {
	if t == nil || t.share == 0 {
		return nil
	}
	id := visitID(crawlID, lease)
	if !t.share.takes(id) {
		return nil
	}
	ctx := context.WithValue(context.Background(), decided{}, id)
	return t.start(ctx, name, otel.SpanKindProducer, at)
}

// Receive begins the span of a stage that a message has come to: under the span that
// sent it, whose place the message carries, with a span beside it for the time that the
// message waited in its stream since it was stored. Nil when there is no place.
func (t *Tracer) Receive(place string, stored time.Time, stream, name string) *Span {
	if t == nil || place == "" {
		return nil
	}
	parent, ok := parse(place)
	if !ok || !parent.IsSampled() {
		return nil
	}
	ctx := otel.ContextWithRemoteSpanContext(context.Background(), parent)
	now := time.Now()
	if !stored.IsZero() && stored.Before(now) {
		_, wait := t.tracer.Start(ctx, "wait: "+stream, otel.WithTimestamp(stored))
		wait.End(otel.WithTimestamp(now))
	}
	return t.start(ctx, name, otel.SpanKindConsumer, now)
}

// Batch begins the span of a batch, with links to its members that are traced, and
// links them to it; nil when none is.
func (t *Tracer) Batch(name string, members []*Span) *Span {
	if t == nil {
		return nil
	}
	var links []otel.Link
	for _, m := range members {
		if m != nil {
			links = append(links, otel.Link{SpanContext: m.span.SpanContext()})
		}
	}
	if len(links) == 0 {
		return nil
	}
	ctx := context.WithValue(context.Background(), decided{}, otel.TraceID{})
	s := t.start(ctx, name, otel.SpanKindConsumer, time.Now(), otel.WithLinks(links...))
	for _, m := range members {
		if m != nil {
			m.span.AddLink(otel.Link{SpanContext: s.span.SpanContext()})
		}
	}
	return s
}

func (t *Tracer) start(ctx context.Context, name string, kind otel.SpanKind, at time.Time, opts ...otel.SpanStartOption) *Span {
	opts = append(opts, otel.WithSpanKind(kind), otel.WithTimestamp(at))
	ctx, span := t.tracer.Start(ctx, name, opts...)
	return &Span{t: t, span: span, ctx: ctx}
}

// Span is a step of a traced visit. A nil one does nothing. End it once.
type Span struct {
	t    *Tracer
	span otel.Span
	ctx  context.Context //nolint:containedctx // of its children, which may begin after it was ended
}

// In returns ctx with the span in it: for calls, whose spans become children, and for
// the log.
func (s *Span) In(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return otel.ContextWithSpan(ctx, s.span)
}

// Set adds attributes. Guard it by a comparison with nil where making them costs.
func (s *Span) Set(attrs ...Attr) {
	if s != nil {
		s.span.SetAttributes(attrs...)
	}
}

// Child adds a step of the span that is over already.
func (s *Span) Child(name string, from, to time.Time, attrs ...Attr) {
	if s == nil {
		return
	}
	_, c := s.t.tracer.Start(s.ctx, name, otel.WithTimestamp(from), otel.WithAttributes(attrs...))
	c.End(otel.WithTimestamp(to))
}

// End ends the span; an error is kept in it.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, line(err.Error()))
	}
	s.span.End()
}

// Place is what a message carries so that its receiver's span becomes a child of this
// one: a traceparent of W3C's Trace Context. Empty for a nil span.
func (s *Span) Place() string {
	if s == nil {
		return ""
	}
	c := s.span.SpanContext()
	trace, span := c.TraceID(), c.SpanID()
	b := make([]byte, 0, placeLength)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	return string(append(b, "-01"...))
}

// placeLength is that of a traceparent of version 00.
const placeLength = 2 + 1 + 32 + 1 + 16 + 1 + 2

// parse reads a traceparent.
func parse(place string) (otel.SpanContext, bool) {
	if len(place) != placeLength || place[:3] != "00-" || place[35] != '-' || place[52] != '-' || strings.ToLower(place) != place {
		return otel.SpanContext{}, false
	}
	var cfg otel.SpanContextConfig
	var flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{cfg.TraceID[:], place[3:35]}, {cfg.SpanID[:], place[36:52]}, {flags[:], place[53:]}} {
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil {
			return otel.SpanContext{}, false
		}
	}
	cfg.TraceFlags, cfg.Remote = otel.TraceFlags(flags[0]), true
	c := otel.NewSpanContext(cfg)
	return c, c.IsValid()
}

// line is the first line of an error, of bounded length.
func line(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text[:min(len(text), 500)]
}
