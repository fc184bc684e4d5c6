// Package follow has the rules of a crawl on links: which links of which pages are
// followed, how deep and with what priority.
//
// The rules for a page are those whose pattern its URL matches. Of those that
// select a link the last one decides. Where the page has a rule that does more than
// forbid, links that no rule selects are not followed.
package follow

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/tree"
	"github.com/weircrawl/weir/services/parser/internal/xpath"
)

// Rule is a rule as written.
type Rule struct {
	// Path of the rule in the spec, its name in explanations and errors.
	Path string
	// Match tells the pages it is for; nil means every page.
	Match *crawl.Pattern
	// CSS and XPath select elements whose links it is for, those inside them among
	// them; empty means the whole page.
	CSS, XPath string
	// Kinds of links that it is for; none means those that the crawl follows.
	Kinds document.Kinds
	// Links tells the URLs that it is for; nil means every URL.
	Links *crawl.Pattern
	// Priority of the links; nil leaves it to the crawl.
	Priority *int32
	// MaxDepth of the links; negative for no bound.
	MaxDepth int
	// NoFollow forbids the links; Pagination gives them the depth of the page.
	NoFollow bool
	// Pagination gives the links the depth of the page itself.
	Pagination bool
}

// RuleError says what is wrong with a field of a rule.
type RuleError struct {
	// Path of the field.
	Path string
	// Err says what is wrong.
	Err error
}

// Error returns "path: what is wrong".
func (e *RuleError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *RuleError) Unwrap() error { return e.Err }

// rule is a compiled rule.
type rule struct {
	Rule
	css   cascadia.SelectorGroup
	xpath *xpath.Expr
}

// Set is the rules of a crawl, safe for concurrent use. A nil set is empty.
type Set struct {
	rules []rule
	kinds document.Kinds
}

// Compile compiles rules; nil for none. The error joins a *RuleError for everything
// that is wrong.
func Compile(rules []Rule) (*Set, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	s := &Set{}
	var errs []error
	for _, r := range rules {
		c := rule{Rule: r}
		var err error
		if r.CSS != "" {
			if c.css, err = cascadia.ParseGroup(r.CSS); err != nil {
				errs = append(errs, &RuleError{r.Path + ".css", fmt.Errorf("%q is not a CSS selector: %w", r.CSS, err)})
			}
		}
		if r.XPath != "" {
			if c.xpath, err = xpath.Compile(r.XPath); err != nil {
				errs = append(errs, &RuleError{r.Path + ".xpath", fmt.Errorf("%q is not an XPath expression: %w", r.XPath, err)})
			}
		}
		s.rules = append(s.rules, c)
		s.kinds |= r.Kinds
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Kinds returns the kinds that rules name: they are followed where a rule selects
// them.
func (s *Set) Kinds() document.Kinds {
	if s == nil {
		return 0
	}
	return s.kinds
}

// Page returns the rules for a page; nil where it has none.
func (s *Set) Page(url string) *Page {
	if s == nil {
		return nil
	}
	var p Page
	for i := range s.rules {
		if r := &s.rules[i]; r.Match == nil || r.Match.Match(url) {
			p.rules = append(p.rules, pageRule{rule: r})
		}
	}
	if len(p.rules) == 0 {
		return nil
	}
	return &p
}

// Page is the rules for one page. It is not safe for concurrent use.
type Page struct{ rules []pageRule }

type pageRule struct {
	*rule
	// urls are those in the rule's elements; nil for a rule on the whole page.
	urls map[string]struct{}
}

// NeedsTree reports whether a rule selects elements.
func (p *Page) NeedsTree() bool {
	return slices.ContainsFunc(p.rules, func(r pageRule) bool { return r.CSS != "" || r.XPath != "" })
}

// WithoutTree drops the rules that select elements, of a page that has no tree.
func (p *Page) WithoutTree() {
	p.rules = slices.DeleteFunc(p.rules, func(r pageRule) bool { return r.CSS != "" || r.XPath != "" })
}

// Select finds the links in the elements of the rules: urls returns the URLs in an
// element. The error says which rule cannot be used on this page, which it then is
// not.
func (p *Page) Select(root *html.Node, stop *atomic.Bool, urls func(*html.Node) []string) error {
	var errs []error
	for i := range p.rules {
		r := &p.rules[i]
		if r.CSS == "" && r.XPath == "" {
			continue
		}
		r.urls = make(map[string]struct{})
		take := func(n *html.Node) {
			if stop != nil && stop.Load() {
				return // elements in elements, found inside out, are read many times
			}
			for _, u := range urls(n) {
				r.urls[u] = struct{}{}
			}
		}
		if err := r.each(root, stop, take); err != nil && !errors.Is(err, tree.ErrStopped) {
			errs = append(errs, fmt.Errorf("%s: %w", r.Path, err))
		}
	}
	return errors.Join(errs...)
}

// each calls found for the rule's elements, but for those inside others.
func (r *pageRule) each(root *html.Node, stop *atomic.Bool, found func(*html.Node)) error {
	var last *html.Node
	outermost := func(n *html.Node) {
		if last == nil || !inside(n, last) {
			last = n
			found(n)
		}
	}
	if r.xpath != nil {
		return r.xpath.Each(root, stop, func(x xpath.Result) bool {
			if x.Node != nil {
				outermost(x.Node)
			}
			return true
		})
	}
	tree.Walk(root, stop, func(n *html.Node) bool {
		if r.css.Match(n) {
			outermost(n)
		}
		return true
	})
	return nil
}

// inside reports whether an element is in another one.
func inside(n, outer *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if n == outer {
			return true
		}
	}
	return false
}

// Judge implements link.Rules.
func (p *Page) Judge(kind document.Kind, usual document.Kinds, url string) link.Decision {
	d := link.Decision{MaxDepth: -1}
	for i := range slices.Backward(p.rules) {
		r := &p.rules[i]
		if !r.selects(kind, usual, url) {
			d.Unselected = d.Unselected || !r.NoFollow
			continue
		}
		return link.Decision{
			Rule: r.Path, NoFollow: r.NoFollow, Selected: true, Pagination: r.Pagination, MaxDepth: r.MaxDepth, Priority: r.Priority,
		}
	}
	return d
}

func (r *pageRule) selects(kind document.Kind, usual document.Kinds, url string) bool {
	kinds := r.Kinds
	if kinds == 0 {
		kinds = usual
	}
	if !kinds.Has(kind) || r.Links != nil && !r.Links.Match(url) {
		return false
	}
	if r.urls == nil {
		return true
	}
	_, ok := r.urls[url]
	return ok
}
