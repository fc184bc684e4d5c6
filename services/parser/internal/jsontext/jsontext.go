// Package jsontext finds JSON in texts as sites write them: with code before and
// behind it, with comments, line breaks inside strings and commas too many.
//
// What it returns is valid and nests at most MaxDepth deep, so that readers that
// call themselves for each level are safe with it.
package jsontext

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// MaxDepth is the deepest nesting that is taken.
const MaxDepth = 512

// maxAttempts bounds the places where JSON is looked for in one text: each costs a
// walk over it.
const maxAttempts = 32

// Whole returns a text that is one JSON value, without the white space around it.
func Whole(s string) (string, bool) {
	s = strings.TrimLeft(s, "\ufeff \t\r\n")
	s = strings.TrimRight(s, " \t\r\n")
	if s == "" || !shallow(s) || !gjson.Valid(s) {
		return "", false
	}
	return s, true
}

// shallow reports whether nothing in s nests deeper than MaxDepth, whatever s is.
func shallow(s string) bool {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i = endOfString(s, i)
		case '{', '[':
			if depth++; depth > MaxDepth {
				return false
			}
		case '}', ']':
			depth--
		}
	}
	return true
}

// endOfString returns where the string that begins at i has its closing quote, or
// the end of s.
func endOfString(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(s)
}

// Values returns the objects and lists in a text, repaired where that is needed,
// one after the other.
func Values(s string) []string {
	var out []string
	for attempt := 0; attempt < maxAttempts; attempt++ {
		i := strings.IndexAny(s, "{[")
		if i < 0 {
			return out
		}
		s = s[i:]
		end := extent(s)
		if end < 0 {
			s = s[1:]
			continue
		}
		if v, ok := mend(s[:end]); ok {
			out = append(out, v)
			s = s[end:]
			continue
		}
		s = s[1:]
	}
	return out
}

// Longest returns the longest object or list in a text; false without one. In
// "var a = []; window.data = {…}" that is the one that is meant.
func Longest(s string) (string, bool) {
	if v, ok := Whole(s); ok {
		return v, true
	}
	best := ""
	for _, v := range Values(s) {
		if len(v) > len(best) {
			best = v
		}
	}
	return best, best != ""
}

// extent returns the length of the object or list that s begins with, by its
// brackets alone; -1 when it does not end or nests too deep.
func extent(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i = endOfString(s, i)
		case '{', '[':
			if depth++; depth > MaxDepth {
				return -1
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// mend returns s as valid JSON if it is, or can be made so.
func mend(s string) (string, bool) {
	if gjson.Valid(s) {
		return s, true
	}
	if s = repair(s); gjson.Valid(s) && shallow(s) {
		return s, true
	}
	return "", false
}

// repair escapes control characters inside strings and drops comments and commas
// before a closing bracket: the mistakes that pages are full of.
func repair(s string) string {
	out := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			end := min(endOfString(s, i), len(s)-1)
			out = appendString(out, s[i:end+1])
			i = end
		case c == '/' && strings.HasPrefix(s[i:], "//"):
			if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(s)
			}
		case c == '/' && strings.HasPrefix(s[i:], "/*"):
			if n := strings.Index(s[i+2:], "*/"); n >= 0 {
				i += n + 3
			} else {
				i = len(s)
			}
		case c == '}' || c == ']':
			trimmed := strings.TrimRight(string(out[max(0, len(out)-256):]), " \t\r\n")
			if strings.HasSuffix(trimmed, ",") {
				cut := min(len(out), 256) - len(trimmed)
				out = out[:len(out)-cut-1]
			}
			out = append(out, c)
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r':
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// appendString appends a string in its quotes with control characters escaped, and
// backslashes that escape nothing doubled.
func appendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && !strings.ContainsRune(`"\/bfnrtu`, rune(s[i+1])) && s[i+1] < utf8.RuneSelf:
			if s[i+1] < 0x20 {
				continue // a line continued by a backslash
			}
			out = append(out, '\\', '\\')
		case c == '\\' && i+1 < len(s):
			out = append(out, c, s[i+1])
			i++
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return out
}
