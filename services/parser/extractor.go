package parser

import (
	"bytes"
	"context"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
)

// defaultRule is the rule of items whose program names none.
const defaultRule = "extractor"

// Bounds of what a program may find in one page, as for rules.
const (
	maxFoundItems = 10_000
	maxFoundBytes = 4 << 20
	maxFoundMedia = 1000 // of an item
	maxFoundKept  = 100  // rejected items that are kept
	maxFoundAsked = 10_000
)

// extractor is what a crawl's spec says of its program.
type extractor struct {
	target
	effort
	match   *crawl.Pattern
	maxBody int64
	crawl   *spec.Compiled
	// checks of the rules of the same names.
	checks map[string]func([]byte) string
}

// extractorOf makes a crawl's program ready; nil without one.
func extractorOf(c *spec.Compiled) (*extractor, error) {
	e := c.Spec.GetExtractor()
	if e == nil {
		return nil, nil
	}
	out := &extractor{
		target:  target{e.GetAddress(), e.GetTls()},
		effort:  effort{e.GetTimeout().AsDuration(), int(e.GetRetries()), int(e.GetConcurrency())},
		maxBody: e.GetMaxBody(), crawl: c, checks: map[string]func([]byte) string{},
	}
	var err error
	if out.match, err = optionalPattern("extractor.match", e.GetMatch()); err != nil {
		return nil, err
	}
	for i, r := range c.Rules {
		check, err := checkOf(fmt.Sprintf("extract[%d]", i), r.Rule.GetSchema())
		if err != nil {
			return nil, err
		}
		out.checks[r.Rule.GetName()] = check
	}
	return out, nil
}

// wants reports whether a page is for the program.
func (e *extractor) wants(u weburl.URL) bool {
	return e != nil && (e.match == nil || e.match.Match(u.WithoutRequest().String()))
}

// request makes the message for a page that was read.
func (e *extractor) request(j *job, o *outcome) *extractorv1.ExtractRequest {
	r := o.result
	return &extractorv1.ExtractRequest{
		CrawlId: e.crawl.ID, Crawl: e.crawl.Spec.GetName(), Spec: e.crawl.Spec, Revision: e.crawl.Revision,
		Url: j.in.URL.String(), Depth: j.in.Depth, FetchedAt: timestamppb.New(j.in.FetchedAt), Status: j.in.Status, Headers: j.headers,
		ContentType: r.GetContentType(), Charset: r.GetCharset(), Body: o.text, Truncated: o.cut || j.truncated,
		Title: r.GetTitle(), Language: r.GetLanguage(),
	}
}

// extract gives a page that was read to the crawl's program and adds what it finds. The
// kind of the error says what becomes of the page; see programs.call.
func (s *Service) extract(ctx context.Context, j *job, o *outcome) error {
	e := j.crawl.extractor
	p, err := s.programs.get(e.target)
	if err != nil {
		return err
	}
	defer s.programs.put(p)
	var f *finding
	begin := func() { f = newFinding(e, j, s.cfg.MaxOutlinks) }
	if err := s.programs.call(ctx, p, e.effort, e.request(j, o), begin, func(r *extractorv1.ExtractResponse) error { return f.take(r) }); err != nil {
		return err
	}
	f.addTo(o.result)
	o.found = f.found
	s.m.items.Add(float64(len(f.items)))
	s.m.rejected.Add(float64(f.rejected))
	return nil
}

// textFor copies the part of a body that the program gets: the memory that it is in
// belongs to the next page. A text is cut between characters.
func (e *extractor) textFor(body []byte, isText bool) (part []byte, cut bool) {
	if int64(len(body)) <= e.maxBody {
		return bytes.Clone(body), false
	}
	n := int(e.maxBody)
	for isText && n > 0 && !utf8.RuneStart(body[n]) {
		n--
	}
	return bytes.Clone(body[:n]), true
}
