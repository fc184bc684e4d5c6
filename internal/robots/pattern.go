package robots

import "strings"

// pattern is a compiled path pattern: literal parts between stars.
type pattern struct {
	parts    []string // never empty; parts[0] must match at the start
	anchored bool     // ended in "$": the last part must match at the end
	length   int      // octets of the normalised pattern, which set its precedence
	literal  int      // octets of all parts: no shorter target can match
}

// compile reads the value of an allow or disallow line.
func compile(value string) pattern {
	p := pattern{}
	if strings.HasSuffix(value, "$") {
		p.anchored = true
		value = value[:len(value)-1]
	}
	value = normalise(value, true)
	p.length = len(value)
	if p.anchored {
		p.length++
	}
	p.parts = strings.Split(value, "*")
	p.literal = len(value) - (len(p.parts) - 1)
	return p
}

// match reports whether a normalised target matches. Taking each part at its
// leftmost place leaves the most room for the rest, so there is no backtracking.
func (p *pattern) match(target string) bool {
	if len(target) < p.literal || !strings.HasPrefix(target, p.parts[0]) {
		return false
	}
	rest := target[len(p.parts[0]):]
	last := len(p.parts) - 1
	if last == 0 {
		return !p.anchored || rest == ""
	}
	for _, part := range p.parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	if p.anchored {
		return strings.HasSuffix(rest, p.parts[last])
	}
	return strings.Contains(rest, p.parts[last])
}

// normalise brings patterns and targets to one spelling, so that they can be
// compared by octets (RFC 9309 §2.2.2): escapes of characters that need none are
// decoded, what needs one is escaped, hex digits are upper case. In the query, where
// they mean nothing, escaped ":/?@[]'" are decoded as well; the RFC's table wants
// "?baz=https://foo.bar" and "?baz=https%3A%2F%2Ffoo.bar" to be the same. In a
// pattern a star is a wildcard, in a target it is itself, written "%2A".
func normalise(s string, isPattern bool) string {
	i := 0
	for i < len(s) && plain(s[i]) && (s[i] != '*' || isPattern) {
		i++
	}
	if i == len(s) {
		return s
	}
	const hex = "0123456789ABCDEF"
	out := append(make([]byte, 0, len(s)+16), s[:i]...)
	query := strings.IndexByte(s, '?')
	for ; i < len(s); i++ {
		c, escaped := s[i], false
		if c == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				c, escaped = byte(hi<<4|lo), true
				i += 2
			}
		}
		switch {
		case escaped && (unreserved(c) || query >= 0 && i > query && strings.IndexByte(":/?@[]'", c) >= 0),
			!escaped && plain(c) && (c != '*' || isPattern),
			!escaped && c == '%':
			out = append(out, c)
		default:
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

// unreserved characters mean the same with and without an escape.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// plain reports whether an unescaped octet stays as it is. The others are escaped
// everywhere, so that it does not matter which of them a URL parser escapes. "$" is
// among them, as only the one at the end of a pattern is special.
func plain(c byte) bool { return plainBytes[c] }

// plainBytes is constant; a table, since every octet of every URL is looked up.
var plainBytes = func() (t [256]bool) {
	for i := range t {
		t[i] = unreserved(byte(i)) || strings.IndexByte("!&'()*+,/:;=?@[]", byte(i)) >= 0
	}
	return t
}()

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
