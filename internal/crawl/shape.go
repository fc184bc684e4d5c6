package crawl

import (
	"strings"

	"github.com/weircrawl/weir/internal/weburl"
)

// ShapeID returns a hash of a URL's shape (see AppendShape), the same in every
// process. URLs of different shapes may share one, rarely and inside a host, so it
// is good for budgets and for nothing that must be exact. It allocates nothing for
// a shape below a kilobyte.
func ShapeID(u weburl.URL) uint64 {
	var buf [1024]byte
	// FNV-1a.
	h := uint64(14695981039346656037)
	for _, c := range AppendShape(buf[:0], u) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	// Its low bits depend on little; tables are indexed by them.
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// AppendShape appends the shape of a URL: what is left of its path and query when
// all that counts or identifies is made alike, so that the pages of a calendar or
// a catalogue have one shape. In the path, numbers, hexadecimal ids, UUIDs and
// long tokens become #; a list of them separated by commas becomes one. Of the
// query the names of the parameters are left, in their order, treated in the same
// way, and repetitions of a name become one. Words stay: two articles have two
// shapes.
//
//	/shop/item-8812.html?ref=a1&size=4  →  /shop/item-#.html?ref&size
//	/2024/05/17/some-title              →  /#/#/#/some-title
func AppendShape(dst []byte, u weburl.URL) []byte {
	path, query, _ := strings.Cut(u.PathQuery(), "?")
	dst = appendShape(dst, path)
	last := -1 // where the last name begins in dst
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		mark := len(dst)
		if last < 0 {
			dst = append(dst, '?')
		} else {
			dst = append(dst, '&')
		}
		dst = appendShape(dst, name)
		if last >= 0 && string(dst[mark+1:]) == string(dst[last:mark]) {
			dst = dst[:mark]
			continue
		}
		last = mark + 1
	}
	return dst
}

// appendShape appends text with its identifiers made alike.
func appendShape(dst []byte, text string) []byte {
	start := len(dst)
	for i := 0; i < len(text); {
		switch n := tokenLen(text[i:]); {
		case n == 8 && isUUID(text[i:]):
			dst = appendID(dst, start)
			i += uuidLen
		case n > 0:
			dst = appendToken(dst, start, text[i:i+n])
			i += n
		case text[i] == '%' && i+2 < len(text):
			// An escape is a letter of another alphabet, not a number.
			dst = append(dst, text[i:i+3]...)
			i += 3
		default:
			dst = append(dst, text[i])
			i++
		}
	}
	return dst
}

// tokenLen is the length of the letters and digits that s begins with.
func tokenLen(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || isLetter(s[n])) {
		n++
	}
	return n
}

// Tokens this long are identifiers when they look like one; without any digit they
// may be words, up to longWord.
const (
	minHex   = 8
	minMixed = 8
	minToken = 16
	longWord = 40
)

// appendToken appends a run of letters and digits: # if it is an identifier as a
// whole, otherwise with each of its numbers as #.
func appendToken(dst []byte, start int, token string) []byte {
	if isID(token) {
		return appendID(dst, start)
	}
	for i := 0; i < len(token); {
		if !isDigit(token[i]) {
			dst = append(dst, token[i])
			i++
			continue
		}
		for i < len(token) && isDigit(token[i]) {
			i++
		}
		dst = appendID(dst, start)
	}
	return dst
}

func isID(token string) bool {
	var digits, hex, upper, lower int
	for i := range len(token) {
		c := token[i]
		switch {
		case isDigit(c):
			digits++
		case 'A' <= c && c <= 'Z':
			upper++
		default:
			lower++
		}
		if isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' {
			hex++
		}
	}
	n := len(token)
	switch {
	case digits == n:
		return true
	case digits == 0:
		return n >= longWord
	case hex == n:
		return n >= minHex
	case upper > 0 && lower > 0:
		return n >= minMixed
	}
	return n >= minToken
}

// appendID appends # unless it would continue a list.
func appendID(dst []byte, start int) []byte {
	if n := len(dst); n-start >= 2 && dst[n-1] == ',' && dst[n-2] == '#' {
		return dst[:n-1]
	}
	return append(dst, '#')
}

const uuidLen = 36

// isUUID reports whether s begins with a UUID in its usual form.
func isUUID(s string) bool {
	if len(s) < uuidLen || len(s) > uuidLen && (isDigit(s[uuidLen]) || isLetter(s[uuidLen])) {
		return false
	}
	for i := range uuidLen {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
