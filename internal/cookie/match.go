package cookie

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
)

// Header returns the value of the Cookie header of a request for u, "" for none: of
// the cookies those that are for it, longest path first, then the oldest. Cookies that
// could not have come from Parse are left out.
func Header(cookies []Cookie, u weburl.URL, now time.Time) string {
	matching := Matching(cookies, u, now)
	var b strings.Builder
	for i := range matching {
		c := &matching[i]
		if i > 0 {
			b.WriteString("; ")
		}
		if c.Name != "" {
			b.WriteString(c.Name)
			b.WriteByte('=')
		}
		b.WriteString(c.Value)
	}
	return b.String()
}

// Matching returns the cookies that a request for u gets, in the order of the header.
// The slice is the caller's.
func Matching(cookies []Cookie, u weburl.URL, now time.Time) []Cookie {
	if len(cookies) == 0 || u.IsZero() {
		return nil
	}
	host, site, path, secure := u.Host(), u.Site(), u.Path(), u.Scheme() == "https"
	var out []Cookie
	for i := range cookies {
		c := &cookies[i]
		forHost := c.Domain == host
		if !c.HostOnly && !forHost {
			forHost = belowOrSame(host, c.Domain) && belowOrSame(c.Domain, site)
		}
		if forHost && pathMatch(path, c.Path) && (secure || !c.Secure) && !c.expired(now) && c.valid() {
			out = append(out, *c)
		}
	}
	slices.SortStableFunc(out, func(a, b Cookie) int {
		return cmp.Or(cmp.Compare(len(b.Path), len(a.Path)), a.Created.Compare(b.Created))
	})
	return out
}

// belowOrSame reports whether host is domain or lies below it. An address lies below
// nothing: no address is the end of another one with a point before it that is a
// domain of a cookie, as those of addresses are host-only.
func belowOrSame(host, domain string) bool {
	return host == domain ||
		len(host) > len(domain) && strings.HasSuffix(host, domain) && host[len(host)-len(domain)-1] == '.'
}

// pathMatch is that of RFC 6265bis §5.1.4.
func pathMatch(path, cookiePath string) bool {
	return strings.HasPrefix(path, cookiePath) &&
		(len(path) == len(cookiePath) || strings.HasSuffix(cookiePath, "/") || path[len(cookiePath)] == '/')
}

// defaultPath is the path of a cookie that names none: that of the URL up to its last
// slash.
func defaultPath(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}
