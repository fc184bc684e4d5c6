package parser

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/follow"
	"github.com/weircrawl/weir/services/parser/internal/itemschema"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/page"
	"github.com/weircrawl/weir/services/parser/internal/transform"
)

// CheckSpec reports every selector, path and value in the rules of a valid spec that
// cannot be used, each a *spec.Problem; its kind is crawl.Invalid. It is what
// spec.Validate leaves to the parser.
func CheckSpec(s *crawlv1.CrawlSpec) error {
	var rules []extract.Rule
	var errs []error
	for i, r := range s.GetExtract() {
		rule, err := ruleOf(i, r)
		if err != nil {
			errs = append(errs, err)
		}
		rules = append(rules, rule)
	}
	if _, err := extract.Compile(rules); err != nil {
		errs = append(errs, problems(err)...)
	}
	if _, err := followOf(s.GetFollow()); err != nil {
		errs = append(errs, problems(err)...)
	}
	if _, err := requestsOf(s.GetRequests()); err != nil {
		errs = append(errs, problems(err)...)
	}
	if len(errs) == 0 {
		return nil
	}
	return &crawl.Error{Kind: crawl.Invalid, Err: errors.Join(errs...)}
}

// problems makes the errors of extract.Compile into those of a spec.
func problems(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, err := range joined.Unwrap() {
		if _, nested := err.(interface{ Unwrap() []error }); nested {
			out = append(out, problems(err)...)
			continue
		}
		if e, ok := errors.AsType[*extract.RuleError](err); ok {
			err = &spec.Problem{Path: e.Path, Text: e.Err.Error()}
		}
		if e, ok := errors.AsType[*follow.RuleError](err); ok {
			err = &spec.Problem{Path: e.Path, Text: e.Err.Error()}
		}
		out = append(out, err)
	}
	return out
}

// rulesOf compiles the rules of a crawl; nil without any.
func rulesOf(c *spec.Compiled) (*extract.Set, error) {
	if len(c.Rules) == 0 {
		return nil, nil
	}
	rules := make([]extract.Rule, 0, len(c.Rules))
	for i, r := range c.Rules {
		rule, err := ruleOf(i, r.Rule)
		if err != nil {
			return nil, err
		}
		rule.Match = r.Match
		rules = append(rules, rule)
	}
	return extract.Compile(rules)
}

// ruleOf makes the core's form of a rule, but for its URL pattern.
func ruleOf(i int, r *crawlv1.ExtractRule) (extract.Rule, error) {
	path := fmt.Sprintf("extract[%d]", i) // as spec.Validate writes it
	out := extract.Rule{Path: path, Name: r.GetName(), Each: r.GetEach(), Script: r.GetScript()}
	var err error
	if out.When, err = conditionOf(path, r.GetWhen(), false); err != nil {
		return out, err
	}
	if out.Check, err = checkOf(path, r.GetSchema()); err != nil {
		return out, err
	}
	out.Fields, err = fieldsOf(path+".fields", r.GetFields())
	return out, err
}

// checkOf compiles a schema; nil for none.
func checkOf(path, text string) (func([]byte) string, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.HasPrefix(text, "{") {
		return nil, &spec.Problem{Path: path + ".schema", Text: fmt.Sprintf("%q is a file, which the client was to read; give the schema itself", text)}
	}
	s, err := itemschema.Compile(text)
	if err != nil {
		return nil, &spec.Problem{Path: path + ".schema", Text: err.Error()}
	}
	return s.Check, nil
}

// condition is one of a spec in the core's form.
type condition struct{ *spec.Condition }

// maxJudged bounds the part of a text that a condition sees: its time grows with it.
const maxJudged = 8 << 10

// Holds implements extract.Condition.
func (c condition) Holds(p *extract.Page, value string) bool {
	if len(value) > maxJudged {
		value = strings.ToValidUTF8(value[:maxJudged], "")
	}
	return c.Condition.Holds(&spec.PageFacts{
		URL: p.URL, Depth: int(p.Depth), Status: int(p.Status), ContentType: p.ContentType, Language: p.Language, Title: p.Title, Header: p.Header,
	}, value)
}

// conditionOf compiles a condition; nil for none.
func conditionOf(path, text string, ofField bool) (extract.Condition, error) {
	if text == "" {
		return nil, nil
	}
	c, err := spec.CompileCondition(text, ofField)
	if err != nil {
		return nil, &spec.Problem{Path: path + ".when", Text: err.Error()}
	}
	return condition{c}, nil
}

func fieldsOf(path string, rules map[string]*crawlv1.FieldRule) ([]extract.Field, error) {
	var out []extract.Field
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		f, err := fieldOf(path+"."+name, name, rules[name])
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func fieldOf(path, name string, r *crawlv1.FieldRule) (extract.Field, error) {
	f := extract.Field{
		Name: name, CSS: r.GetCss(), XPath: r.GetXpath(), Attr: strings.ToLower(r.GetAttr()), JSON: r.GetJson(), Script: r.GetScript(),
		JSONLD: r.GetJsonLd(), Microdata: r.GetMicrodata(), OpenGraph: r.GetOpenGraph(), Fact: r.GetValue(), Constant: r.GetConstant(), Secret: r.GetSecret(),
		Kind: kindOf(r.GetType()), Layouts: r.GetLayouts(), Required: r.GetRequired(), Many: r.GetMany(), Default: r.Default, Each: r.GetEach(), Media: r.GetMedia(),
	}
	if d := r.GetDecimal(); d != "" {
		f.Decimal = d[0]
	}
	var err error
	if f.When, err = conditionOf(path, r.GetWhen(), true); err != nil {
		return f, err
	}
	if text := r.GetRegex(); text != "" {
		if f.Regex, err = regexp.Compile(text); err != nil {
			return f, &spec.Problem{Path: path + ".regex", Text: err.Error()}
		}
	}
	for i, t := range r.GetTransform() {
		step, err := stepOf(t)
		if err != nil {
			return f, &spec.Problem{Path: fmt.Sprintf("%s.transform[%d]", path, i), Text: err.Error()}
		}
		f.Steps = append(f.Steps, step)
	}
	f.Fields, err = fieldsOf(path+".fields", r.GetFields())
	return f, err
}

func stepOf(t *crawlv1.Transform) (transform.Step, error) {
	switch s := t.GetStep().(type) {
	case *crawlv1.Transform_Lower:
		return transform.Lower(), nil
	case *crawlv1.Transform_Upper:
		return transform.Upper(), nil
	case *crawlv1.Transform_Absolute:
		return transform.Absolute(), nil
	case *crawlv1.Transform_Replace:
		return transform.Replace(s.Replace.GetOld(), s.Replace.GetNew()), nil
	case *crawlv1.Transform_ReplaceRegex:
		re, err := regexp.Compile(s.ReplaceRegex.GetOld())
		if err != nil {
			return nil, err
		}
		return transform.ReplaceRegex(re, s.ReplaceRegex.GetNew()), nil
	case *crawlv1.Transform_Split:
		return transform.Split(s.Split), nil
	case *crawlv1.Transform_Join:
		return transform.Join(s.Join), nil
	case *crawlv1.Transform_Add:
		return transform.Add(s.Add), nil
	}
	return transform.Trim(), nil
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
	case crawlv1.FieldType_FIELD_TYPE_DATE:
		return extract.Date
	case crawlv1.FieldType_FIELD_TYPE_JSON:
		return extract.JSON
	}
	return extract.String
}

// readyCrawl is a crawl made ready for the core, and what is wrong with its rules.
type readyCrawl struct {
	compiled  *spec.Compiled
	crawl     page.Crawl
	extractor *extractor // nil without one
	noDefault bool       // the items are those of the extractor alone
	warning   string
}

// ready compiles what the core needs of a crawl. Selectors that cannot be used
// cost the crawl its items and not its pages: whoever submitted it past CheckSpec
// finds the reason in every record.
func ready(c *spec.Compiled, maxOutlinks int) *readyCrawl {
	parse := c.Spec.GetParse()
	r := &readyCrawl{compiled: c, crawl: page.Crawl{
		Structured: parse.GetStructuredData(), Text: textForm(parse.GetText()),
		Render: c.Spec.GetFetch().GetRender() == crawlv1.Render_RENDER_AUTO,
		Agent:  c.Agent, Sitemaps: parse.GetSitemaps(), NamedSitemaps: namedSitemaps(c),
		Links: link.Config{
			Canon: c.Canon, Scope: c.Scope, Priority: c.Priority, Max: maxOutlinks,
			Follow: parse.GetFollowLinks(), ObeyNoFollow: parse.GetObeyNofollow(), Kinds: kindsOf(parse.GetFollow()),
		},
	}}
	rules, err := rulesOf(c)
	if err != nil {
		r.crawl.NoItems = true
		r.warning = "no items: " + firstLine(err)
	}
	r.crawl.Rules, r.crawl.Files = rules, rules.NamesFiles()
	// Without its rules a crawl that was submitted past CheckSpec follows all links.
	if r.crawl.Follow, err = followOf(c.Spec.GetFollow()); err != nil {
		r.warning = join(r.warning, "no rules on links: "+firstLine(err))
	}
	if r.crawl.Requests, err = requestsOf(c.Spec.GetRequests()); err != nil {
		r.warning = join(r.warning, "no requests: "+firstLine(err))
	}
	if r.extractor, err = extractorOf(c); err != nil {
		r.warning = join(r.warning, "no extractor: "+firstLine(err))
	}
	r.noDefault = c.Spec.GetExtractor() != nil && len(c.Rules) == 0
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

func textForm(f crawlv1.TextForm) page.TextForm {
	switch f {
	case crawlv1.TextForm_TEXT_FORM_PLAIN:
		return page.PlainText
	case crawlv1.TextForm_TEXT_FORM_MARKDOWN:
		return page.Markdown
	}
	return page.NoText
}

func firstLine(err error) string {
	if e, ok := errors.AsType[*extract.RuleError](err); ok {
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
