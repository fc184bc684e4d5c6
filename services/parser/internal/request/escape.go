package request

import (
	"strings"

	"github.com/tidwall/gjson"
	"golang.org/x/text/encoding"

	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/services/parser/internal/charset"
	"github.com/weircrawl/weir/services/parser/internal/extract"
)

// secretOf returns the name of the secret that a value is, as it stands in JSON; empty
// for what comes from a page, whose braces are escaped.
func secretOf(raw string) string {
	name, ok := strings.CutPrefix(raw, `"{`)
	if !ok {
		return ""
	}
	if name, ok = strings.CutSuffix(name, `}"`); !ok || !secret.IsName(name) {
		return ""
	}
	return name
}

// pair is a field that is sent.
type pair struct {
	name  string
	value gjson.Result
}

// pairText returns the text of a value that is sent as one.
func pairText(v gjson.Result) string {
	if v.Type == gjson.String {
		return v.Str
	}
	return v.Raw // numbers as they are written, objects as JSON
}

// appendForm appends pairs as a form sends them. A list is sent value by value.
func appendForm(dst []byte, pairs []pair, to *encoding.Encoder) []byte {
	for _, p := range pairs {
		if p.value.IsArray() {
			p.value.ForEach(func(_, v gjson.Result) bool {
				dst = appendPair(dst, p.name, v, to)
				return true
			})
			continue
		}
		dst = appendPair(dst, p.name, p.value, to)
	}
	return dst
}

func appendPair(dst []byte, name string, v gjson.Result, to *encoding.Encoder) []byte {
	if len(dst) > 0 {
		dst = append(dst, '&')
	}
	dst = append(escapeForm(dst, name, to), '=')
	if name := secretOf(v.Raw); name != "" {
		return append(append(append(dst, '{'), name...), '}')
	}
	return escapeForm(dst, pairText(v), to)
}

// escapeForm appends a text by the serializer of application/x-www-form-urlencoded, in
// an encoding other than UTF-8 where there is one; what that has not got becomes a
// character reference, as in browsers.
func escapeForm(dst []byte, s string, to *encoding.Encoder) []byte {
	const hex = "0123456789ABCDEF"
	if to != nil {
		if encoded, err := to.String(s); err == nil {
			s = encoded
		}
	}
	for i := range len(s) {
		switch c := s[i]; {
		case isAlnum(c) || c == '*' || c == '-' || c == '.' || c == '_':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// escapeValue escapes a value that fills a gap of an address, as encodeURIComponent
// does.
func escapeValue(s string) string {
	return strings.ReplaceAll(string(escapeForm(nil, s, nil)), "+", "%20")
}

func isAlnum(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }

// encoderOf returns the encoder of a form's encoding; nil for UTF-8, which stands for
// UTF-16 and what is not known too.
func encoderOf(label string) *encoding.Encoder {
	if e := charset.Encoder(label); e != nil {
		return encoding.HTMLEscapeUnsupported(e)
	}
	return nil
}

// appendObject appends pairs as a JSON object; values of one name become a list.
func appendObject(dst []byte, pairs []pair) []byte {
	dst = append(dst, '{')
	for i, p := range pairs {
		same, first := 0, true
		for j := range pairs {
			if pairs[j].name == p.name {
				same++
				first = first && j >= i
			}
		}
		if !first {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(extract.AppendText(dst, p.name), ':')
		if same == 1 {
			dst = append(dst, p.value.Raw...)
			continue
		}
		dst = append(dst, '[')
		for _, q := range pairs[i:] {
			if q.name == p.name {
				dst = append(append(dst, q.value.Raw...), ',')
			}
		}
		dst[len(dst)-1] = ']'
	}
	return append(dst, '}')
}
