// Package request makes requests of pages that no link leads to: forms filled in, and
// pages of an API, by a crawl's rules.
//
// The way of a request: the fields of its rule find values as those of items do; they
// take the place of what the form has, or fill the gaps of the address; what is left of
// them becomes a query or a body. Whether it is made is then a matter of the scope, as
// for links.
package request

import (
	"errors"
	"fmt"
	"strings"

	"github.com/andybalholm/cascadia"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/parser/internal/extract"
)

// Encoding is how the fields of a request are sent.
type Encoding uint8

// The encodings, a closed set.
const (
	// Default is query for a GET and form for a POST.
	Default Encoding = iota
	// Form puts them into the body as a form does.
	Form
	// JSON makes the body an object of them.
	JSON
	// Query puts them into the query of the URL.
	Query
)

// Rule is a rule as written.
type Rule struct {
	// Path of the rule in the spec, for errors: requests[0].
	Path string
	// Name of the rule, its name in explanations.
	Name string
	// Match tells the pages that it is for; nil means all.
	Match *crawl.Pattern
	// When tells whether the rule is for a page that Match lets through; nil for all.
	When extract.Condition
	// Each and Script are as in extract.Rule.
	Each, Script string
	// Form is the CSS selector of a form; empty for none.
	Form string
	// URL of the request, with {name} for the values of fields; empty for that of the
	// form, or of the page.
	URL string
	// Method is GET, POST or empty for what the form or the fields ask for.
	Method string
	// Encoding of the fields.
	Encoding Encoding
	// Fields in the order in which they are sent.
	Fields []extract.Field
	// Body as it stands; empty for that of the fields.
	Body string
	// Header fields of the request.
	Header map[string]string
	// Priority of the requests; nil leaves it to the crawl.
	Priority *int32
	// MaxDepth of the requests; negative for no bound.
	MaxDepth int
	// Pagination gives the requests the depth of the page itself.
	Pagination bool
}

// rule is a compiled rule.
type rule struct {
	Rule
	form    cascadia.SelectorGroup
	address []part
	// whole says that the address is a value as it stands.
	whole bool
	// gaps are the fields that the address has.
	gaps map[string]bool
	// sent says that there are fields beside those.
	sent bool
}

// part is a piece of an address: a text or the value of a field.
type part struct {
	text, field string
}

// Set is the rules of a crawl, safe for concurrent use. A nil set is empty.
type Set struct {
	rules  []rule
	values *extract.Set
}

// Compile compiles rules; nil for none. The error joins an *extract.RuleError for
// everything that is wrong.
func Compile(rules []Rule) (*Set, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	s := &Set{}
	var errs []error
	var values []extract.Rule
	for _, r := range rules {
		c := rule{Rule: r, gaps: map[string]bool{}}
		var err error
		if r.Form != "" {
			if c.form, err = cascadia.ParseGroup(r.Form); err != nil {
				errs = append(errs, &extract.RuleError{Path: r.Path + ".form", Err: fmt.Errorf("%q is not a CSS selector: %w", r.Form, err)})
			}
		}
		if err := c.parse(); err != nil {
			errs = append(errs, &extract.RuleError{Path: r.Path + ".url", Err: err})
		}
		s.rules = append(s.rules, c)
		values = append(values, extract.Rule{
			Path: r.Path, Name: r.Name, Match: r.Match, When: r.When, Each: r.Each, Script: r.Script, Fields: r.Fields, Element: r.Form != "",
		})
	}
	var err error
	if s.values, err = extract.Compile(values); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// parse takes the address apart.
func (r *rule) parse() error {
	known := map[string]bool{}
	for _, f := range r.Fields {
		known[f.Name] = true
	}
	for rest := r.URL; rest != ""; {
		text, after, found := strings.Cut(rest, "{")
		if text != "" {
			r.address = append(r.address, part{text: text})
		}
		if !found {
			break
		}
		name, after, found := strings.Cut(after, "}")
		if !found {
			return fmt.Errorf("%q has a { without its }", r.URL)
		}
		if !known[name] {
			return fmt.Errorf("{%s} is no field of the rule", name)
		}
		r.address = append(r.address, part{field: name})
		r.gaps[name] = true
		rest = after
	}
	r.whole = len(r.address) == 1 && r.address[0].field != ""
	for _, f := range r.Fields {
		if !r.gaps[f.Name] {
			r.sent = true
		} else if f.Secret != "" {
			return fmt.Errorf("{%s} is a secret, which no address may have: addresses are logged", f.Name)
		}
	}
	return nil
}

// Empty reports whether there are no rules.
func (s *Set) Empty() bool { return s == nil || len(s.rules) == 0 }

// NeedsJSON reports whether a rule for the page reads JSON that is the page.
func (s *Set) NeedsJSON(url string) bool { return !s.Empty() && s.values.NeedsJSON(url) }
