package document

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// unescapeText decodes the entities of text.
func unescapeText(b []byte) string {
	if bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	return html.UnescapeString(string(b))
}

// Fold returns s with its white space folded to single blanks and none at the
// ends, cut to at most limit bytes (0: no limit) between characters. What is not
// UTF-8 is replaced.
func Fold(s string, limit int) string {
	if isFolded(s) && (limit == 0 || len(s) <= limit) {
		return s
	}
	dst := make([]byte, 0, min(len(s), max(limit, 64)))
	blank := false
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		i += n
		if r == 0 {
			r = utf8.RuneError
		}
		if unicode.IsSpace(r) {
			blank = true
			continue
		}
		if blank && len(dst) > 0 {
			dst = append(dst, ' ')
		}
		blank = false
		if limit > 0 && len(dst)+utf8.RuneLen(r) > limit {
			return string(bytes.TrimRight(dst, " "))
		}
		dst = utf8.AppendRune(dst, r)
	}
	return string(dst)
}

// isFolded reports whether s is ASCII without anything to fold.
func isFolded(s string) bool {
	blank := true
	for i := range len(s) {
		c := s[i]
		if c == ' ' {
			if blank {
				return false
			}
			blank = true
			continue
		}
		if c < 0x20 || c >= 0x7f {
			return false
		}
		blank = false
	}
	return !blank || s == ""
}
