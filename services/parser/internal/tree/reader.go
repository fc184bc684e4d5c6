package tree

import (
	"bytes"
	"io"
	"sync/atomic"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

const (
	// maxNodes bounds the elements of a tree, about 150 MB of them. The largest pages
	// that people read have a tenth of that.
	maxNodes = 1 << 20
	// maxAttrs bounds the attributes, about as many bytes.
	maxAttrs = 1 << 20
	// longPage is a page that may have more attributes than there is memory for.
	longPage = 1 << 20
)

// reader hands a page out in pieces, so that the building of a tree, which has no
// other way to be ended, stops between two of them: when it is asked to, and when the
// elements in the pieces have become too many.
//
// It is not enough to count tags. Elements of formatting that a paragraph leaves open
// are opened again in the next one, so that 7 KB make 400,000 of them:
//
//	<p><b 1><b 2>…<p>x<p>x<p>x…
//
// So each tag counts for as many elements as there are open ones of formatting, too.
type reader struct {
	rest []byte
	stop *atomic.Bool
	// nodes that may still be made; open are the elements of formatting.
	nodes, open int
	cut         bool
}

// maxOpen is how deep a tree may nest.
const maxOpen = 512

func newReader(page []byte, stop *atomic.Bool) *reader {
	r := &reader{rest: page, stop: stop, nodes: maxNodes}
	if len(page) > longPage {
		if end := overladen(page, stop); end < len(page) {
			r.rest, r.cut = page[:end], true
		}
	}
	return r
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.stop != nil && r.stop.Load() {
		return 0, ErrStopped
	}
	n := r.count(min(len(p), len(r.rest)))
	if n == 0 {
		return 0, io.EOF
	}
	copy(p, r.rest[:n])
	r.rest = r.rest[n:]
	return n, nil
}

// count counts the tags that begin in the next n bytes, and returns how many of these
// may be read.
func (r *reader) count(n int) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(r.rest[at:n], '<')
		if i < 0 {
			return n
		}
		at += i
		name := r.rest[at+1:]
		end := len(name) > 0 && name[0] == '/'
		if end {
			name = name[1:]
		}
		if isFormatting(name) {
			if end {
				r.open = max(r.open-1, 0)
			} else {
				r.open = min(r.open+1, maxOpen)
			}
		}
		if r.nodes -= 1 + r.open; r.nodes < 0 {
			r.rest, r.cut = r.rest[:at], true
			return at
		}
	}
}

// isFormatting reports whether a tag is one whose element is opened again after it was
// closed by another's end. An a is none: there is one at a time.
func isFormatting(tag []byte) bool {
	if len(tag) == 0 {
		return false
	}
	switch tag[0] | 0x20 {
	case 'b':
		return named(tag, "b") || named(tag, "big")
	case 'c':
		return named(tag, "code")
	case 'e':
		return named(tag, "em")
	case 'f':
		return named(tag, "font")
	case 'i':
		return named(tag, "i")
	case 'n':
		return named(tag, "nobr")
	case 's':
		return named(tag, "s") || named(tag, "small") || named(tag, "strike") || named(tag, "strong")
	case 't':
		return named(tag, "tt")
	case 'u':
		return named(tag, "u")
	}
	return false
}

func named(tag []byte, name string) bool {
	if len(tag) <= len(name) || !scan.EqualFold(tag[:len(name)], name) {
		return false
	}
	switch tag[len(name)] {
	case ' ', '\t', '\n', '\f', '\r', '/', '>':
		return true
	}
	return false
}

// overladen returns where in a page the tag begins with which its attributes become too
// many, or the length of the page.
func overladen(page []byte, stop *atomic.Bool) int {
	var s scan.Scanner
	s.Reset(page)
	left := maxAttrs
	for n := 1; s.Next(); n++ {
		if left -= len(s.Attrs()); left < 0 {
			return s.Start()
		}
		if n%256 == 0 && stop != nil && stop.Load() {
			break
		}
	}
	return len(page)
}
