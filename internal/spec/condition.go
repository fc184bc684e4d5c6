package spec

import (
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr/vm"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// PageFacts are what a condition may ask of a page.
type PageFacts struct {
	// URL of the page, canonical; the condition sees it without its request.
	URL string
	// Depth in links from a seed.
	Depth int
	// Status of HTTP.
	Status int
	// ContentType without parameters, Language and Title of the page.
	ContentType, Language, Title string
	// Header returns the value of a response header; nil for none.
	Header func(name string) string
}

// ruleFacts are the names that the condition of a rule knows.
type ruleFacts struct {
	facts
	Status      int                 `expr:"status"`
	ContentType string              `expr:"content_type"`
	Language    string              `expr:"language"`
	Title       string              `expr:"title"`
	Header      func(string) string `expr:"header"`
}

// fieldFacts are the names that the condition of a field knows.
type fieldFacts struct {
	ruleFacts
	Value string `expr:"value"`
}

func conditionNames(ofField bool) []string {
	names := append(factNames(), "status", "content_type", "language", "title", "header")
	if ofField {
		names = append(names, "value")
	}
	return names
}

// Condition is the when of a rule or a field, immutable and safe for concurrent
// use.
type Condition struct {
	expression *expression
	ofField    bool
	machines   sync.Pool
}

// CompileCondition compiles the when of a rule, or of a field, which also knows its
// value. The error says in one line what is wrong.
func CompileCondition(text string, ofField bool) (*Condition, error) {
	var env any = ruleFacts{}
	if ofField {
		env = fieldFacts{}
	}
	e, err := compileIn(env, conditionNames(ofField), text, true)
	if err != nil {
		return nil, err
	}
	return &Condition{expression: e, ofField: ofField}, nil
}

// pageMachine evaluates conditions.
type pageMachine struct {
	vm    vm.VM
	facts fieldFacts
}

// Holds tells whether the condition is true of a page, and of the value of a field.
// One that cannot be evaluated, such as a segment that the URL has not, is not.
func (c *Condition) Holds(p *PageFacts, value string) bool {
	m, ok := c.machines.Get().(*pageMachine)
	if !ok {
		m = &pageMachine{vm: vm.VM{MemoryBudget: expressionMemory}}
	}
	defer c.machines.Put(m)
	m.facts.set(c.expression, p)
	m.facts.Value = value
	var env any = &m.facts.ruleFacts
	if c.ofField {
		env = &m.facts
	}
	v, err := m.vm.Run(c.expression.program, env)
	holds, _ := v.(bool)
	return err == nil && holds
}

// set takes the facts of a page, those that cost something where they are used.
func (f *ruleFacts) set(e *expression, p *PageFacts) {
	f.facts = facts{URL: p.URL, Depth: p.Depth, Segments: f.Segments[:0]}
	f.Status, f.ContentType, f.Language, f.Title, f.Header = p.Status, p.ContentType, p.Language, p.Title, p.Header
	if f.Header == nil {
		f.Header = func(string) string { return "" }
	}
	u, err := weburl.FromCanonical(p.URL)
	if err != nil {
		return
	}
	f.URL, f.Scheme, f.Host = u.WithoutRequest().String(), u.Scheme(), u.Host()
	f.Path, f.Query, _ = strings.Cut(u.PathQuery(), "?")
	if e.domain {
		f.Domain = u.Site()
	}
	if e.segments {
		f.Segments = slices.AppendSeq(f.Segments, crawl.Segments(f.Path))
	}
}
