package link

import (
	"strings"

	"github.com/weircrawl/weir/services/parser/internal/document"
)

// FromHeader appends the references of a Link header (RFC 8288) that lead to a
// page to visit: canonical, alternate, next, prev. What cannot be read is passed
// over.
func FromHeader(dst []document.Reference, value string) []document.Reference {
	for {
		start := strings.IndexByte(value, '<')
		if start < 0 {
			return dst
		}
		end := strings.IndexByte(value[start:], '>')
		if end < 0 {
			return dst
		}
		target := value[start+1 : start+end]
		var rel string
		rel, value = parameters(value[start+end+1:])
		if document.LeadsOn([]byte(rel)) {
			dst = append(dst, document.Reference{
				Target:   strings.TrimSpace(target),
				NoFollow: strings.Contains(strings.ToLower(rel), "nofollow"),
			})
		}
	}
}

// parameters reads the parameters of one link, up to the comma that ends it, and
// returns its relation and what is left.
func parameters(s string) (rel, rest string) {
	found := false
	for s != "" {
		s = strings.TrimLeft(s, " \t;")
		if strings.HasPrefix(s, ",") {
			return rel, s[1:]
		}
		i := strings.IndexAny(s, "=;,")
		if i < 0 {
			return rel, ""
		}
		name := strings.TrimSpace(s[:i])
		if s[i] != '=' {
			s = s[i:]
			continue
		}
		var v string
		v, s = parameterValue(strings.TrimLeft(s[i+1:], " \t"))
		if !found && strings.EqualFold(name, "rel") {
			rel, found = v, true
		}
	}
	return rel, ""
}

func parameterValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ";,")
		if i < 0 {
			i = len(s)
		}
		return strings.TrimSpace(s[:i]), s[i:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			i++
			if i == len(s) {
				return b.String(), ""
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
