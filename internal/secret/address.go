package secret

import (
	"net/url"
	"strings"
)

// Address returns an address, or several separated by commas, as messages may have it:
// without what may be a password. Of one that cannot be read only the scheme is left.
func Address(text string) string {
	parts := strings.Split(text, ",")
	for i, p := range parts {
		if i > 0 && !strings.Contains(p, "://") && strings.Contains(text, "@") {
			return hidden(text) // the comma may be one of the password
		}
		parts[i] = address(p)
	}
	return strings.Join(parts, ",")
}

// hidden is what is left when nothing else can be told from a password.
func hidden(text string) string {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok {
		return "…"
	}
	return scheme + "://…"
}

func address(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	}
	switch {
	case rest == "":
		return text
	case !ok && strings.Contains(rest, "="):
		return hidden(text) // key=value, of which one may be the password
	}
	u, err := url.Parse("x://" + rest)
	if err != nil || strings.Count(rest, "@") > 1 || strings.Contains(rest, "@") && u.User == nil {
		return hidden(text)
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	text = strings.TrimPrefix(u.String(), "x://")
	if ok {
		text = scheme + "://" + text
	}
	return text
}
