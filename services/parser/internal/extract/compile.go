package extract

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/andybalholm/cascadia"

	"github.com/weircrawl/weir/services/parser/internal/structured"
	"github.com/weircrawl/weir/services/parser/internal/transform"
	"github.com/weircrawl/weir/services/parser/internal/xpath"
)

// Compile compiles rules. The error joins a *RuleError for everything that is
// wrong.
func Compile(rules []Rule) (*Set, error) {
	var errs []error
	s := &Set{}
	for _, r := range rules {
		c := compiler{path: r.Path}
		s.rules = append(s.rules, c.rule(r))
		errs = append(errs, c.errs...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// compiler compiles one rule and gathers what is wrong with it.
type compiler struct {
	path string
	errs []error
	// script is the element whose JSON is read where a field names none; nil for the
	// JSON of the place.
	script cascadia.SelectorGroup
	names  []string
	tree   bool
	json   bool
	media  bool
}

func (c *compiler) errorf(path, format string, args ...any) {
	c.errs = append(c.errs, &RuleError{path, fmt.Errorf(format, args...)})
}

func (c *compiler) rule(r Rule) rule {
	c.script = c.css(r.Path+".script", r.Script)
	out := rule{Rule: r, each: c.each(r.Path+".each", r.Each)}
	if _, ok := out.each.(jsonEach); ok {
		c.script = nil // fields count from the element of the list
	}
	out.fields = c.fields(r.Path+".fields", "", r.Fields)
	out.names, out.tree, out.json, out.media = c.names, c.tree || r.Element, c.json, c.media
	return out
}

func (c *compiler) fields(path, prefix string, fields []Field) []field {
	out := make([]field, 0, len(fields))
	for _, f := range fields {
		out = append(out, c.field(path+"."+f.Name, prefix, f))
	}
	return out
}

func (c *compiler) field(path, prefix string, f Field) field {
	out := field{Field: f, id: len(c.names), key: append(appendString(nil, f.Name), ':')}
	c.names = append(c.names, prefix+f.Name)
	c.media = c.media || f.Media
	if len(f.Fields) > 0 {
		script := c.script
		if out.each = c.each(path+".each", f.Each); out.each != nil {
			if _, ok := out.each.(jsonEach); ok {
				c.script = nil
			}
			out.Many = true
		}
		out.fields = c.fields(path+".fields", prefix+f.Name+".", f.Fields)
		c.script = script
	} else {
		out.source = c.source(path, f)
	}
	out.gather = f.Many || transform.Joins(f.Steps)
	switch {
	case f.Default != nil:
		out.absent = c.absent(path+".default", f)
	case out.Many:
		out.absent = []byte("[]")
	default:
		out.absent = []byte("null")
	}
	return out
}

// absent is what is written for a field without a value: its default as JSON.
func (c *compiler) absent(path string, f Field) []byte {
	v, ok := appendValue(nil, &f, *f.Default, nil)
	switch {
	case ok:
	case f.Kind == String:
		v = []byte(`""`)
	case f.Kind == URL:
		v = appendString(nil, *f.Default)
	default:
		c.errorf(path, "%q does not fit the type of the field", *f.Default)
	}
	if f.Many {
		v = slices.Concat([]byte{'['}, v, []byte{']'})
	}
	return v
}

// source compiles the source of a field.
func (c *compiler) source(path string, f Field) source {
	switch {
	case f.CSS != "":
		return cssSource{c.css(path+".css", f.CSS), f.Attr}
	case f.XPath != "":
		return xpathSource{c.xpath(path+".xpath", f.XPath), f.Attr}
	case f.JSON != "":
		script := c.script
		if f.Script != "" {
			script = c.css(path+".script", f.Script)
		}
		return c.jsonSource(path+".json", f.JSON, script)
	case f.JSONLD != "":
		return jsonLDSource{c.structured(path+".json_ld", f.JSONLD)}
	case f.Microdata != "":
		return microdataSource{c.structured(path+".microdata", f.Microdata)}
	case f.OpenGraph != "":
		return openGraphSource(f.OpenGraph)
	case f.Fact != "":
		return factSource(f.Fact)
	case f.Secret != "":
		return constantSource("{" + f.Secret + "}")
	}
	return constantSource(f.Constant)
}

// each compiles what becomes an item, or an object of a list, each; nil for none.
func (c *compiler) each(path, text string) each {
	if text == "" {
		return nil
	}
	kind, rest, _ := strings.Cut(text, ":")
	rest = strings.TrimSpace(rest)
	switch kind {
	case "css":
		return cssEach{c.css(path, rest)}
	case "xpath":
		return xpathEach{c.xpath(path, rest)}
	case "json":
		return jsonEach(c.jsonSource(path, rest, c.script))
	case "json_ld", "microdata":
		typ, err := structured.ParseType(rest)
		if err != nil {
			c.errorf(path, "%q %w", text, err)
		}
		if kind == "json_ld" {
			return jsonLDEach{typ}
		}
		return microdataEach{typ, rest}
	}
	c.errorf(path, `must begin with css:, xpath:, json:, json_ld: or microdata:, not %q`, text)
	return nil
}

// jsonSource takes any path but one that reads JSON inside a text: what a page has
// there may nest as deep as it likes.
func (c *compiler) jsonSource(path, text string, script cascadia.SelectorGroup) jsonSource {
	if strings.Contains(text, "@fromstr") {
		c.errorf(path, "%q has @fromstr, which is not available: JSON inside a text may nest without bounds", text)
	}
	c.json = c.json || script == nil
	return jsonSource{text, script}
}

func (c *compiler) css(path, text string) cascadia.SelectorGroup {
	if text == "" {
		return nil
	}
	c.tree = true
	g, err := cascadia.ParseGroup(text)
	if err != nil {
		c.errorf(path, "%q is not a CSS selector: %w", text, err)
	}
	return g
}

func (c *compiler) xpath(path, text string) *xpath.Expr {
	c.tree = true
	e, err := xpath.Compile(text)
	if err != nil {
		c.errorf(path, "%q is not an XPath expression: %w", text, err)
	}
	return e
}

func (c *compiler) structured(path, text string) structured.Path {
	p, err := structured.ParsePath(text)
	if err != nil {
		c.errorf(path, "%q %w", text, err)
	}
	return p
}
