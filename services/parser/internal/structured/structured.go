// Package structured reads what a page says about itself to machines: JSON-LD,
// microdata, and the properties of OpenGraph and its like.
//
// JSON-LD and microdata come out in one form, that of JSON: objects with their type
// under @type, lists, texts, numbers. A Path finds values in either.
package structured

import (
	"encoding/json"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/weircrawl/weir/services/parser/internal/jsontext"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// Bounds of what is read of one page.
const (
	maxScripts    = 1 << 20 // bytes of JSON-LD
	maxObjects    = 10_000
	maxProperties = 10_000
	maxValue      = 64 << 10
)

// Object is an object of JSON-LD or an item of microdata.
type Object = map[string]any

// JSONLD returns the objects of a page's JSON-LD scripts in their order, those of a
// list or an @graph one by one. Scripts that are not quite JSON are read as far as
// they can be.
func JSONLD(root *html.Node) []any {
	var out []any
	size := 0
	tree.Walk(root, nil, func(n *html.Node) bool {
		if n.DataAtom != atom.Script || !isJSONLD(n) {
			return true
		}
		text := tree.RawText(n)
		if size += len(text); size > maxScripts {
			return false
		}
		values := jsontext.Values(text)
		if len(values) == 0 && strings.Contains(text, "&quot;") {
			values = jsontext.Values(html.UnescapeString(text))
		}
		for _, v := range values {
			if decoded, ok := decode(v); ok {
				out = flatten(out, decoded)
			}
		}
		return len(out) < maxObjects
	})
	return out[:min(len(out), maxObjects)]
}

func isJSONLD(n *html.Node) bool {
	t, _ := tree.Attr(n, "type")
	t, _, _ = strings.Cut(t, ";")
	return strings.EqualFold(strings.TrimSpace(t), "application/ld+json")
}

// decode decodes JSON with its numbers as written.
func decode(s string) (any, bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	return v, true
}

// flatten appends the objects of a value: itself, those of a list, those of an
// @graph. An object that has more than its graph is one itself.
func flatten(out []any, v any) []any {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = flatten(out, e)
		}
	case Object:
		graph, ok := v["@graph"]
		if ok {
			out = flatten(out, graph)
		}
		if !ok || v["@type"] != nil {
			out = append(out, v)
		}
	}
	return out
}

// Property is a property of OpenGraph or its like.
type Property struct {
	// Name in lower case, with its prefix: og:title.
	Name string
	// Content, never empty.
	Content string
}

// OpenGraph returns the properties that meta elements give, in their order: all
// with a property attribute, and the names with a known prefix, since sites take
// one for the other.
func OpenGraph(root *html.Node) []Property {
	var out []Property
	tree.Walk(root, nil, func(n *html.Node) bool {
		if n.DataAtom != atom.Meta {
			return true
		}
		content, _ := tree.Attr(n, "content")
		if content = strings.TrimSpace(content); content == "" {
			return true
		}
		if len(content) > maxValue {
			content = strings.ToValidUTF8(content[:maxValue], "")
		}
		names, ok := tree.Attr(n, "property")
		if !ok {
			names, _ = tree.Attr(n, "name")
		}
		for name := range strings.FieldsSeq(strings.ToLower(names)) {
			if ok && strings.Contains(name, ":") || isGraphName(name) {
				out = append(out, Property{name, content})
			}
		}
		return len(out) < maxProperties
	})
	return out
}

// isGraphName reports whether the name of a meta element is one of OpenGraph or of
// the vocabularies made after it.
func isGraphName(name string) bool {
	prefix, _, found := strings.Cut(name, ":")
	if !found {
		return false
	}
	switch prefix {
	case "og", "twitter", "article", "book", "profile", "product", "music", "video", "fb", "al":
		return true
	}
	return false
}

// Find calls found for the contents of a property until it returns false. A name
// that no property has is looked for with og: before it.
func Find(properties []Property, name string, found func(string) bool) {
	name = strings.ToLower(name)
	if !has(properties, name) {
		name = "og:" + name
	}
	for _, p := range properties {
		if p.Name == name && !found(p.Content) {
			return
		}
	}
}

func has(properties []Property, name string) bool {
	for _, p := range properties {
		if p.Name == name {
			return true
		}
	}
	return false
}
