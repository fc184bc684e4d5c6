package extract

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/jsontext"
)

// appendValue appends a text as the JSON value of a field and reports whether it
// fits; where it does not, dst is returned as it was.
func appendValue(dst []byte, f *Field, text string, base *weburl.Base) ([]byte, bool) {
	switch f.Kind {
	case Number:
		return appendNumber(dst, text, f.Decimal)
	case Integer:
		return appendInteger(dst, text, f.Decimal)
	case Boolean:
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "yes", "on", "1":
			return append(dst, "true"...), true
		case "false", "no", "off", "0":
			return append(dst, "false"...), true
		}
		return dst, false
	case URL:
		if base == nil || strings.TrimSpace(text) == "" {
			return dst, false
		}
		u, err := base.Resolve(text)
		if err != nil {
			return dst, false
		}
		return appendString(dst, u.String()), true
	case Date:
		return appendDate(dst, text, f.Layouts)
	case JSON:
		whole, ok := jsontext.Whole(text)
		if !ok {
			return dst, false
		}
		return appendJSON(dst, whole)
	}
	if text == "" {
		return dst, false
	}
	return appendString(dst, text), true
}

// appendJSON appends valid JSON without its white space: an item is one line. A
// null is no value.
func appendJSON(dst []byte, text string) ([]byte, bool) {
	if text == "null" {
		return dst, false
	}
	buf := bytes.NewBuffer(dst)
	if err := json.Compact(buf, []byte(text)); err != nil {
		return dst, false
	}
	return buf.Bytes(), true
}

func appendNumber(dst []byte, text string, decimal byte) ([]byte, bool) {
	s, ok := plainNumber(text, decimal)
	if !ok {
		return dst, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return dst, false
	}
	if f == 0 {
		f = 0 // not -0
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64), true
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64), true
}

func appendInteger(dst []byte, text string, decimal byte) ([]byte, bool) {
	s, ok := plainNumber(text, decimal)
	if !ok {
		return dst, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return dst, false
	}
	return strconv.AppendInt(dst, n, 10), true
}

// plainNumber returns a decimal number with a point and without what parts its
// thousands, and whether text is one. Thousands may be parted (1,234,567) and lakhs
// (12,34,567), by one and the same mark: the comma or point that is not the decimal
// mark, a blank, an apostrophe. "1,5" is not fifteen.
func plainNumber(text string, decimal byte) (string, bool) {
	s := strings.TrimSpace(text)
	s = strings.Replace(s, "\u2212", "-", 1) // the typographic minus
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 || body == "" {
		return "", false
	}
	plain, mark, ok := marked(body, decimal)
	if !ok {
		return "", false
	}
	sign := s[:len(s)-len(body)]
	if mark == 0 {
		return sign + plain, true
	}
	whole, _, _ := strings.Cut(strings.ToLower(plain), "e")
	whole, _, _ = strings.Cut(whole, ".")
	groups := strings.Split(whole, ",")
	last := len(groups) - 1
	if strings.Count(plain, ",") != last || len(groups[last]) != 3 || groups[0] == "" || len(groups[0]) > 3 {
		return "", false
	}
	for _, g := range groups[1:last] {
		if len(g) != 3 && len(g) != 2 {
			return "", false
		}
	}
	return sign + strings.ReplaceAll(plain, ",", ""), true
}

// marked returns a number with a point as its decimal mark and commas where it had
// another mark, and that mark; 0 where it had none.
func marked(body string, decimal byte) (plain string, mark rune, ok bool) {
	if decimal == 0 {
		decimal = '.'
	}
	out := make([]byte, 0, len(body))
	for _, c := range body {
		switch {
		case c >= '0' && c <= '9' || c == 'e' || c == 'E' || c == '+' || c == '-':
			out = append(out, byte(c))
			continue
		case c == rune(decimal):
			out = append(out, '.')
			continue
		case c == '\u2019':
			c = '\''
		case unicode.Is(unicode.Zs, c):
			c = ' '
		case c != ',' && c != '.' && c != '\'':
			return "", 0, false // hexadecimal, Inf, 1_000 and whatever else Go reads
		}
		if mark != 0 && mark != c {
			return "", 0, false
		}
		mark = c
		out = append(out, ',')
	}
	return string(out), mark, true
}
