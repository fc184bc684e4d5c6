package extract

import (
	"math"
	"strconv"
	"strings"

	"github.com/weircrawl/weir/internal/weburl"
)

// appendValue appends a text as a JSON value of a kind and reports whether it
// fits; where it does not, dst is returned as it was.
func appendValue(dst []byte, kind Kind, text string, base *weburl.Base) ([]byte, bool) {
	switch kind {
	case Number:
		return appendNumber(dst, text)
	case Integer:
		return appendInteger(dst, text)
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
	}
	if text == "" {
		return dst, false
	}
	return appendString(dst, text), true
}

func appendNumber(dst []byte, text string) ([]byte, bool) {
	s, ok := plainNumber(text)
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

func appendInteger(dst []byte, text string) ([]byte, bool) {
	s, ok := plainNumber(text)
	if !ok {
		return dst, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return dst, false
	}
	return strconv.AppendInt(dst, n, 10), true
}

// plainNumber returns a decimal number without its commas, and whether text is
// one. Commas may only part digits as thousands (1,234,567) or as lakhs
// (12,34,567) do: "1,5" is not fifteen.
func plainNumber(text string) (string, bool) {
	s := strings.TrimSpace(text)
	s = strings.Replace(s, "\u2212", "-", 1) // the typographic minus
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 || body == "" {
		return "", false
	}
	whole, _, _ := strings.Cut(strings.ToLower(body), "e")
	whole, _, _ = strings.Cut(whole, ".")
	for _, c := range body {
		if (c < '0' || c > '9') && !strings.ContainsRune(".,eE+-", c) {
			return "", false // hexadecimal, Inf, 1_000 and whatever else Go reads
		}
	}
	if !strings.Contains(body, ",") {
		return s, true
	}
	groups := strings.Split(whole, ",")
	last := len(groups) - 1
	if strings.Count(body, ",") != last || len(groups[last]) != 3 || groups[0] == "" || len(groups[0]) > 3 {
		return "", false
	}
	for _, g := range groups[1:last] {
		if len(g) != 3 && len(g) != 2 {
			return "", false
		}
	}
	return strings.ReplaceAll(s, ",", ""), true
}
