package extract

import (
	"strconv"

	"github.com/weircrawl/weir/services/parser/internal/structured"
)

// DefaultRule is the _rule of the item of a crawl without rules.
const DefaultRule = "page"

// Default makes the item of a page of a crawl without rules: its facts, its text
// where it has one, and what it says about itself where withData asks for that.
func (x *Extractor) Default(p *Page, withData bool) Items {
	size := 320 + len(p.URL) + len(p.Title) + len(p.Description)
	if p.Text != nil {
		size += len(p.Text.Text) + 256
	}
	dst := appendFacts(make([]byte, 0, size), p)
	out := Items{}
	if withData && p.Tree != nil {
		x.visit = visit{page: p}
		defer func() { x.visit = visit{} }()
		before := len(dst)
		if dst = x.appendData(dst); len(dst)-before > maxItemSize {
			dst = dst[:before]
			x.out.Warning = "the structured data of the page is longer than " + strconv.Itoa(maxItemSize) + " bytes"
		}
		out.Warning = x.out.Warning
	}
	out.Items = []Item{{Rule: DefaultRule, JSON: appendTail(dst, p, DefaultRule)}}
	return out
}

// appendFacts appends the beginning of the default item.
func appendFacts(dst []byte, p *Page) []byte {
	dst = append(dst, `{"status":`...)
	dst = strconv.AppendUint(dst, uint64(p.Status), 10)
	dst = append(dst, `,"title":`...)
	dst = appendString(dst, p.Title)
	dst = append(dst, `,"description":`...)
	dst = appendString(dst, p.Description)
	dst = append(dst, `,"language":`...)
	dst = appendString(dst, p.Language)
	dst = append(dst, `,"content_type":`...)
	dst = appendString(dst, p.ContentType)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendUint(dst, p.Bytes, 10)
	dst = append(dst, `,"links":`...)
	dst = strconv.AppendInt(dst, int64(p.Links), 10)
	dst = append(dst, `,"depth":`...)
	dst = strconv.AppendUint(dst, uint64(p.Depth), 10)
	if p.Text != nil {
		dst = append(dst, `,"text":`...)
		dst = appendString(dst, p.Text.Text)
		dst = append(dst, `,"word_count":`...)
		dst = strconv.AppendInt(dst, int64(p.Text.Words), 10)
		dst = append(dst, `,"digest":`...)
		dst = appendString(dst, p.Text.Digest)
		dst = append(dst, `,"simhash":`...)
		dst = appendString(dst, p.Text.SimHash)
	}
	return append(dst, ',')
}

// appendData appends what the page says about itself to machines.
func (x *Extractor) appendData(dst []byte) []byte {
	objects, items := x.jsonLD(), []any{}
	if objects == nil {
		objects = []any{}
	}
	for _, it := range x.microdata() {
		if !it.Nested {
			items = append(items, it.Object)
		}
	}
	dst = append(dst, `"structured":{"json_ld":`...)
	dst = structured.Append(dst, objects)
	dst = append(dst, `,"microdata":`...)
	dst = structured.Append(dst, items)
	dst = append(dst, `,"open_graph":`...)
	dst = structured.AppendProperties(dst, x.openGraph())
	return append(dst, "},"...)
}
