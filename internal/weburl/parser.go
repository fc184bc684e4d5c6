package weburl

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	whatwg "github.com/nlnwa/whatwg-url/url"
	"golang.org/x/text/unicode/norm"
)

// newParser returns the WHATWG parser of the slow path. It rejects more than the
// standard does in two places, both without use on the web: hosts that mix
// non-ASCII letters with ASCII punctuation, and those that checkHost names.
func newParser() whatwg.Parser {
	return whatwg.NewParser(whatwg.WithPreParseHostFunc(func(_ *whatwg.Url, host string) string {
		if !checkHost(host) {
			return "[" // an address without its end: what the parser rejects in any case
		}
		return host
	}))
}

// checkHost rejects what the parser would wrongly read as an address: doubled
// brackets, and numbers with a sign ("http://-1/" is not 255.255.255.255); and the
// label "xn--", which it would drop.
func checkHost(host string) bool {
	if strings.HasPrefix(host, "[") {
		return strings.LastIndexByte(host, '[') == 0 && strings.IndexByte(host, ']') == len(host)-1
	}
	if decoded, err := url.PathUnescape(host); err == nil {
		host = decoded
	}
	labels := strings.Split(asciiOf(host), ".")
	if n := len(labels) - 1; n > 0 && labels[n] == "" {
		labels = labels[:n]
	}
	last := strings.TrimLeft(labels[len(labels)-1], "+-")
	number := last != "" && last[0] >= '0' && last[0] <= '9'
	for _, label := range labels {
		signed := strings.HasPrefix(strings.TrimPrefix(label, "0x"), "-") || strings.Contains(label, "+")
		if label == "xn--" || number && signed {
			return false
		}
	}
	return true
}

// asciiOf maps a host as the parser will, as far as it ends in ASCII, so that no
// sign or dot is missed.
func asciiOf(host string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '。':
			return '.'
		case r >= utf8.RuneSelf:
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(host))
}
