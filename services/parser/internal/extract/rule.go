// Package extract makes items of pages: by a crawl's rules, or one with the facts
// of the page where a crawl has none.
//
// A rule is compiled once for a revision of a spec. On a page it takes the tree
// that all rules share, finds the values of its fields, and writes the item as
// the JSON that the output will have, so that nothing after it needs to know what
// an item is.
package extract

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/andybalholm/cascadia"

	"github.com/weircrawl/weir/internal/crawl"
)

// Kind is what the text of a field is turned into. A text that does not fit
// counts as no value.
type Kind uint8

// The kinds, a closed set.
const (
	// String is the text.
	String Kind = iota
	// Number is a decimal number with a point; commas may part thousands.
	Number
	// Integer is a whole number in 64 bits.
	Integer
	// Boolean is true, yes, on, 1 or false, no, off, 0, in any case.
	Boolean
	// URL is a reference, made absolute against the page's base.
	URL
)

// Fact names a fact of the page that a field may take.
type Fact string

// The facts, a closed set.
const (
	FactURL         Fact = "url"
	FactDepth       Fact = "depth"
	FactFetchedAt   Fact = "fetched_at"
	FactStatus      Fact = "status"
	FactContentType Fact = "content_type"
	FactTitle       Fact = "title"
)

// Rule describes a rule.
type Rule struct {
	// Path of the rule in the spec, for errors: extract[0].
	Path string
	// Name of the rule, an item's _rule.
	Name string
	// Match tells the pages that it is for; nil means all.
	Match *crawl.Pattern
	// Each is the CSS selector whose matches become items; empty means one item a
	// page.
	Each string
	// Fields in the order of the item.
	Fields []Field
}

// Field describes a field. Exactly one of CSS and Fact is given.
type Field struct {
	// Name of the field.
	Name string
	// CSS selects elements, the item's own among them.
	CSS string
	// Attr takes this attribute of the element instead of its text.
	Attr string
	// Fact takes a fact of the page.
	Fact Fact
	// Regex takes its first group, or the whole match without one; nil takes all.
	Regex *regexp.Regexp
	// Kind of the value.
	Kind Kind
	// Required drops the item where the field has no value.
	Required bool
	// Many takes all values as a list instead of the first.
	Many bool
}

// SelectorError is a CSS selector that cannot be used.
type SelectorError struct {
	// Path of the field in the spec: extract[0].fields.price.css.
	Path string
	// Err says what is wrong.
	Err error
}

// Error returns "path: what is wrong".
func (e *SelectorError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SelectorError) Unwrap() error { return e.Err }

// Set is the compiled rules of a crawl, immutable and safe for concurrent use.
type Set struct{ rules []rule }

type rule struct {
	Rule
	each   cascadia.SelectorGroup
	fields []field
	tree   bool
}

type field struct {
	Field
	css cascadia.SelectorGroup
	key []byte // `"name":`
}

// Compile compiles rules. The error joins a *SelectorError for every selector
// that is wrong.
func Compile(rules []Rule) (*Set, error) {
	var errs []error
	parse := func(path, css string) cascadia.SelectorGroup {
		if css == "" {
			return nil
		}
		g, err := cascadia.ParseGroup(css)
		if err != nil {
			errs = append(errs, &SelectorError{path, fmt.Errorf("%q is not a CSS selector: %w", css, err)})
		}
		return g
	}
	s := &Set{}
	for _, r := range rules {
		c := rule{Rule: r, each: parse(r.Path+".each", r.Each), tree: r.Each != ""}
		for _, f := range r.Fields {
			c.tree = c.tree || f.CSS != ""
			key := append(appendString(nil, f.Name), ':')
			c.fields = append(c.fields, field{f, parse(r.Path+".fields."+f.Name+".css", f.CSS), key})
		}
		s.rules = append(s.rules, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Empty reports whether there are no rules: a page then becomes the default item.
func (s *Set) Empty() bool { return s == nil || len(s.rules) == 0 }

// needsTree reports whether a rule for the page selects elements.
func (s *Set) needsTree(url string) bool {
	for i := range s.rules {
		if s.rules[i].tree && s.rules[i].matches(url) {
			return true
		}
	}
	return false
}

func (r *rule) matches(url string) bool { return r.Match == nil || r.Match.Match(url) }
