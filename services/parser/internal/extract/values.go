package extract

import (
	"strings"

	"golang.org/x/net/html"
)

// Values are those of one place: what a request is made of.
type Values struct {
	// Rule is the index of the rule in its set.
	Rule int
	// Node is the place, the document where there is no each; nil on a page without a
	// tree.
	Node *html.Node
	// JSON is the object of the fields, null standing for no value. A brace inside a
	// string that stands for itself begins the name of a secret: those that come from
	// the page are written as \u007b.
	JSON []byte
	// Complete says that all required fields have a value.
	Complete bool
}

// Values runs the rules that are for a page and passes on what they find, until found
// returns false. The values are valid until it returns. The warning says why there may
// be less than there might be.
func (x *Extractor) Values(s *Set, p *Page, found func(Values) bool) (warning string) {
	x.visit = visit{page: p, escape: true}
	defer func() { x.visit = visit{} }()
	address, _, _ := strings.Cut(p.URL, "#")
	more := true
	for i := range s.rules {
		r := &s.rules[i]
		if !more || !r.matches(address) || r.When != nil && !r.When.Holds(p, "") {
			continue
		}
		at := place{json: x.pageJSON(r)}
		if r.tree {
			at.node = x.document()
		}
		x.counts = &Counts{Fields: make([]FieldCount, len(r.names))}
		take := func(at place) bool {
			x.buf = append(x.buf[:0], '{')
			_, complete := x.fields(r.fields, at, 0)
			if x.stopped() {
				more = false
				return false
			}
			if len(r.fields) == 0 {
				x.buf = append(x.buf, ',')
			}
			x.buf[len(x.buf)-1] = '}'
			more = found(Values{Rule: i, Node: at.node, JSON: x.buf, Complete: complete && len(x.buf) <= maxItemSize})
			return more
		}
		if r.each == nil {
			take(at)
		} else {
			r.each.places(x, at, take)
		}
	}
	return x.out.Warning
}

// AppendText appends a text as a JSON string the way Values has those that come from
// the page.
func AppendText(dst []byte, s string) []byte {
	return escapeBraces(appendString(dst, s), len(dst))
}

// escapeBraces escapes the braces inside the strings of the JSON from start on.
func escapeBraces(buf []byte, start int) []byte {
	n := 0
	for _, c := range buf[start:] {
		if c == '{' {
			n++
		}
	}
	if n == 0 {
		return buf
	}
	source := string(buf[start:])
	buf = buf[:start]
	inside := false
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case c == '"':
			inside = !inside
		case c == '\\' && inside:
			buf = append(buf, c, source[i+1])
			i++
			continue
		case c == '{' && inside:
			buf = append(buf, `\u007b`...)
			continue
		}
		buf = append(buf, c)
	}
	return buf
}
