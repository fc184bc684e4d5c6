package spec

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Bounds of rules: more is a mistake, or made by a program that should be an
// extractor of its own.
const (
	maxFields   = 500 // of a rule, those inside objects among them
	maxNesting  = 5   // objects inside objects
	maxSteps    = 20
	maxSelector = 4096 // bytes of a selector, path or text
)

// headerFact is what the fact of a response header begins with.
const headerFact = "header."

// pageFacts are the values that a field may take from the page itself.
func pageFacts() []string {
	return []string{
		"url", "depth", "fetched_at", "status", "content_type", "title", "description", "language", "text", "word_count", "digest", "simhash",
	}
}

// needsText tells the facts that only a page whose text is looked for has.
func needsText(fact string) bool {
	return fact == "text" || fact == "word_count" || fact == "digest" || fact == "simhash"
}

func (c *checker) extract(rules []*crawlv1.ExtractRule, p *crawlv1.Parse) {
	c.enum("parse.text", int32(p.GetText()), crawlv1.TextForm_name)
	c.noText = p.GetText() <= crawlv1.TextForm_TEXT_FORM_NONE
	seen := map[string]bool{}
	for i, r := range rules {
		path := index("extract", i)
		switch {
		case r.GetName() == "":
			c.addf(path+".name", "is required: it becomes the _rule of the items")
		case !isName(r.GetName(), true):
			c.addf(path+".name", "must be 1 to 63 characters of a-z, 0-9, - and _, not %q", r.GetName())
		case seen[r.GetName()]:
			c.addf(path+".name", "%q is the name of another rule", r.GetName())
		}
		seen[r.GetName()] = true
		if r.GetMatch() != "" {
			c.pattern(path+".match", r.GetMatch())
		}
		c.each(path+".each", r.GetEach())
		c.length(path+".script", r.GetScript())
		c.condition(path+".when", r.GetWhen(), false)
		if len(r.GetFields()) == 0 {
			c.addf(path+".fields", "needs at least one field")
		}
		if n := countFields(r.GetFields()); n > maxFields {
			c.addf(path+".fields", "has %d fields, the most is %d", n, maxFields)
			continue
		}
		c.fields(path+".fields", r.GetFields(), 0)
	}
}

func countFields(fields map[string]*crawlv1.FieldRule) int {
	n := len(fields)
	for _, f := range fields {
		n += countFields(f.GetFields())
	}
	return n
}

// eachKinds are what may stand before the colon of an each.
func eachKinds() []string { return []string{"css", "xpath", "json", "json_ld", "microdata"} }

func (c *checker) each(path, each string) {
	if each == "" {
		return
	}
	kind, rest, found := strings.Cut(each, ":")
	if !found || strings.TrimSpace(rest) == "" || !slices.Contains(eachKinds(), kind) {
		c.addf(path, `must be %s, a colon, and what to look for, as in "css:article.product"; not %q`, oneOf(eachKinds()), each)
	}
	c.length(path, each)
	if kind == "json" {
		c.jsonPath(path, rest, "offers")
	}
}

// jsonPath refuses what JSONPath and JavaScript write otherwise and Weir's paths take
// for names, so that it would find nothing: $.a, a[0], a[*].
func (c *checker) jsonPath(path, text, all string) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "$.") || strings.HasPrefix(text, "$[") {
		c.addf(path, "must not begin with $: a path begins with a name, as in offers.0.price")
	} else if at := subscript(text); at != "" {
		c.addf(path, "has %s: the first of a list is written offers.0, and all of it %s", at, all)
	}
}

// subscript returns the first [0], [*] or the like of a path without queries.
func subscript(text string) string {
	if strings.ContainsAny(text, "(\\@") {
		return ""
	}
	open := strings.IndexByte(text, '[')
	if open <= 0 || text[open-1] == '.' { // [a,b] is a list of paths
		return ""
	}
	end := strings.IndexByte(text[open:], ']')
	if end < 2 || !strings.ContainsRune("*?'\"-0123456789", rune(text[open+1])) {
		return ""
	}
	return text[open : open+end+1]
}

func (c *checker) condition(path, text string, ofField bool) {
	if text == "" {
		return
	}
	if _, err := CompileCondition(text, ofField); err != nil {
		c.addf(path, "%s", err)
	}
}

func (c *checker) length(path, text string) {
	if len(text) > maxSelector {
		c.addf(path, "is longer than %d bytes", maxSelector)
	}
}

func (c *checker) fields(path string, fields map[string]*crawlv1.FieldRule, depth int) {
	for _, name := range sortedKeys(fields) {
		c.field(path+"."+name, name, fields[name], depth)
	}
}

func (c *checker) field(path, name string, f *crawlv1.FieldRule, depth int) {
	switch {
	case name == "" || len(name) > 128 || hasControl(name):
		c.addf(path, "must have a name of 1 to 128 printable characters")
	case strings.HasPrefix(name, "_"):
		c.addf(path, "must not begin with _: such names are Weir's own")
	}
	c.condition(path+".when", f.GetWhen(), true)
	c.enum(fmt.Sprintf("%s.type", path), int32(f.GetType()), crawlv1.FieldType_name)
	given := sourcesOf(f)
	switch {
	case len(f.GetFields()) > 0:
		c.object(path, f, given, depth)
		return
	case f.GetEach() != "":
		c.addf(path+".each", "needs fields: it makes a list of objects")
	case len(given) > 1:
		c.addf(path, "has both %s and %s; give one", given[0], given[1])
	case len(given) == 0:
		names := sourceNames()
		if !c.request {
			names = names[:len(names)-1]
		}
		c.addf(path, "needs a source: %s", oneOf(names))
	}
	c.source(path, f)
	c.value(path, f)
	c.media(path, f)
	c.secret(path, f)
}

func (c *checker) media(path string, f *crawlv1.FieldRule) {
	switch {
	case !f.GetMedia():
	case c.request:
		c.addf(path+".media", "is for items: a request has no files")
	case f.GetType() != crawlv1.FieldType_FIELD_TYPE_URL:
		c.addf(path+".media", "needs type: url")
	}
}

// secret checks a field whose text only the fetchers know.
func (c *checker) secret(path string, f *crawlv1.FieldRule) {
	switch {
	case f.GetSecret() == "":
		return
	case !c.request:
		c.addf(path+".secret", "is for requests: no item has a secret")
		return
	}
	c.env(path+".secret", f.GetSecret())
	if f.GetRegex() != "" || len(f.GetTransform()) > 0 || f.GetWhen() != "" || f.GetMany() || f.Default != nil ||
		f.GetType() > crawlv1.FieldType_FIELD_TYPE_STRING {
		c.addf(path+".secret", "is a text as it stands: no regex, transform, type, when, many or default")
	}
}

func sourceNames() []string {
	return []string{"css", "xpath", "json", "json_ld", "microdata", "open_graph", "value", "constant", "secret"}
}

// sourcesOf returns the names of the sources that a field has.
func sourcesOf(f *crawlv1.FieldRule) []string {
	var given []string
	for i, text := range []string{
		f.GetCss(), f.GetXpath(), f.GetJson(), f.GetJsonLd(), f.GetMicrodata(), f.GetOpenGraph(), f.GetValue(), f.GetConstant(), f.GetSecret(),
	} {
		if text != "" {
			given = append(given, sourceNames()[i])
		}
	}
	return given
}

// object checks a field that is an object, or a list of them.
func (c *checker) object(path string, f *crawlv1.FieldRule, given []string, depth int) {
	if len(given) > 0 {
		c.addf(path, "has both fields and %s; %s belongs into each, or into a field", given[0], given[0])
	}
	has := map[string]bool{
		"attr": f.GetAttr() != "", "regex": f.GetRegex() != "", "script": f.GetScript() != "", "transform": len(f.GetTransform()) > 0,
		"default": f.Default != nil, "decimal": f.GetDecimal() != "", "layouts": len(f.GetLayouts()) > 0, "media": f.GetMedia(),
	}
	for _, name := range sortedKeys(has) {
		if has[name] {
			c.addf(path+"."+name, "is for a value, not for an object of fields")
		}
	}
	if f.GetMany() {
		c.addf(path+".many", "is not needed with fields: each makes a list")
	}
	if t := f.GetType(); t != crawlv1.FieldType_FIELD_TYPE_UNSPECIFIED && t != crawlv1.FieldType_FIELD_TYPE_JSON {
		c.addf(path+".type", "must be json or nothing with fields")
	}
	c.each(path+".each", f.GetEach())
	if depth+1 >= maxNesting {
		c.addf(path+".fields", "nests deeper than %d objects", maxNesting)
		return
	}
	c.fields(path+".fields", f.GetFields(), depth+1)
}

// source checks the source of a field and what belongs to it.
func (c *checker) source(path string, f *crawlv1.FieldRule) {
	texts := map[string]string{
		"css": f.GetCss(), "xpath": f.GetXpath(), "json": f.GetJson(), "script": f.GetScript(), "json_ld": f.GetJsonLd(),
		"microdata": f.GetMicrodata(), "open_graph": f.GetOpenGraph(), "constant": f.GetConstant(), "attr": f.GetAttr(),
	}
	for _, name := range sortedKeys(texts) {
		c.length(path+"."+name, texts[name])
	}
	if v := f.GetValue(); v != "" {
		if h, ok := strings.CutPrefix(v, headerFact); ok && !isToken(h) {
			c.addf(path+".value", "%q is not the name of a header", h)
		} else if !ok && !slices.Contains(pageFacts(), v) {
			c.addf(path+".value", "must be %s, or header. and a name, not %q; %s", oneOf(pageFacts()), v, didYouMean(v, pageFacts()))
		} else if c.noText && needsText(v) {
			c.addf(path+".value", "needs parse.text: plain or markdown, for %s to be known", v)
		}
	}
	if f.GetAttr() != "" && f.GetCss() == "" && f.GetXpath() == "" {
		c.addf(path+".attr", "needs css or xpath")
	}
	c.jsonPath(path+".json", f.GetJson(), "offers.#")
	c.jsonPath(path+".json_ld", f.GetJsonLd(), "offers")
	c.jsonPath(path+".microdata", f.GetMicrodata(), "offers")
	if f.GetScript() != "" && f.GetJson() == "" {
		c.addf(path+".script", "needs json")
	}
	if f.GetMany() && f.GetValue() != "" && !splits(f) {
		c.addf(path+".many", "needs another source, or a split: a fact of the page has one value")
	}
}

func splits(f *crawlv1.FieldRule) bool {
	return slices.ContainsFunc(f.GetTransform(), func(t *crawlv1.Transform) bool { return t.GetSplit() != "" })
}

// value checks what is done with the texts of a field.
func (c *checker) value(path string, f *crawlv1.FieldRule) {
	if f.GetRegex() != "" {
		c.regex(path+".regex", f.GetRegex(), f.GetRegex())
	}
	if n := len(f.GetTransform()); n > maxSteps {
		c.addf(path+".transform", "has %d steps, the most is %d", n, maxSteps)
		return
	}
	for i, t := range f.GetTransform() {
		c.transform(index(path+".transform", i), t)
	}
	number := f.GetType() == crawlv1.FieldType_FIELD_TYPE_NUMBER || f.GetType() == crawlv1.FieldType_FIELD_TYPE_INTEGER
	switch d := f.GetDecimal(); {
	case d != "" && !number:
		c.addf(path+".decimal", "needs type number or integer")
	case d != "" && d != "." && d != ",":
		c.addf(path+".decimal", `must be "." or ",", not %q`, d)
	}
	if len(f.GetLayouts()) > 0 && f.GetType() != crawlv1.FieldType_FIELD_TYPE_DATE {
		c.addf(path+".layouts", "needs type date")
	}
	for i, layout := range f.GetLayouts() {
		if !isLayout(layout) {
			c.addf(index(path+".layouts", i), `must write the date 2 January 2006, 15:04:05 in the form that is read, such as "02.01.2006", not %q`, layout)
		}
	}
	c.length(path+".default", f.GetDefault())
}

// isLayout tells a layout of package time from another text: with the year, or as
// unix or unix_ms, it stands for more than one moment.
func isLayout(layout string) bool {
	if layout == "unix" || layout == "unix_ms" {
		return true
	}
	a, b := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2019, 11, 28, 17, 46, 58, 0, time.UTC)
	return len(layout) <= 128 && a.Format(layout) != b.Format(layout)
}

func (c *checker) transform(path string, t *crawlv1.Transform) {
	switch s := t.GetStep().(type) {
	case nil:
		c.addf(path, "needs a step: trim, lower, upper, absolute, replace, replace_regex, split, join or add")
	case *crawlv1.Transform_Replace:
		if s.Replace.GetOld() == "" {
			c.addf(path+".replace.old", "must not be empty")
		}
		c.length(path+".replace.new", s.Replace.GetNew())
	case *crawlv1.Transform_ReplaceRegex:
		if s.ReplaceRegex.GetOld() == "" {
			c.addf(path+".replace_regex.old", "must not be empty")
		}
		c.regex(path+".replace_regex.old", s.ReplaceRegex.GetOld(), s.ReplaceRegex.GetOld())
		c.length(path+".replace_regex.new", s.ReplaceRegex.GetNew())
	case *crawlv1.Transform_Split:
		if s.Split == "" {
			c.addf(path+".split", "must not be empty")
		}
	case *crawlv1.Transform_Join:
		c.length(path+".join", s.Join)
	case *crawlv1.Transform_Add:
		if s.Add == 0 || math.IsNaN(s.Add) || math.Abs(s.Add) > 1e15 {
			c.addf(path+".add", "must be a number other than 0, at most 1e15")
		}
	case *crawlv1.Transform_Trim:
		c.yes(path+".trim", s.Trim)
	case *crawlv1.Transform_Lower:
		c.yes(path+".lower", s.Lower)
	case *crawlv1.Transform_Upper:
		c.yes(path+".upper", s.Upper)
	case *crawlv1.Transform_Absolute:
		c.yes(path+".absolute", s.Absolute)
	}
}

// yes refuses a step that is given as false.
func (c *checker) yes(path string, v bool) {
	if !v {
		c.addf(path, "must be true; leave the step out for false")
	}
}
