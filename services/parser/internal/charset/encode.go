package charset

import (
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// Encoder returns the encoder of an encoding; nil for UTF-8, which stands for itself
// and for UTF-16 and for what can only be decoded.
func Encoder(label string) *encoding.Encoder {
	e, err := htmlindex.Get(label)
	if err != nil {
		return nil
	}
	switch name, err := htmlindex.Name(e); {
	case err != nil || name == UTF8 || strings.HasPrefix(name, "utf-16") || name == "replacement" || name == "x-user-defined":
		return nil
	}
	return e.NewEncoder()
}

// QueryEncoder returns what appends a text percent-encoded in an encoding, as the URL
// standard has it for queries; nil for UTF-8, which needs none. What the encoding has
// not got becomes a character reference.
func QueryEncoder(label string) func(dst []byte, text string) []byte {
	to := Encoder(label)
	if to == nil {
		return nil
	}
	return func(dst []byte, text string) []byte {
		if s, err := to.String(text); err == nil {
			return appendPercent(dst, s)
		}
		for _, r := range text {
			if s, err := to.String(string(r)); err == nil {
				dst = appendPercent(dst, s)
			} else {
				dst = append(strconv.AppendInt(append(dst, "%26%23"...), int64(r), 10), "%3B"...)
			}
		}
		return dst
	}
}

// appendPercent appends bytes as a query has them.
func appendPercent(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>'`, c) >= 0 {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
