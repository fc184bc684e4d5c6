package structured

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/weircrawl/weir/services/parser/internal/text"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// Item is an item of microdata.
type Item struct {
	// Object holds the properties, in the form of JSON-LD.
	Object Object
	// Node is the element that is the item.
	Node *html.Node
	// Nested says that the item is the value of a property of one before it.
	Nested bool
}

// HasType reports whether an item is of a type, such as Product.
func (i *Item) HasType(typ string) bool { return hasType(i.Object, typ) }

// Microdata returns the items of a page in their order. Nested ones are inside the
// property that they are the value of, and in the list too. Resolve, which may be
// nil, makes URLs absolute.
func Microdata(root *html.Node, resolve func(string) string) []Item {
	m := &microdata{root: root, resolve: resolve, open: map[*html.Node]bool{}}
	tree.Walk(root, nil, func(n *html.Node) bool {
		if _, scope := tree.Attr(n, "itemscope"); !scope {
			return true
		}
		if _, prop := tree.Attr(n, "itemprop"); !prop {
			m.item(n, false)
		}
		return len(m.items) < maxObjects && m.properties < maxProperties && m.visits < maxElements
	})
	return m.items
}

// microdata reads the items of one page.
type microdata struct {
	root       *html.Node
	resolve    func(string) string
	text       text.Gatherer
	ids        map[string]*html.Node // made for the first itemref
	open       map[*html.Node]bool   // items that are being read: itemref can make circles
	items      []Item
	properties int
	visits     int
}

// maxElements bounds the elements that are looked at: with itemref, a small page can
// ask for the same ones again and again.
const maxElements = 500_000

// item reads an item, the types of which lose their vocabulary: Product.
func (m *microdata) item(n *html.Node, nested bool) Object {
	m.open[n] = true
	defer delete(m.open, n)
	o := Object{}
	m.items = append(m.items, Item{o, n, nested})
	if types, ok := tree.Attr(n, "itemtype"); ok {
		for t := range strings.FieldsSeq(types) {
			add(o, "@type", localName(t))
		}
	}
	if id, ok := tree.Attr(n, "itemid"); ok {
		o["@id"] = m.url(id)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		m.element(o, c)
	}
	if refs, ok := tree.Attr(n, "itemref"); ok {
		for id := range strings.FieldsSeq(refs) {
			if to := m.byID(id); to != nil && !m.open[to] {
				m.open[to] = true
				m.element(o, to)
				delete(m.open, to)
			}
		}
	}
	return o
}

// element adds what an element and its descendants are to an item. The tree is at
// most 512 deep: html.Parse refuses more.
func (m *microdata) element(o Object, n *html.Node) {
	if n.Type != html.ElementNode || m.properties >= maxProperties {
		return
	}
	if m.visits++; m.visits > maxElements {
		return
	}
	_, scope := tree.Attr(n, "itemscope")
	if names, ok := tree.Attr(n, "itemprop"); ok {
		var v any
		if scope {
			if m.open[n] {
				return
			}
			v = m.item(n, true)
		} else {
			v = m.value(n)
		}
		for name := range strings.FieldsSeq(names) {
			m.properties++
			add(o, localName(name), v)
		}
	}
	if scope {
		return // an item of its own
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		m.element(o, c)
	}
}

// value is the value of a property by its element, after the HTML standard. A
// content attribute counts on every element, since sites put it there.
func (m *microdata) value(n *html.Node) any {
	if v, ok := tree.Attr(n, "content"); ok {
		return cutValue(strings.TrimSpace(v))
	}
	attr := ""
	switch n.DataAtom {
	case atom.Audio, atom.Embed, atom.Iframe, atom.Img, atom.Source, atom.Track, atom.Video:
		attr = "src"
	case atom.A, atom.Area, atom.Link:
		attr = "href"
	case atom.Object:
		attr = "data"
	case atom.Data, atom.Meter:
		if v, ok := tree.Attr(n, "value"); ok {
			return cutValue(v)
		}
	case atom.Time:
		if v, ok := tree.Attr(n, "datetime"); ok {
			return cutValue(v)
		}
	}
	if v, ok := tree.Attr(n, attr); ok && attr != "" {
		return m.url(v)
	}
	return string(m.text.Of(n, maxValue))
}

func (m *microdata) url(ref string) string {
	if m.resolve != nil {
		ref = m.resolve(ref)
	}
	return cutValue(ref)
}

func (m *microdata) byID(id string) *html.Node {
	if m.ids == nil {
		m.ids = map[string]*html.Node{}
		tree.Walk(m.root, nil, func(n *html.Node) bool {
			if v, ok := tree.Attr(n, "id"); ok && m.ids[v] == nil {
				m.ids[v] = n
			}
			return len(m.ids) < maxObjects
		})
	}
	return m.ids[id]
}

func cutValue(s string) string {
	if len(s) > maxValue {
		return strings.ToValidUTF8(s[:maxValue], "")
	}
	return s
}

// add adds a value to a property: the second one makes it a list.
func add(o Object, name string, v any) {
	switch old := o[name].(type) {
	case nil:
		o[name] = v
	case []any:
		o[name] = append(old, v)
	default:
		o[name] = []any{old, v}
	}
}

// localName is the last part of a type or property that is written as a URL, or
// with the prefix of a vocabulary.
func localName(s string) string {
	s = strings.TrimRight(s, "/#")
	if i := strings.LastIndexAny(s, "/#:"); i >= 0 {
		return s[i+1:]
	}
	return s
}
