package parser

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

// CheckSpec reports every CSS selector of a spec that cannot be used, with the
// path of its field; its kind is crawl.Invalid. It is what spec.Validate leaves to
// the parser, and says nothing about the rest of the spec.
func CheckSpec(s *crawlv1.CrawlSpec) error {
	var rules []extract.Rule
	for i, r := range s.GetExtract() {
		rule := extract.Rule{Path: rulePath(i), Each: eachSelector(r.GetEach())}
		for name, f := range r.GetFields() {
			rule.Fields = append(rule.Fields, extract.Field{Name: name, CSS: f.GetCss()})
		}
		slices.SortFunc(rule.Fields, func(a, b extract.Field) int { return strings.Compare(a.Name, b.Name) })
		rules = append(rules, rule)
	}
	if _, err := extract.Compile(rules); err != nil {
		return &crawl.Error{Kind: crawl.Invalid, Err: err}
	}
	return nil
}

// rulePath is the path of a rule in errors, as spec.Validate writes it.
func rulePath(i int) string { return fmt.Sprintf("extract[%d]", i) }

func eachSelector(each string) string { return strings.TrimSpace(strings.TrimPrefix(each, "css:")) }

// rulesOf compiles the rules of a crawl; nil without any.
func rulesOf(c *spec.Compiled) (*extract.Set, error) {
	if len(c.Rules) == 0 {
		return nil, nil
	}
	rules := make([]extract.Rule, 0, len(c.Rules))
	for i, r := range c.Rules {
		rule := extract.Rule{Path: rulePath(i), Name: r.Name, Match: r.Match, Each: r.Each}
		for _, f := range r.Fields {
			rule.Fields = append(rule.Fields, fieldOf(f.Name, f.Rule, f.Regex))
		}
		rules = append(rules, rule)
	}
	return extract.Compile(rules)
}

func fieldOf(name string, f *crawlv1.FieldRule, re *regexp.Regexp) extract.Field {
	return extract.Field{
		Name: name, CSS: f.GetCss(), Attr: strings.ToLower(f.GetAttr()), Fact: extract.Fact(f.GetValue()),
		Regex: re, Kind: kindOf(f.GetType()), Required: f.GetRequired(), Many: f.GetMany(),
	}
}

func kindOf(t crawlv1.FieldType) extract.Kind {
	switch t {
	case crawlv1.FieldType_FIELD_TYPE_NUMBER:
		return extract.Number
	case crawlv1.FieldType_FIELD_TYPE_INTEGER:
		return extract.Integer
	case crawlv1.FieldType_FIELD_TYPE_BOOLEAN:
		return extract.Boolean
	case crawlv1.FieldType_FIELD_TYPE_URL:
		return extract.URL
	}
	return extract.String
}

// readyCrawl is a crawl made ready for the core, and what is wrong with its rules.
type readyCrawl struct {
	compiled *spec.Compiled
	crawl    page.Crawl
	warning  string
}

// ready compiles what the core needs of a crawl. Selectors that cannot be used
// cost the crawl its items and not its pages: whoever submitted it past CheckSpec
// finds the reason in every record.
func ready(c *spec.Compiled, maxOutlinks int) *readyCrawl {
	parse := c.Spec.GetParse()
	r := &readyCrawl{compiled: c, crawl: page.Crawl{
		Agent: c.Agent, Sitemaps: parse.GetSitemaps(), NamedSitemaps: namedSitemaps(c),
		Links: link.Config{
			Canon: c.Canon, Scope: c.Scope, Priority: c.Priority, Max: maxOutlinks,
			Follow: parse.GetFollowLinks(), ObeyNoFollow: parse.GetObeyNofollow(), Kinds: kindsOf(parse.GetFollow()),
		},
	}}
	rules, err := rulesOf(c)
	if err != nil {
		r.crawl.NoItems = true
		r.warning = "no items: " + firstLine(err)
		return r
	}
	r.crawl.Rules = rules
	return r
}

// namedSitemaps are the URLs that the spec calls sitemaps.
func namedSitemaps(c *spec.Compiled) map[string]bool {
	named := make(map[string]bool)
	for _, raw := range c.Spec.GetSeeds().GetSitemaps() {
		if u, err := c.Canon.Parse(raw); err == nil {
			named[u.String()] = true
		}
	}
	return named
}

// kindsOf makes a set of link kinds; their numbers are those of the core.
func kindsOf(list []crawlv1.LinkKind) document.Kinds {
	var set document.Kinds
	for _, k := range list {
		set |= 1 << k
	}
	return set & document.All
}

func firstLine(err error) string {
	if e, ok := errors.AsType[*extract.SelectorError](err); ok {
		err = e
	}
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

// crawls keeps ready crawls. The bus makes a new *spec.Compiled whenever a crawl
// changes (its revision, or the hosts of its seeds), so identity is the key.
type crawls struct {
	mu          sync.RWMutex
	ready       map[string]*readyCrawl
	maxOutlinks int
}

// maxReady bounds the crawls that are kept: compiling one takes less than reading
// a page does, so a full cache is simply emptied.
const maxReady = 1024

func (c *crawls) get(s *spec.Compiled) *readyCrawl {
	c.mu.RLock()
	r := c.ready[s.ID]
	c.mu.RUnlock()
	if r != nil && r.compiled == s {
		return r
	}
	r = ready(s, c.maxOutlinks)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready == nil || len(c.ready) >= maxReady {
		c.ready = make(map[string]*readyCrawl)
	}
	c.ready[s.ID] = r
	return r
}
