package document

import (
	"bytes"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// part takes an element that has a part of the page or belongs to a form. Such
// elements are looked at only in crawls that follow one of the kinds.
func (r *Reader) part(name scan.Name) {
	switch name {
	case scan.Img:
		r.source("src", Image)
		r.lazySource()
	case scan.Image: // in a drawing; outside it is another spelling of img
		r.source("src", Image)
		r.source("href", Image)
		r.source("xlink:href", Image)
	case scan.Source:
		r.source("src", Media)
		r.lazySource()
	case scan.Video:
		r.source("src", Media)
		r.source("poster", Image)
	case scan.Audio, scan.Track, scan.Embed:
		r.source("src", Media)
	case scan.Object:
		r.source("data", Media)
	case scan.Script:
		r.source("src", Script)
		r.source("href", Script) // in a drawing
		r.data()
	case scan.Body, scan.Table, scan.Td, scan.Th:
		r.source("background", Image)
	case scan.Input:
		if kind, ok := r.scan.Attr("type"); ok && scan.EqualFold(kind, "image") {
			r.source("src", Image)
		}
		r.formInput()
	case scan.Form:
		r.openForm()
	case scan.Select:
		r.formSelect()
	case scan.Option:
		r.formOption()
	case scan.Textarea:
		r.formText()
	}
}

// source keeps the reference in an attribute.
func (r *Reader) source(attr string, kind Kind) {
	if !r.cfg.Kinds.Has(kind) {
		return
	}
	if v, ok := r.scan.Attr(attr); ok && len(bytes.TrimSpace(v)) > 0 {
		r.add(v, kind, false) // an empty source loads nothing, unlike an empty href
	}
}

// lazySource keeps the images of srcset, and those that a script would put in
// place when the reader comes near.
func (r *Reader) lazySource() {
	if !r.cfg.Kinds.Has(Image) {
		return
	}
	r.source("data-src", Image)
	for _, attr := range []string{"srcset", "data-srcset"} {
		if v, ok := r.scan.Attr(attr); ok {
			r.srcset(v)
		}
	}
}

// srcset keeps the candidates of a srcset, taken apart as the HTML standard has
// it: a comma ends a candidate when it follows the URL at once or stands after the
// descriptors outside brackets; commas inside a URL belong to it.
func (r *Reader) srcset(value []byte) {
	const space = " \t\n\f\r"
	v := scan.Unescape(nil, value)
	for {
		v = bytes.TrimLeft(v, space+",")
		if len(v) == 0 {
			return
		}
		end := bytes.IndexAny(v, space)
		if end < 0 {
			end = len(v)
		}
		url := v[:end]
		v = v[end:]
		if trimmed := bytes.TrimRight(url, ","); len(trimmed) < len(url) {
			url = trimmed
		} else {
			v = afterDescriptors(v)
		}
		if len(url) > 0 {
			r.addPlain(url, Image)
		}
		if len(r.refs) >= maxReferences {
			return
		}
	}
}

// afterDescriptors returns what follows the comma that ends a candidate.
func afterDescriptors(v []byte) []byte {
	depth := 0
	for i, c := range v {
		switch {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ',' && depth == 0:
			return v[i+1:]
		}
	}
	return nil
}

// maxAnchorSource is how much of a page is looked at for the text of an anchor,
// maxAnchorText how much is kept.
const (
	maxAnchorSource = 4 << 10
	maxAnchorText   = 256
)

// anchorText returns the text of the anchor whose start tag ends where page
// begins.
func anchorText(page []byte) string {
	var s scan.Scanner
	page = page[:min(len(page), maxAnchorSource)]
	s.Reset(page)
	var text []byte
	from, open := 0, false
	for !open && s.Next() {
		text = append(text, page[from:s.Start()]...)
		open = s.Name() == scan.A || s.Name() == scan.Area
		if s.Name() == scan.Script || s.Name() == scan.Style {
			s.RawText()
		} else if !isInline(s.Name()) {
			text = append(text, ' ') // or the words of two blocks would be one
		}
		from = s.Pos()
	}
	if !open {
		rest := page[min(from, len(page)):]
		if i := bytes.IndexByte(rest, '<'); i >= 0 {
			rest = rest[:i]
		}
		text = append(text, rest...)
	}
	return Fold(unescapeText(withoutComments(text)), maxAnchorText)
}

// withoutComments removes comments, which the scanner passes over with the text.
func withoutComments(text []byte) []byte {
	for {
		start := bytes.Index(text, []byte("<!--"))
		if start < 0 {
			return text
		}
		end := bytes.Index(text[start:], []byte("-->"))
		if end < 0 {
			return text[:start]
		}
		text = append(text[:start], text[start+end+len("-->"):]...)
	}
}

// isInline reports whether an element stands inside a line of text.
func isInline(n scan.Name) bool {
	switch n {
	case scan.A, 'b', 'i', 'u', 's', 'e' | 'm'<<8, 's' | 'p'<<8 | 'a'<<16 | 'n'<<24:
		return true
	}
	return false
}
