package parser

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
)

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
	found    []link.Found // what was decided, for people
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
		return f.visit(found.Request)
	}
	return errors.New("an answer that is neither an item nor a request")
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
	if len(it.GetMedia()) > maxFoundMedia {
		return fmt.Errorf("an item of rule %s: more than %d files", rule, maxFoundMedia)
	}
	files := f.files(it.GetMedia())
	given := extract.Given{Rule: rule, Media: files, URL: f.in.url.String(), FetchedAt: f.in.fetchedAt, Check: f.e.checks[rule]}
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
	for _, u := range files {
		f.media(u, rule)
	}
	counts.Items++
	f.items = append(f.items, &crawlv1.Item{Rule: rule, Json: data})
	return nil
}

// fieldsGiven returns the fields of an item as JSON.
func fieldsGiven(it *extractorv1.ExtractedItem) ([]byte, error) {
	switch {
	case it.GetFields() != nil && len(it.GetJson()) > 0:
		return nil, errors.New("an item with both fields and json: give one")
	case it.GetFields() != nil:
		data, err := protojson.Marshal(it.GetFields())
		if err != nil {
			return nil, fmt.Errorf("an item whose fields are no JSON: %w", err)
		}
		return data, nil
	case len(it.GetJson()) > 0:
		return it.GetJson(), nil
	}
	return nil, errors.New("an item without fields and json")
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

// visit judges a page to visit. One that is no URL or out of scope is counted as a
// link would be, and is no reason to give the page up.
func (f *finding) visit(r *extractorv1.ExtractedRequest) error {
	if f.asked++; f.asked > maxFoundAsked {
		return fmt.Errorf("more than %d requests of one page", maxFoundAsked)
	}
	u, err := f.base.Resolve(r.GetUrl())
	if err == nil {
		u, err = u.WithRequest(askedFor(r))
	}
	found := link.Found{Source: link.Request, Rule: defaultRule}
	if err != nil {
		f.refuse(r.GetUrl(), found, link.ReasonOf(err))
		return nil
	}
	if f.known(u) {
		return nil
	}
	depth := int(f.in.depth)
	if !r.GetPagination() {
		depth++
	}
	found.Depth, found.Priority = uint32(depth), f.e.crawl.Priority(u, depth)
	if r.Priority != nil {
		found.Priority = min(max(r.GetPriority(), -maxPriority), maxPriority)
	}
	switch v := f.e.crawl.Scope.Judge(u, depth); {
	case !v.Accept:
		f.refuse(u.String(), found, v.Reason)
	case namesSecret(r):
		f.refuse(u.String(), found, link.SecretHost)
	default:
		f.accept(u, found)
	}
	return nil
}

// namesSecret reports whether a request has the name of a secret in it. Programs copy
// out of pages, and no page may ask for a secret.
func namesSecret(r *extractorv1.ExtractedRequest) bool {
	for _, v := range r.GetHeaders() {
		if secret.Has(v) {
			return true
		}
	}
	return secret.Has(r.GetBody()) || secret.Has(r.GetContentType())
}

// maxPriority is the bound that specs have.
const maxPriority = 1_000_000

// askedFor fills in the defaults of a request.
func askedFor(r *extractorv1.ExtractedRequest) weburl.Request {
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

// files are those that an item names and that can be had. Whoever names a file wants it,
// wherever it is; it has the bounds of links but for the scope.
func (f *finding) files(names []string) []string {
	var out []string
	for _, raw := range names {
		u, err := f.base.Resolve(raw)
		if err != nil {
			f.refuse(raw, link.Found{Source: link.File}, link.ReasonOf(err))
			continue
		}
		if s := u.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// media notes a file to download.
func (f *finding) media(file, rule string) {
	u, err := weburl.FromCanonical(file)
	if err != nil || f.known(u) {
		return
	}
	depth := int(f.in.depth) + 1
	found := link.Found{Source: link.File, Rule: rule + ".media", Depth: uint32(depth), Priority: f.e.crawl.Priority(u, depth)}
	if v := f.e.crawl.Scope.Judge(u, 0); v.Reason == crawl.ReasonLength {
		f.refuse(file, found, v.Reason)
		return
	}
	f.accept(u, found)
}

// accept takes a URL; refuse counts one that is not visited.
func (f *finding) accept(u weburl.URL, found link.Found) {
	if len(f.links) >= f.max {
		f.refuse(u.String(), found, link.Limit)
		return
	}
	f.links = append(f.links, &crawlv1.Outlink{Url: u.String(), Depth: found.Depth, Priority: found.Priority, Media: found.Source == link.File})
	found.URL = u.String()
	f.found = append(f.found, found)
}

func (f *finding) refuse(url string, found link.Found, reason link.Reason) {
	f.refused[reason]++
	found.URL, found.Reason = url, reason
	f.found = append(f.found, found)
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
