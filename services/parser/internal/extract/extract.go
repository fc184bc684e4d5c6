package extract

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/internal/weburl"
)

// Bounds of what one page may give. Items travel in messages of a MiB; a rule
// that makes more than this of one page is a mistake that should not stop a crawl.
const (
	maxItems     = 10_000
	maxItemSize  = 256 << 10
	maxPageItems = 4 << 20
	maxValues    = 10_000
)

// Page is a page and its facts.
type Page struct {
	// URL in canonical form.
	URL string
	// Depth in links from a seed.
	Depth uint32
	// FetchedAt is when its exchange began.
	FetchedAt time.Time
	// Status of HTTP.
	Status uint32
	// ContentType without parameters.
	ContentType string
	// Title, Description and Language of the page.
	Title, Description, Language string
	// Bytes of its body after decompression.
	Bytes uint64
	// Links that it has.
	Links int
	// HTML is the page in UTF-8; nil for what is not HTML.
	HTML []byte
	// Base that its references count from; nil where it has none.
	Base *weburl.Base
	// Stop ends the work when it becomes true; nil never does.
	Stop *atomic.Bool
}

// Item is one item as JSON.
type Item struct {
	// Rule that made it.
	Rule string
	// Index among the items of its rule and page.
	Index uint32
	// JSON object.
	JSON []byte
}

// Items are what the rules made of a page.
type Items struct {
	// Items in the order of rules and page.
	Items []Item
	// Rejected counts the items that lacked a required field.
	Rejected uint32
	// Warning says why there are fewer items than there might be; empty when all is well.
	Warning string
}

// Extractor runs rules on pages, one after the other, and reuses its memory. The
// zero value is ready; it is not safe for concurrent use.
type Extractor struct {
	page *Page
	doc  *goquery.Document
	text text
	buf  []byte
	out  Items
}

// Run runs the rules that are for a page.
func (x *Extractor) Run(s *Set, p *Page) Items {
	x.page, x.doc, x.out, x.buf = p, nil, Items{}, nil
	if p.HTML != nil && s.needsTree(p.URL) {
		doc, err := parse(p.HTML, p.Stop)
		if err != nil && !errors.Is(err, errStopped) {
			x.out.Warning = "no tree for css: " + err.Error()
		}
		x.doc = doc
	}
	for i := range s.rules {
		if r := &s.rules[i]; r.matches(p.URL) {
			x.rule(r)
		}
	}
	out := x.out
	x.page, x.doc, x.out = nil, nil, Items{} // the tree is not kept
	if p.Stop != nil && p.Stop.Load() {
		// What was found of a page that was not read to its end depends on the
		// machine's load.
		return Items{}
	}
	return out
}

// rule makes the items of one rule.
func (x *Extractor) rule(r *rule) {
	if r.each == nil {
		var root *html.Node
		if x.doc != nil {
			root = x.doc.Nodes[0]
		}
		x.item(r, root, 0)
		return
	}
	if x.doc == nil {
		return
	}
	index := uint32(0)
	for _, n := range x.doc.FindMatcher(matcher{r.each, x.page.Stop}).Nodes {
		if x.stopped() {
			return
		}
		if x.item(r, n, index) {
			index++
		}
	}
}

func (x *Extractor) stopped() bool { return x.page.Stop != nil && x.page.Stop.Load() }

// item writes the item of one element, the whole page's with root nil or the
// document, and reports whether there is one.
func (x *Extractor) item(r *rule, root *html.Node, index uint32) bool {
	if len(x.out.Items) >= maxItems || len(x.buf) >= maxPageItems {
		x.out.Warning = "more items than are taken of one page"
		return false
	}
	start := len(x.buf)
	x.buf = append(x.buf, '{')
	for i := range r.fields {
		f := &r.fields[i]
		x.buf = append(x.buf, f.key...)
		if !x.field(f, root) && f.Required {
			x.buf = x.buf[:start]
			x.out.Rejected++
			return false
		}
		x.buf = append(x.buf, ',')
		if len(x.buf)-start > maxItemSize {
			x.buf = x.buf[:start]
			x.out.Rejected++
			x.out.Warning = "an item of rule " + r.Name + " is longer than " + strconv.Itoa(maxItemSize) + " bytes"
			return false
		}
	}
	x.buf = appendTail(x.buf, x.page, r.Name)
	x.out.Items = append(x.out.Items, Item{r.Name, index, x.buf[start:len(x.buf):len(x.buf)]})
	return true
}

// field writes the value of a field, null or an empty list without one, and
// reports whether there is one.
func (x *Extractor) field(f *field, root *html.Node) bool {
	if f.Many {
		return x.list(f, root)
	}
	ok := false
	if f.css == nil {
		x.buf, ok = x.value(f, x.fact(f.Fact))
	} else if root != nil {
		matcher{f.css, x.page.Stop}.walk(root, func(n *html.Node) bool {
			x.buf, ok = x.nodeValue(f, n)
			return !ok
		})
	}
	if !ok {
		x.buf = append(x.buf, "null"...)
	}
	return ok
}

// list writes all values of a field.
func (x *Extractor) list(f *field, root *html.Node) bool {
	count := 0
	x.buf = append(x.buf, '[')
	next := func(n *html.Node) bool {
		mark := len(x.buf)
		if count > 0 {
			x.buf = append(x.buf, ',')
		}
		ok := false
		if x.buf, ok = x.nodeValue(f, n); !ok {
			x.buf = x.buf[:mark]
			return true
		}
		count++
		return count < maxValues && len(x.buf)-mark < maxItemSize
	}
	if f.css == nil {
		var ok bool
		if x.buf, ok = x.value(f, x.fact(f.Fact)); ok {
			count = 1
		}
	} else if root != nil {
		matcher{f.css, x.page.Stop}.walk(root, next)
	}
	x.buf = append(x.buf, ']')
	return count > 0
}

// nodeValue appends the value that a field takes of one element.
func (x *Extractor) nodeValue(f *field, n *html.Node) ([]byte, bool) {
	if f.Attr == "" {
		return x.value(f, string(x.text.of(n, maxItemSize)))
	}
	for i := range n.Attr {
		if n.Attr[i].Key == f.Attr && (n.Attr[i].Namespace == "" || f.Attr != "href") {
			return x.value(f, n.Attr[i].Val)
		}
	}
	return x.buf, false
}

// value appends what a field makes of a text.
func (x *Extractor) value(f *field, s string) ([]byte, bool) {
	if f.Regex != nil {
		m := f.Regex.FindStringSubmatchIndex(s)
		switch {
		case m == nil:
			return x.buf, false
		case len(m) == 2:
			s = s[m[0]:m[1]]
		case m[2] < 0: // the group took no part in the match
			return x.buf, false
		default:
			s = s[m[2]:m[3]]
		}
	}
	return appendValue(x.buf, f.Kind, s, x.page.Base)
}

// fact returns a fact of the page as text.
func (x *Extractor) fact(f Fact) string {
	switch f {
	case FactURL:
		return x.page.URL
	case FactDepth:
		return strconv.FormatUint(uint64(x.page.Depth), 10)
	case FactFetchedAt:
		return string(appendTime(nil, x.page.FetchedAt))
	case FactStatus:
		return strconv.FormatUint(uint64(x.page.Status), 10)
	case FactContentType:
		return x.page.ContentType
	case FactTitle:
		return x.page.Title
	}
	return ""
}
