package extract

import (
	"github.com/andybalholm/cascadia"
	"github.com/tidwall/gjson"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/structured"
	"github.com/weircrawl/weir/services/parser/internal/tree"
	"github.com/weircrawl/weir/services/parser/internal/xpath"
)

// place is where the fields of an item or object are looked for.
type place struct {
	// node is an element, or the document; nil on a page without a tree.
	node *html.Node
	// json is the element of a list, or the page; it does not exist elsewhere.
	json gjson.Result
	// object is that of an each of json_ld or microdata; nil elsewhere.
	object structured.Object
}

// value is what a source finds.
type value struct {
	// text of it.
	text string
	// json is the value as JSON where the source is of that kind; empty elsewhere.
	json string
}

// source finds the texts of a field: a closed set.
type source interface {
	// values calls found for the values at a place, in order, until it returns false.
	values(x *Extractor, at place, found func(value) bool)
}

// each finds what becomes an item, or an object of a list, each: a closed set.
type each interface {
	// places calls found for the places inside another, in order, until it returns
	// false.
	places(x *Extractor, at place, found func(place) bool)
}

type cssSource struct {
	sel  cascadia.SelectorGroup
	attr string
}

func (s cssSource) values(x *Extractor, at place, found func(value) bool) {
	tree.Walk(at.node, x.page.Stop, func(n *html.Node) bool {
		if !s.sel.Match(n) {
			return true
		}
		v, ok := x.node(n, s.attr)
		return !ok || found(v)
	})
}

type xpathSource struct {
	expr *xpath.Expr
	attr string
}

func (s xpathSource) values(x *Extractor, at place, found func(value) bool) {
	if at.node == nil {
		return
	}
	err := s.expr.Each(at.node, x.page.Stop, func(r xpath.Result) bool {
		if r.Node == nil {
			if s.attr != "" {
				return true
			}
			return found(value{text: fold(r.Text)})
		}
		v, ok := x.node(r.Node, s.attr)
		return !ok || found(v)
	})
	x.failed("xpath", err)
}

type jsonSource struct {
	path   string
	script cascadia.SelectorGroup
}

func (s jsonSource) values(x *Extractor, at place, found func(value) bool) {
	root := x.json(at, s.script)
	if !root.Exists() {
		return
	}
	x.elements(root.Get(s.path), func(r gjson.Result) bool { return found(jsonValue(r)) })
}

// jsonValue makes a value of one in JSON.
func jsonValue(r gjson.Result) value {
	switch r.Type {
	case gjson.String:
		return value{r.Str, r.Raw}
	case gjson.Null:
		return value{}
	}
	return value{r.Raw, r.Raw} // numbers as they are written
}

type jsonLDSource struct{ path structured.Path }

func (s jsonLDSource) values(x *Extractor, at place, found func(value) bool) {
	objects := x.jsonLD()
	if at.object != nil {
		objects = []any{at.object}
	}
	s.path.Each(objects, structuredValue(found))
}

type microdataSource struct{ path structured.Path }

func (s microdataSource) values(x *Extractor, at place, found func(value) bool) {
	var objects []any
	if at.object != nil {
		objects = []any{at.object}
	} else {
		for _, it := range x.microdata() {
			if !it.Nested {
				objects = append(objects, it.Object)
			}
		}
	}
	s.path.Each(objects, structuredValue(found))
}

// structuredValue passes values of structured data on.
func structuredValue(found func(value) bool) func(any) bool {
	return func(v any) bool {
		text, _ := structured.Text(v)
		return found(value{text, string(structured.Append(nil, v))})
	}
}

type openGraphSource string

func (s openGraphSource) values(x *Extractor, _ place, found func(value) bool) {
	structured.Find(x.openGraph(), string(s), func(text string) bool { return found(value{text: text}) })
}

type factSource string

func (s factSource) values(x *Extractor, _ place, found func(value) bool) {
	found(value{text: x.page.fact(string(s))})
}

type constantSource string

func (s constantSource) values(_ *Extractor, _ place, found func(value) bool) {
	found(value{text: string(s)})
}

type cssEach struct{ sel cascadia.SelectorGroup }

func (e cssEach) places(x *Extractor, at place, found func(place) bool) {
	tree.Walk(at.node, x.page.Stop, func(n *html.Node) bool {
		// An element is not found inside itself: it would never end.
		return n == at.node || !e.sel.Match(n) || found(place{node: n, json: at.json, object: at.object})
	})
}

type xpathEach struct{ expr *xpath.Expr }

func (e xpathEach) places(x *Extractor, at place, found func(place) bool) {
	if at.node == nil {
		return
	}
	err := e.expr.Each(at.node, x.page.Stop, func(r xpath.Result) bool {
		return r.Node == nil || found(place{node: r.Node, json: at.json, object: at.object})
	})
	x.failed("xpath", err)
}

type jsonEach struct {
	path   string
	script cascadia.SelectorGroup
}

func (e jsonEach) places(x *Extractor, at place, found func(place) bool) {
	root := x.json(at, e.script)
	if !root.Exists() {
		return
	}
	x.elements(root.Get(e.path), func(r gjson.Result) bool {
		return found(place{node: at.node, json: r, object: at.object})
	})
}

type jsonLDEach struct{ typ structured.Path }

func (e jsonLDEach) places(x *Extractor, at place, found func(place) bool) {
	objects := x.jsonLD()
	if at.object != nil {
		objects = nested(at.object)
	}
	e.typ.Each(objects, objectPlace(at, found))
}

type microdataEach struct {
	typ  structured.Path
	name string
}

func (e microdataEach) places(x *Extractor, at place, found func(place) bool) {
	if at.object != nil {
		e.typ.Each(nested(at.object), objectPlace(at, found))
		return
	}
	for _, it := range x.microdata() {
		if it.HasType(e.name) && !found(place{node: it.Node, json: at.json, object: it.Object}) {
			return
		}
	}
}

// nested are the values of an object, without the object itself.
func nested(o structured.Object) []any {
	var out []any
	for _, name := range structured.Names(o) {
		out = append(out, o[name])
	}
	return out
}

func objectPlace(at place, found func(place) bool) func(any) bool {
	return func(v any) bool {
		o, ok := v.(structured.Object)
		return !ok || found(place{node: at.node, json: at.json, object: o})
	}
}
