package parser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
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
	s.m.items.Add(float64(len(f.items)))
	s.m.rejected.Add(float64(f.rejected))
	return nil
}

// finding is what one call of a program has found so far.
type finding struct {
	e    *extractor
	in   *pageFacts
	base *weburl.Base
	max  int

	items    []*crawlv1.Item
	bytes    int
	rejects  []*crawlv1.RejectedItem
	rejected uint32
	counts   []*crawlv1.RuleCounts
	links    []*crawlv1.Outlink
	seen     map[string]bool
	refused  map[link.Reason]uint32
	asked    int
}

// pageFacts are those of the page that its items and links have.
type pageFacts struct {
	url       weburl.URL
	depth     uint32
	fetchedAt time.Time
}

func newFinding(e *extractor, j *job, maxLinks int) *finding {
	f := &finding{
		e: e, in: &pageFacts{j.in.URL, j.in.Depth, j.in.FetchedAt}, max: maxLinks,
		seen: map[string]bool{j.in.URL.String(): true}, refused: map[link.Reason]uint32{},
	}
	// A canonical URL is always a base.
	f.base, _ = e.crawl.Canon.Base(j.in.URL.WithoutRequest().String())
	return f
}

// take takes one answer. An error says that the answer cannot be used.
func (f *finding) take(r *extractorv1.ExtractResponse) error {
	switch found := r.GetFound().(type) {
	case *extractorv1.ExtractResponse_Item:
		return f.item(found.Item)
	case *extractorv1.ExtractResponse_Request:
		return f.request(found.Request)
	}
	return fmt.Errorf("an answer that is neither an item nor a request")
}

func (f *finding) item(it *extractorv1.ExtractedItem) error {
	rule := it.GetRule()
	switch {
	case rule == "":
		rule = defaultRule
	case !isRuleName(rule):
		return fmt.Errorf("an item of rule %.100q: a rule is 1 to 63 characters of a-z, 0-9, - and _", rule)
	}
	if len(f.items)+int(f.rejected) >= maxFoundItems {
		return fmt.Errorf("more than %d items of one page", maxFoundItems)
	}
	fields, err := fieldsGiven(it)
	if err != nil {
		return err
	}
	given := extract.Given{Rule: rule, URL: f.in.url.String(), FetchedAt: f.in.fetchedAt, Check: f.e.checks[rule]}
	data, reason, err := given.Wrap(fields)
	if err != nil {
		return fmt.Errorf("an item of rule %s: %w", rule, err)
	}
	if f.bytes += len(data); f.bytes > maxFoundBytes {
		return fmt.Errorf("items of more than %d bytes of one page", maxFoundBytes)
	}
	counts := f.countsOf(rule)
	if reason != "" {
		f.rejected++
		counts.Rejected++
		if len(f.rejects) < maxFoundKept {
			f.rejects = append(f.rejects, &crawlv1.RejectedItem{Rule: rule, Json: data})
		}
		return nil
	}
	if len(it.GetMedia()) > maxFoundMedia {
		return fmt.Errorf("an item of rule %s: more than %d files", rule, maxFoundMedia)
	}
	for _, raw := range it.GetMedia() {
		f.media(raw)
	}
	counts.Items++
	f.items = append(f.items, &crawlv1.Item{Rule: rule, Json: data})
	return nil
}

// fieldsGiven returns the fields of an item as JSON.
func fieldsGiven(it *extractorv1.ExtractedItem) ([]byte, error) {
	switch {
	case it.GetFields() != nil && len(it.GetJson()) > 0:
		return nil, fmt.Errorf("an item with both fields and json: give one")
	case it.GetFields() != nil:
		data, err := protojson.Marshal(it.GetFields())
		if err != nil {
			return nil, fmt.Errorf("an item whose fields are no JSON: %w", err)
		}
		return data, nil
	case len(it.GetJson()) > 0:
		return it.GetJson(), nil
	}
	return nil, fmt.Errorf("an item without fields and json")
}

// countsOf returns the counts of a rule; a page has few.
func (f *finding) countsOf(rule string) *crawlv1.RuleCounts {
	for _, c := range f.counts {
		if c.GetRule() == rule {
			return c
		}
	}
	c := &crawlv1.RuleCounts{Rule: rule}
	f.counts = append(f.counts, c)
	return c
}

// request judges a page to visit. One that is no URL or out of scope is counted as a
// link would be, and is no reason to give the page up.
func (f *finding) request(r *extractorv1.ExtractedRequest) error {
	if f.asked++; f.asked > maxFoundAsked {
		return fmt.Errorf("more than %d requests of one page", maxFoundAsked)
	}
	u, err := f.base.Resolve(r.GetUrl())
	if err == nil {
		u, err = u.WithRequest(requestOf(r))
	}
	if err != nil {
		f.refused[link.ReasonOf(err)]++
		return nil
	}
	if f.known(u) {
		return nil
	}
	depth := int(f.in.depth)
	if !r.GetPagination() {
		depth++
	}
	if v := f.e.crawl.Scope.Judge(u, depth); !v.Accept {
		f.refused[v.Reason]++
		return nil
	}
	if len(f.links) >= f.max {
		f.refused[link.Limit]++
		return nil
	}
	o := &crawlv1.Outlink{Url: u.String(), Depth: uint32(depth), Priority: f.e.crawl.Priority(u, depth)}
	if r.Priority != nil {
		o.Priority = min(max(r.GetPriority(), -maxPriority), maxPriority)
	}
	f.links = append(f.links, o)
	return nil
}

// maxPriority is the bound that specs have.
const maxPriority = 1_000_000

// requestOf fills in the defaults of a request.
func requestOf(r *extractorv1.ExtractedRequest) weburl.Request {
	out := weburl.Request{Method: strings.ToUpper(r.GetMethod()), Body: r.GetBody(), ContentType: r.GetContentType(), Header: r.GetHeaders()}
	if out.Body == "" {
		return out
	}
	if out.Method == "" {
		out.Method = "POST"
	}
	if out.ContentType == "" {
		out.ContentType = "application/x-www-form-urlencoded"
		if json.Valid([]byte(out.Body)) {
			out.ContentType = "application/json"
		}
	}
	return out
}

// media notes a file to download, whatever the scope says.
func (f *finding) media(raw string) {
	u, err := f.base.Resolve(raw)
	switch {
	case err != nil:
		f.refused[link.ReasonOf(err)]++
	case f.known(u):
	case len(f.links) >= f.max:
		f.refused[link.Limit]++
	default:
		depth := int(f.in.depth) + 1
		f.links = append(f.links, &crawlv1.Outlink{Url: u.String(), Depth: uint32(depth), Priority: f.e.crawl.Priority(u, depth), Media: true})
	}
}

func (f *finding) known(u weburl.URL) bool {
	was := f.seen[u.String()]
	f.seen[u.String()] = true
	return was
}

// addTo puts what was found beside what the rules did.
func (f *finding) addTo(r *crawlv1.ParseResult) {
	next := map[string]uint32{}
	for _, it := range r.GetItems() {
		next[it.GetRule()] = it.GetIndex() + 1
	}
	for _, it := range f.items {
		it.Index = next[it.GetRule()]
		next[it.GetRule()]++
	}
	r.Items = append(r.GetItems(), f.items...)
	r.RejectedItems += f.rejected
	for _, it := range f.rejects {
		if len(r.GetRejects()) < maxFoundKept {
			r.Rejects = append(r.GetRejects(), it)
		}
	}
	for _, c := range f.counts {
		i := slices.IndexFunc(r.GetRules(), func(o *crawlv1.RuleCounts) bool { return o.GetRule() == c.GetRule() })
		if i < 0 {
			r.Rules = append(r.GetRules(), c)
			continue
		}
		r.Rules[i].Items += c.GetItems()
		r.Rules[i].Rejected += c.GetRejected()
	}
	f.addLinks(r)
}

// addLinks adds the links that the page does not have already. The program's word on
// priority and depth counts more than the page's.
func (f *finding) addLinks(r *crawlv1.ParseResult) {
	has := make(map[string]int, len(r.GetOutlinks()))
	for i, o := range r.GetOutlinks() {
		has[o.GetUrl()] = i
	}
	for _, o := range f.links {
		switch i, ok := has[o.GetUrl()]; {
		case ok && !o.GetMedia():
			r.Outlinks[i] = o
		case !ok && len(r.GetOutlinks()) < f.max:
			r.Outlinks = append(r.GetOutlinks(), o)
		case !ok:
			f.refused[link.Limit]++
		}
	}
	if len(f.refused) > 0 && r.RejectedLinks == nil {
		r.RejectedLinks = make(map[string]uint32, len(f.refused))
	}
	for reason, n := range f.refused {
		r.RejectedLinks[string(reason)] += n
	}
}

// isRuleName tells the names that a spec's rules can have.
func isRuleName(s string) bool {
	return len(s) <= 63 && s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
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
