package scan

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Unescape appends an attribute's value to dst with its entities decoded, its
// line ends made one newline and its NULs replaced, as the HTML standard has it
// for attributes: "&copy=1" stays as it is.
func Unescape(dst, value []byte) []byte {
	for i, c := range value {
		if c == '&' || c == '\r' || c == 0 {
			dst = append(dst, value[:i]...)
			return unescapeSlow(dst, value[i:])
		}
	}
	return append(dst, value...)
}

func unescapeSlow(dst, v []byte) []byte {
	for i := 0; i < len(v); {
		switch v[i] {
		case '&':
			n := 0
			dst, n = appendEntity(dst, v[i:])
			i += n
			continue
		case '\r':
			dst = append(dst, '\n')
			if i+1 < len(v) && v[i+1] == '\n' {
				i++
			}
		case 0:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			dst = append(dst, v[i])
		}
		i++
	}
	return dst
}

// appendEntity appends what the reference at the start of v stands for and
// returns its length in v.
func appendEntity(dst, v []byte) ([]byte, int) {
	// &amp; alone is nearly all that URLs have.
	if bytes.HasPrefix(v, []byte("&amp;")) {
		return append(dst, '&'), len("&amp;")
	}
	if len(v) > 1 && v[1] == '#' {
		return appendNumeric(dst, v)
	}
	n := 1
	for n < len(v) && isAlnum(v[n]) {
		n++
	}
	// No entity's name is longer; the bound keeps a page of letters linear.
	if n == 1 || n > 40 {
		return append(dst, v[0]), 1
	}
	semicolon := n < len(v) && v[n] == ';'
	if !semicolon && n < len(v) && v[n] == '=' {
		return append(dst, v[:n]...), n
	}
	if semicolon {
		n++
	}
	name := string(v[:n])
	text := html.UnescapeString(name)
	if !isWholeEntity(name, text, semicolon) {
		// Without the semicolon the name may still be one of the old entities.
		if semicolon {
			n--
			if t := html.UnescapeString(name[:n]); isWholeEntity(name[:n], t, false) {
				return append(dst, t...), n
			}
		}
		return append(dst, name[:n]...), n
	}
	return append(dst, text...), n
}

// appendNumeric is appendEntity for &#65; and &#x41;.
func appendNumeric(dst, v []byte) ([]byte, int) {
	n := 2
	if n < len(v) && (v[n] == 'x' || v[n] == 'X') {
		n++
	}
	for n < len(v) && isAlnum(v[n]) {
		n++
	}
	if n < len(v) && v[n] == ';' {
		n++
	}
	return append(dst, html.UnescapeString(string(v[:n]))...), n
}

// isWholeEntity reports whether text is what all of name stands for. For text
// outside attributes a beginning is enough ("&notit;" is "¬it;"), which leaves
// the rest of the name at the end.
func isWholeEntity(name, text string, semicolon bool) bool {
	if text == name {
		return false
	}
	if semicolon {
		return text == ";" || !strings.HasSuffix(text, ";")
	}
	return utf8.RuneCountInString(text) == 1
}

func isAlnum(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' }
