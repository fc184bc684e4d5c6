package weburl

import (
	"fmt"
	"strings"
	"unicode/utf8"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// Base is the URL that the links of one page are resolved against. It keeps its
// buffers from link to link, so it is not safe for concurrent use.
type Base struct {
	c    *Canonicalizer
	self URL    // the canonical form, for links to the page itself
	full string // the WHATWG form: no options applied

	hostStart, hostEnd, authEnd int // parts of full, as in URL
	dirEnd                      int // after the last slash of the path
	pathEnd                     int // where the query starts

	slow  *whatwg.Url // full, parsed on first need
	x     builder
	query func(dst []byte, text string) []byte // nil for UTF-8
}

// EncodeQueries has Resolve write what is not ASCII in the query of a link by encode,
// which appends its percent-encoded form: browsers take the encoding of the page that
// the link is in, for queries alone. Nil, as at first, stands for UTF-8.
func (b *Base) EncodeQueries(encode func(dst []byte, text string) []byte) { b.query = encode }

func isWide(r rune) bool { return r >= utf8.RuneSelf }

// encoded returns link with its query by b.query.
func (b *Base) encoded(link string) string {
	end := strings.IndexByte(link, '#')
	if end < 0 {
		end = len(link)
	}
	i := strings.IndexByte(link[:end], '?')
	if i < 0 || strings.IndexFunc(link[i:end], isWide) < 0 {
		return link
	}
	dst := append(make([]byte, 0, 2*len(link)), link[:i]...)
	for i < end {
		start := i
		for i < end && link[i] < utf8.RuneSelf {
			i++
		}
		dst = append(dst, link[start:i]...)
		start = i
		for i < end && link[i] >= utf8.RuneSelf {
			i++
		}
		if i > start {
			dst = b.query(dst, link[start:i])
		}
	}
	return string(append(dst, link[end:]...))
}

// Resolve returns the canonical form of a link as written in the page: absolute,
// relative, with spaces around it or a fragment. Errors are those of
// Canonicalizer.Parse. The usual link costs one allocation, the string itself.
func (b *Base) Resolve(link string) (URL, error) {
	if b.query != nil {
		link = b.encoded(link)
	}
	ref, err := prepare(link)
	if err != nil {
		return URL{}, err
	}
	if ref.bare == "" {
		return b.self, nil
	}
	if !b.fast(ref.bare) {
		if err := b.resolveSlow(ref); err != nil {
			return URL{}, err
		}
	}
	return b.c.finish(&b.x)
}

// fast resolves ref into the builder unless there is anything unusual about it.
func (b *Base) fast(ref string) bool {
	switch {
	case strings.HasPrefix(ref, "//"):
		return b.fastAbsolute(b.full[:strings.IndexByte(b.full, ':')], ref)
	case ref[0] == '/':
		b.copy(b.authEnd)
		return b.x.path(ref)
	case ref[0] == '?':
		b.copy(b.pathEnd)
		return b.x.appendQuery(ref)
	}
	if scheme, rest, ok := splitScheme(ref); ok {
		return b.fastAbsolute(scheme, rest)
	}
	b.copy(b.dirEnd)
	return b.x.path(ref)
}

// fastAbsolute resolves what follows a scheme, usually "//" and the page's own host.
func (b *Base) fastAbsolute(scheme, rest string) bool {
	colon := strings.IndexByte(b.full, ':')
	authority := b.full[colon+1 : b.authEnd] // with the slashes
	path, same := strings.CutPrefix(rest, authority)
	if same && scheme == b.full[:colon] && (path == "" || path[0] == '/' || path[0] == '?') {
		b.copy(b.authEnd)
		return b.x.path(path)
	}
	return b.x.absolute(scheme, rest)
}

// copy starts the builder with the first n bytes of the base.
func (b *Base) copy(n int) {
	b.x.buf = append(b.x.buf[:0], b.full[:n]...)
	b.x.hostStart, b.x.hostEnd, b.x.authEnd, b.x.query = b.hostStart, b.hostEnd, b.authEnd, -1
}

func (b *Base) resolveSlow(ref reference) error {
	if b.slow == nil {
		u, err := b.c.parser.Parse(b.full)
		if err != nil {
			return fmt.Errorf("base %q: %w: %w", b.full, ErrInvalid, err)
		}
		b.slow = u
	}
	return b.c.parseSlow(&b.x, ref, b.slow)
}
