package extract

import (
	"errors"
	"strconv"
	"strings"

	"github.com/andybalholm/cascadia"
	"github.com/tidwall/gjson"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/jsontext"
	"github.com/weircrawl/weir/services/parser/internal/structured"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// facts are what is read of a page once, for the first field that asks.
type facts struct {
	root    *html.Node
	whole   *gjson.Result
	scripts map[*html.Node]gjson.Result
	ld      once[[]any]
	micro   once[[]structured.Item]
	graph   once[[]structured.Property]
}

// once holds a value that is made when it is asked for.
type once[T any] struct {
	made  bool
	value T
}

func (o *once[T]) get(make func() T) T {
	if !o.made {
		o.made, o.value = true, make()
	}
	return o.value
}

// document returns the page's tree; nil without one.
func (x *Extractor) document() *html.Node {
	if x.root != nil {
		return x.root
	}
	root, err := x.page.Tree.Root()
	if err != nil && !errors.Is(err, tree.ErrStopped) {
		x.out.Warning = "no tree for css: " + err.Error()
	}
	x.root = root
	return root
}

// pageJSON returns the page as JSON where a rule reads it; it does not exist where
// the page is none.
func (x *Extractor) pageJSON(r *rule) gjson.Result {
	if !r.json || x.page.JSON == "" {
		return gjson.Result{}
	}
	if x.whole == nil {
		x.whole = &gjson.Result{}
		if text, ok := jsontext.Longest(x.page.JSON); ok {
			*x.whole = gjson.Parse(text)
		} else {
			x.out.Warning = "the page is not JSON, or nests deeper than is read"
		}
	}
	return *x.whole
}

// json returns the JSON that a path counts from: that of a place, or that of a
// script inside it.
func (x *Extractor) json(at place, script cascadia.SelectorGroup) gjson.Result {
	if script == nil {
		return at.json
	}
	var out gjson.Result
	tree.Walk(at.node, x.page.Stop, func(n *html.Node) bool {
		if !script.Match(n) {
			return true
		}
		out = x.script(n)
		return !out.Exists()
	})
	return out
}

// script returns the JSON in the text of an element.
func (x *Extractor) script(n *html.Node) gjson.Result {
	if r, ok := x.scripts[n]; ok {
		return r
	}
	var r gjson.Result
	if text, ok := jsontext.Longest(tree.RawText(n)); ok {
		r = gjson.Parse(text)
	}
	if x.scripts == nil {
		x.scripts = map[*html.Node]gjson.Result{}
	}
	x.scripts[n] = r
	return r
}

// elements calls found for the elements of a list, or for a value that is none,
// until it returns false.
func (x *Extractor) elements(r gjson.Result, found func(gjson.Result) bool) {
	if !r.IsArray() {
		if r.Exists() {
			found(r)
		}
		return
	}
	r.ForEach(func(_, e gjson.Result) bool { return !x.stopped() && found(e) })
}

func (x *Extractor) jsonLD() []any {
	return x.ld.get(func() []any {
		if root := x.document(); root != nil {
			return structured.JSONLD(root)
		}
		return nil
	})
}

func (x *Extractor) microdata() []structured.Item {
	return x.micro.get(func() []structured.Item {
		if root := x.document(); root != nil {
			return structured.Microdata(root, x.resolve)
		}
		return nil
	})
}

func (x *Extractor) openGraph() []structured.Property {
	return x.graph.get(func() []structured.Property {
		if root := x.document(); root != nil {
			return structured.OpenGraph(root)
		}
		return nil
	})
}

// resolve makes a reference absolute; one that cannot be stays as it is.
func (x *Extractor) resolve(ref string) string {
	if x.page.Base == nil {
		return ref
	}
	u, err := x.page.Base.Resolve(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// failed notes that something could not be evaluated on this page.
func (x *Extractor) failed(what string, err error) {
	if err != nil && !errors.Is(err, tree.ErrStopped) {
		x.seen = true
		x.out.Warning = what + ": " + err.Error()
	}
}

// node returns the text of an element, or of its attribute; false without that.
func (x *Extractor) node(n *html.Node, attr string) (value, bool) {
	if attr == "" {
		return value{text: string(x.text.Of(n, maxItemSize))}, true
	}
	v, ok := tree.Attr(n, attr)
	return value{text: v}, ok
}

// fold folds the white space of a text.
func fold(s string) string { return strings.Join(strings.Fields(s), " ") }

// headerFact is what the fact of a response header begins with.
const headerFact = "header."

// fact returns a fact of the page as text, empty for one that it has not.
func (p *Page) fact(name string) string {
	switch name {
	case "url":
		return p.URL
	case "depth":
		return strconv.FormatUint(uint64(p.Depth), 10)
	case "fetched_at":
		return string(appendTime(nil, p.FetchedAt))
	case "status":
		return strconv.FormatUint(uint64(p.Status), 10)
	case "content_type":
		return p.ContentType
	case "title":
		return p.Title
	case "description":
		return p.Description
	case "language":
		return p.Language
	}
	if p.Text != nil {
		switch name {
		case "text":
			return p.Text.Text
		case "word_count":
			return strconv.Itoa(p.Text.Words)
		case "digest":
			return p.Text.Digest
		case "simhash":
			return p.Text.SimHash
		}
	}
	if h, ok := strings.CutPrefix(name, headerFact); ok && p.Header != nil {
		return strings.ToValidUTF8(p.Header(h), "\ufffd")
	}
	return ""
}
