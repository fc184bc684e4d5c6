package weburl

import (
	"bytes"
	"slices"
	"strings"
)

// param is one parameter of the query: offsets in the builder's buffer.
type param struct {
	start, nameEnd, end int
}

// finish applies the options to what the builder holds and makes the URL of it.
func (c *Canonicalizer) finish(x *builder) (URL, error) {
	if c.opts.StripSessionIDs {
		x.stripPathSessions()
	}
	if x.query >= 0 && (c.opts.SortQuery || c.opts.StripSessionIDs || len(c.names) > 0 || len(c.prefixes) > 0) {
		c.cleanQuery(x)
	}
	if len(x.buf) > MaxLength {
		return URL{}, ErrTooLong
	}
	return URL{
		s:         string(x.buf),
		hostStart: int32(x.hostStart),
		hostEnd:   int32(x.hostEnd),
		authEnd:   int32(x.authEnd),
		end:       int32(len(x.buf)),
	}, nil
}

// cleanQuery drops and sorts parameters. A query that stays as it is, the usual
// case, is not rewritten.
func (c *Canonicalizer) cleanQuery(x *builder) {
	x.params = x.params[:0]
	dropped, sorted := false, true
	for start := x.query + 1; start <= len(x.buf); {
		p := param{start: start, end: len(x.buf)}
		if i := bytes.IndexByte(x.buf[start:], '&'); i >= 0 {
			p.end = start + i
		}
		p.nameEnd = p.end
		if i := bytes.IndexByte(x.buf[start:p.end], '='); i >= 0 {
			p.nameEnd = start + i
		}
		start = p.end + 1
		if p.start == p.end && c.opts.SortQuery || p.start < p.end && c.drops(x.buf[p.start:p.nameEnd]) {
			dropped = true
			continue
		}
		if n := len(x.params); n > 0 && x.compare(x.params[n-1], p) > 0 {
			sorted = false
		}
		x.params = append(x.params, p)
	}
	if !c.opts.SortQuery {
		sorted = true
	}
	if !dropped && sorted {
		return
	}
	if !sorted {
		slices.SortStableFunc(x.params, x.compare)
	}
	x.writeQuery()
}

func (x *builder) compare(a, b param) int {
	return bytes.Compare(x.buf[a.start:a.nameEnd], x.buf[b.start:b.nameEnd])
}

// writeQuery replaces the query by the parameters that are left.
func (x *builder) writeQuery() {
	x.scratch = x.scratch[:0]
	sep := byte('?')
	for _, p := range x.params {
		x.scratch = append(append(x.scratch, sep), x.buf[p.start:p.end]...)
		sep = '&'
	}
	x.buf = append(x.buf[:x.query], x.scratch...)
	if len(x.params) == 0 {
		x.query = -1
	}
}

// drops reports whether the options drop a parameter of that name.
func (c *Canonicalizer) drops(name []byte) bool {
	if _, ok := c.names[string(name)]; ok {
		return true
	}
	for _, p := range c.prefixes {
		if len(name) >= len(p) && string(name[:len(p)]) == p {
			return true
		}
	}
	return c.opts.StripSessionIDs && isSessionName(name)
}

// isSessionName reports whether a parameter carries a session id.
func isSessionName(name []byte) bool {
	const longest = len("aspsessionid") + 16
	if len(name) < len("sid") || len(name) > longest {
		return false
	}
	var buf [longest]byte
	lower := buf[:copy(buf[:], name)]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	switch string(lower) {
	case "jsessionid", "phpsessid", "sid", "cfid", "cftoken":
		return true
	}
	return bytes.HasPrefix(lower, []byte("aspsessionid"))
}

// stripPathSessions drops ";jsessionid=…" and the like and "(S(…))" segments.
func (x *builder) stripPathSessions() {
	end := len(x.buf)
	if x.query >= 0 {
		end = x.query
	}
	path := x.buf[x.authEnd:end]
	if bytes.IndexByte(path, ';') < 0 && !bytes.Contains(path, []byte("/(")) {
		return
	}
	x.scratch = x.scratch[:0]
	for len(path) > 0 { // each round takes a slash and the segment behind it
		n := len(path)
		if i := bytes.IndexByte(path[1:], '/'); i >= 0 {
			n = i + 1
		}
		segment := path[1:n]
		path = path[n:]
		if isASPSession(segment) {
			if len(path) == 0 {
				x.scratch = append(x.scratch, '/')
			}
			continue
		}
		x.scratch = appendWithoutSession(append(x.scratch, '/'), segment)
	}
	if len(x.scratch) == end-x.authEnd {
		return
	}
	x.scratch = append(x.scratch, x.buf[end:]...)
	if x.query >= 0 {
		x.query = x.authEnd + len(x.scratch) - (len(x.buf) - end)
	}
	x.buf = append(x.buf[:x.authEnd], x.scratch...)
}

// appendWithoutSession appends a segment without its session parameters, or all of
// it where the rest would be a dot segment, which means something else.
func appendWithoutSession(dst, segment []byte) []byte {
	start := len(dst)
	for i, whole := 0, segment; len(whole) > 0; i++ {
		end := len(whole)
		if j := bytes.IndexByte(whole[1:], ';'); j >= 0 {
			end = j + 1
		}
		part := whole[:end]
		whole = whole[end:]
		if part[0] == ';' {
			if name, _, ok := bytes.Cut(part[1:], []byte("=")); ok && isSessionName(name) {
				continue
			}
		}
		dst = append(dst, part...)
	}
	if len(dst)-start < len(segment) && isDotSegment(dst[start:]) {
		return append(dst[:start], segment...)
	}
	return dst
}

func isDotSegment(s []byte) bool {
	if len(s) > len("%2e%2e") {
		return false
	}
	switch strings.ReplaceAll(strings.ToLower(string(s)), "%2e", ".") {
	case ".", "..":
		return true
	}
	return false
}

// isASPSession recognises the segment that ASP.NET puts sessions in when it may set
// no cookie: "(S(lit3py55t21z5v55vlm25s55))", maybe with more letters.
func isASPSession(s []byte) bool {
	const idLen = 24
	const one = len("S()") + idLen
	if len(s) < one+2 || s[0] != '(' || s[len(s)-1] != ')' || (len(s)-2)%one != 0 {
		return false
	}
	for s = s[1 : len(s)-1]; len(s) > 0; s = s[one:] {
		if s[0] < 'A' || s[0] > 'Z' || s[1] != '(' || s[one-1] != ')' {
			return false
		}
		for _, c := range s[2 : one-1] {
			if !is(c, alphaByte) && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
