package link

import (
	"slices"
	"strings"

	"github.com/weircrawl/weir/services/parser/internal/document"
)

// FromHeader appends the references of a Link header (RFC 8288) to pages and to
// parts of this one, of the kinds that are read. What cannot be read is passed
// over.
func FromHeader(dst []document.Reference, value string, kinds document.Kinds) []document.Reference {
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
		var p linkParams
		p, value = parameters(value[start+end+1:])
		if kind := document.LinkKind([]byte(p.rel), []byte(p.mediaType), []byte(p.as)); kinds.Has(kind) {
			dst = append(dst, document.Reference{
				Target:   strings.TrimSpace(target),
				Kind:     kind,
				NoFollow: slices.Contains(strings.Fields(strings.ToLower(p.rel)), "nofollow"),
			})
		}
	}
}

// linkParams are the parameters of a link that say what it is.
type linkParams struct{ rel, mediaType, as string }

// parameters reads the parameters of one link, up to the comma that ends it, and
// returns them and what is left. The first of a name counts.
func parameters(s string) (p linkParams, rest string) {
	seen := map[string]bool{}
	for s != "" {
		s = strings.TrimLeft(s, " \t;")
		if strings.HasPrefix(s, ",") {
			return p, s[1:]
		}
		i := strings.IndexAny(s, "=;,")
		if i < 0 {
			return p, ""
		}
		name := strings.ToLower(strings.TrimSpace(s[:i]))
		if s[i] != '=' {
			s = s[i:]
			continue
		}
		var v string
		v, s = parameterValue(strings.TrimLeft(s[i+1:], " \t"))
		if field := p.field(name); field != nil && !seen[name] {
			*field, seen[name] = v, true
		}
	}
	return p, ""
}

func (p *linkParams) field(name string) *string {
	switch name {
	case "rel":
		return &p.rel
	case "type":
		return &p.mediaType
	case "as":
		return &p.as
	}
	return nil
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
