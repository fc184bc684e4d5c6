package weburl

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// builder assembles one URL. Its buffers are reused from URL to URL.
type builder struct {
	buf                         []byte
	hostStart, hostEnd, authEnd int // offsets in buf, as in URL
	query                       int // offset of "?", -1 without a query

	params  []param // of the query, for finish
	scratch []byte
}

// absolute parses what follows "http:" or "https:". It reports false, leaving
// rubbish in the buffer, for anything that needs the full parser.
func (x *builder) absolute(scheme, rest string) bool {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return false
	}
	end := 0
	for end < len(rest) && rest[end] != '/' && rest[end] != '?' {
		end++
	}
	secure := len(scheme) == len("https")
	if secure {
		x.buf = append(x.buf[:0], "https://"...)
	} else {
		x.buf = append(x.buf[:0], "http://"...)
	}
	x.query = -1
	return x.authority(rest[:end], secure) && x.path(rest[end:])
}

// authority appends host[:port].
func (x *builder) authority(auth string, secure bool) bool {
	host, port, hasPort := strings.Cut(auth, ":")
	x.hostStart = len(x.buf)
	for i := range len(host) {
		c := host[i]
		if !is(c, nameByte) || c == '.' && (i == 0 || host[i-1] == '.') {
			return false
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		x.buf = append(x.buf, c)
	}
	x.hostEnd = len(x.buf)
	if !plainHost(x.buf[x.hostStart:]) {
		return false
	}
	if hasPort {
		n, ok := parsePort(port)
		if !ok {
			return false
		}
		if secure && n != 443 || !secure && n != 80 {
			x.buf = append(append(x.buf, ':'), port...)
		}
	}
	x.authEnd = len(x.buf)
	return true
}

// plainHost reports whether a host of letters, digits, hyphens and dots stands for
// itself: no punycode, which must be checked, and no address in an odd notation.
func plainHost(host []byte) bool {
	if len(host) == 0 || host[len(host)-1] == '.' || bytes.Contains(host, []byte("xn--")) {
		return false
	}
	last := host[bytes.LastIndexByte(host, '.')+1:]
	switch c := last[0]; {
	case c >= '0' && c <= '9':
		if len(host) > len("255.255.255.255") {
			return false
		}
		a, err := netip.ParseAddr(string(host))
		return err == nil && a.Is4()
	case c == '-':
		return false
	}
	return true
}

// path appends a path and the query behind it. A path without a slash in front is
// relative to the buffer, which then ends in one.
func (x *builder) path(p string) bool {
	if x.buf[len(x.buf)-1] != '/' || len(x.buf) == x.authEnd {
		x.buf = append(x.buf, '/')
		p = strings.TrimPrefix(p, "/")
	}
	start := 0
	for i := 0; ; i++ {
		if i < len(p) && p[i] != '/' && p[i] != '?' {
			if !is(p[i], pathByte) || p[i] == '%' && encodedDot(p[i:]) {
				return false
			}
			continue
		}
		last := i == len(p) || p[i] == '?'
		switch segment := p[start:i]; segment {
		case ".":
		case "..":
			x.pop()
		default:
			x.buf = append(x.buf, segment...)
			if !last {
				x.buf = append(x.buf, '/')
			}
		}
		if last {
			return i == len(p) || x.appendQuery(p[i:])
		}
		start = i + 1
	}
}

// encodedDot reports whether s starts with a dot in percent encoding, which may be
// part of a dot segment.
func encodedDot(s string) bool {
	return len(s) >= 3 && s[1] == '2' && s[2]|0x20 == 'e'
}

// pop drops the last segment of a path that ends in a slash; the root stays.
func (x *builder) pop() {
	end := len(x.buf) - 1
	if end > x.authEnd {
		x.buf = x.buf[:bytes.LastIndexByte(x.buf[:end], '/')+1]
	}
}

// appendQuery appends a query, "?" included.
func (x *builder) appendQuery(q string) bool {
	for i := range len(q) {
		if !is(q[i], queryByte) {
			return false
		}
	}
	x.query = len(x.buf)
	x.buf = append(x.buf, q...)
	return true
}

// load takes over what the full parser made.
func (x *builder) load(u *whatwg.Url) error {
	if u.Username() != "" || u.Password() != "" {
		u.SetUsername("")
		u.SetPassword("")
	}
	s := u.Href(true)
	start := len(u.Scheme()) + len("://")
	slash := -1
	if len(s) > start {
		slash = strings.IndexByte(s[start:], '/')
	}
	if !isHTTP(u.Scheme()) || slash < 0 {
		return fmt.Errorf("%w: no host", ErrInvalid)
	}
	hostStart, hostEnd, ok := splitAuthority(s, start, start+slash)
	if !ok {
		return fmt.Errorf("%w: bad host or port", ErrInvalid)
	}
	x.buf = append(x.buf[:0], s...)
	x.hostStart, x.hostEnd, x.authEnd = int(hostStart), int(hostEnd), start+slash
	x.query = strings.IndexByte(s, '?')
	return nil
}
