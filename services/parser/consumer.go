package parser

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/trace"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

// specs finds the compiled spec of a crawl, at least of a revision; *bus.Crawls is
// one.
type specs interface {
	At(ctx context.Context, crawlID string, revision uint64) (*spec.Compiled, error)
}

// handle takes one page from the stream.
func (s *Service) handle(ctx context.Context, specs specs, d bus.Delivery) (err error) {
	span := s.deps.Tracer.Receive(d.Trace, d.Stored, "pages", "parse")
	defer func() { span.End(err) }()
	ctx = span.In(ctx)
	p, err := bus.ReadPage(d.Data)
	if err != nil {
		return err
	}
	rec, err := s.record(ctx, specs, p)
	if errors.Is(err, errAside) {
		span.Set(trace.Text("put_aside", err.Error()))
		return s.putAside(ctx, p, d.Failures, err, span.Place())
	}
	if err != nil {
		return err
	}
	describe(span, rec)
	published := time.Now()
	err = s.publish(ctx, rec, span.Place())
	span.Child("publish", published, time.Now())
	return err
}

// describe says in a span what was found.
func describe(span *trace.Span, rec *crawlv1.Record) {
	if span == nil {
		return
	}
	ref, parsed := rec.GetRef(), rec.GetParsed()
	span.Set(trace.URL(ref.GetUrl()), trace.Crawl(ref.GetCrawlId()), trace.Bytes(int64(rec.GetBody().GetSize())),
		trace.Count("outlinks", len(parsed.GetOutlinks())), trace.Count("items", len(parsed.GetItems())))
	if w := parsed.GetWarning(); w != "" {
		span.Set(trace.Text("warning", w))
	}
}

// record makes the record of a page. The error errAside says that the page is to be put
// aside.
func (s *Service) record(ctx context.Context, specs specs, p *crawlv1.Page) (*crawlv1.Record, error) {
	// By an older revision, links to hosts that have joined the crawl since would be
	// out of scope, and nobody would see them again.
	c, err := specs.At(ctx, p.GetRef().GetCrawlId(), p.GetRef().GetRevision())
	if err != nil {
		return nil, fmt.Errorf("spec of crawl %s: %w", p.GetRef().GetCrawlId(), err)
	}
	in, err := inputOf(p)
	if err != nil {
		return nil, err
	}
	j := &job{crawl: s.crawls.get(c), in: in, headers: p.GetFetch().GetResponseHeaders(), truncated: p.GetFetch().GetTruncated()}
	wanted := j.crawl.extractor.wants(in.URL)
	if wanted {
		leave, err := s.programs.enter(j.crawl.extractor.target, s.cfg.Concurrency)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	j.facts = !page.Textual(in.ContentType, in.URL.Path())
	if !j.facts || wanted {
		stored, release, err := s.deflated(ctx, p.GetBody())
		if err != nil {
			return nil, err
		}
		defer release()
		j.deflated, j.sum = stored, p.GetBody().GetSha256()
	}
	o, err := s.read(ctx, j)
	if err != nil {
		return nil, err
	}
	if o.given && !o.result.GetWantsRender() {
		if err := s.extract(ctx, j, &o); err != nil {
			return nil, err
		}
	}
	if p.GetReparse() {
		return again(p, o.result), nil
	}
	return &crawlv1.Record{Ref: p.GetRef(), Fetch: p.GetFetch(), Body: p.GetBody(), Parsed: o.result, Attachments: p.GetAttachments()}, nil
}

// again is the record of a page that storage has and wants read by a new revision: its
// items and its facts, and nothing for the archive or the frontier.
func again(p *crawlv1.Page, r *crawlv1.ParseResult) *crawlv1.Record {
	r.Outlinks, r.RejectedLinks, r.RefreshUrl, r.WantsRender = nil, nil, "", false
	return &crawlv1.Record{Ref: p.GetRef(), Fetch: p.GetFetch(), Parsed: r, Reparse: true}
}
