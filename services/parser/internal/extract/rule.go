// Package extract makes items of pages: by a crawl's rules, or one with the facts
// of the page where a crawl has none.
//
// A rule is compiled once for a revision of a spec. On a page it takes the tree
// that all rules share, finds the values of its fields, and writes the item as
// the JSON that the output will have, so that nothing after it needs to know what
// an item is.
//
// The way of a value: a source finds texts, the regex takes a part of each, the
// steps of transform change them, the kind makes JSON of the first that fits, or of
// all.
package extract

import (
	"regexp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/parser/internal/transform"
)

// Kind is what the text of a field is turned into. A text that does not fit
// counts as no value.
type Kind uint8

// The kinds, a closed set.
const (
	// String is the text.
	String Kind = iota
	// Number is a decimal number.
	Number
	// Integer is a whole number in 64 bits.
	Integer
	// Boolean is true, yes, on, 1 or false, no, off, 0, in any case.
	Boolean
	// URL is a reference, made absolute against the page's base.
	URL
	// Date is a date of RFC 3339, with the time of day where the text has one.
	Date
	// JSON is JSON as it stands.
	JSON
)

// Condition is a condition of a rule or field.
type Condition interface {
	// Holds tells whether it is true of a page, and of a text that may be a value.
	Holds(p *Page, value string) bool
}

// Rule describes a rule.
type Rule struct {
	// Path of the rule in the spec, for errors: extract[0].
	Path string
	// Name of the rule, an item's _rule.
	Name string
	// Match tells the pages that it is for; nil means all.
	Match *crawl.Pattern
	// When tells whether the rule is for a page that Match lets through; nil for all.
	When Condition
	// Each names what becomes an item each, with its kind before a colon: css, xpath,
	// json, json_ld or microdata. Empty means one item a page.
	Each string
	// Script is the CSS selector of the element whose JSON is read; empty for none.
	Script string
	// Check returns why an item, the JSON object of its fields, is not taken; empty
	// when it is. Nil takes all.
	Check func(item []byte) string
	// Fields in the order of the item.
	Fields []Field
	// Element says that an element is looked for in each place besides the fields.
	Element bool
}

// Field describes a field. Exactly one source is given (CSS, XPath, JSON, JSONLD,
// Microdata, OpenGraph, Fact, Constant or Secret), or Fields.
type Field struct {
	// Name of the field.
	Name string
	// CSS selects elements, the item's own among them.
	CSS string
	// XPath selects elements, attributes or texts, or computes a text.
	XPath string
	// Attr takes this attribute of the element instead of its text.
	Attr string
	// JSON is a path in the JSON of the page, the item or the script.
	JSON string
	// Script is the CSS selector of the element whose text JSON reads; empty for the
	// rule's.
	Script string
	// JSONLD and Microdata are paths in what the page says about itself.
	JSONLD, Microdata string
	// OpenGraph names a property.
	OpenGraph string
	// Fact takes a fact of the page: see Facts.
	Fact string
	// Constant is a fixed text.
	Constant string
	// Secret names an environment variable of the fetchers; see Values.
	Secret string
	// Regex takes its first group, or the whole match without one; nil takes all.
	Regex *regexp.Regexp
	// Steps change the texts after the regex.
	Steps []transform.Step
	// When tells whether a text may be the value, or whether the object is made; nil
	// for all.
	When Condition
	// Kind of the value.
	Kind Kind
	// Decimal is the decimal mark of numbers, '.' or ','; 0 means '.'.
	Decimal byte
	// Layouts are the forms of dates; none means the usual ones.
	Layouts []string
	// Required drops the item where the field has no value.
	Required bool
	// Many takes all values as a list instead of the first.
	Many bool
	// Default is the text of the value where none is found; nil means null.
	Default *string
	// Media says that the values, of kind URL, are files to download.
	Media bool
	// Each, as in Rule, makes a list of objects of Fields.
	Each string
	// Fields make an object.
	Fields []Field
}

// RuleError is a selector, path or value in a rule that cannot be used.
type RuleError struct {
	// Path of the field in the spec: extract[0].fields.price.css.
	Path string
	// Err says what is wrong.
	Err error
}

// Error returns "path: what is wrong".
func (e *RuleError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *RuleError) Unwrap() error { return e.Err }

// Set is the compiled rules of a crawl, immutable and safe for concurrent use.
type Set struct{ rules []rule }

// Empty reports whether there are no rules: a page then becomes the default item.
func (s *Set) Empty() bool { return s == nil || len(s.rules) == 0 }

// NeedsJSON reports whether a rule for the page reads JSON that is the page.
func (s *Set) NeedsJSON(url string) bool {
	for i := range s.rules {
		if s.rules[i].json && s.rules[i].matches(url) {
			return true
		}
	}
	return false
}

// NamesFiles reports whether a field of a rule has files to download.
func (s *Set) NamesFiles() bool {
	if s == nil {
		return false
	}
	for i := range s.rules {
		if s.rules[i].media {
			return true
		}
	}
	return false
}

type rule struct {
	Rule
	each   each
	fields []field
	names  []string // of all fields, nested ones with their object's before them
	tree   bool     // css or xpath is used
	media  bool     // a field has files to download
	json   bool     // the page is read as JSON
}

func (r *rule) matches(url string) bool { return r.Match == nil || r.Match.Match(url) }

type field struct {
	Field
	id     int    // its place in the rule's names
	key    []byte // `"name":`
	source source // nil for an object
	each   each
	fields []field
	gather bool   // all texts are needed before the first value is known
	absent []byte // what is written without a value
}
