// Package cookie reads the cookies that sites set and says which a request gets, as
// browsers do it (RFC 6265bis), for the cookies of one crawl and site at a time.
//
// It is pure: no I/O, no clock. No input makes it fail; whatever a browser would
// ignore is refused with a reason.
//
// It differs from a browser where there is no user to protect from other sites:
// SameSite, HttpOnly and Partitioned mean nothing to a crawler. And it is stricter
// than the RFC in one thing: a cookie never leaves its registrable domain, even where
// the public suffix list has holes. Names and paths are UTF-8, as messages want them.
package cookie

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"github.com/weircrawl/weir/internal/weburl"
)

const (
	// maxPair bounds name and value together, maxAttribute the value of an attribute:
	// a longer one is ignored (RFC 6265bis §5.6).
	maxPair      = 4096
	maxAttribute = 1024
	// maxPath bounds a path, which may be the default one of a long URL.
	maxPath = weburl.MaxLength
	// maxDomain is that of DNS with a point behind.
	maxDomain = 254
	// maxAge bounds the life of a cookie (RFC 6265bis §5.5).
	maxAge = 400 * 24 * time.Hour
)

// ErrRefused is wrapped by all that Parse refuses.
var ErrRefused = errors.New("cookie refused")

// Cookie is one that a site has set. Two of one name, domain, path and HostOnly are
// the same cookie.
type Cookie struct {
	// Name may be empty.
	Name, Value string
	// Domain is in lower case, without a leading point. With HostOnly the cookie is
	// sent to that host alone.
	Domain   string
	HostOnly bool
	// Path that it is for.
	Path string
	// Secure cookies are only sent over https.
	Secure bool
	// Expires is when it ends, in whole milliseconds; zero for one that lasts as long
	// as the crawl. One that ends in the past deletes the cookie.
	Expires time.Time
	// Created is when it was first set, in whole milliseconds.
	Created time.Time
}

// Parse reads the value of one Set-Cookie header of a response from u. The error
// wraps ErrRefused.
func Parse(header string, u weburl.URL, now time.Time) (Cookie, error) {
	if i := strings.IndexFunc(header, control); i >= 0 {
		return Cookie{}, refuse("control byte %#02x", header[i])
	}
	pair, rest, _ := strings.Cut(header, ";")
	name, value, found := strings.Cut(pair, "=")
	if !found {
		name, value = "", pair
	}
	c := Cookie{Name: trim(name), Value: trim(value), Created: milliseconds(now)}
	switch {
	case c.Name == "" && c.Value == "":
		return Cookie{}, refuse("neither name nor value")
	case len(c.Name)+len(c.Value) > maxPair:
		return Cookie{}, refuse("name and value over %d bytes", maxPair)
	}
	a := readAttributes(rest, now)
	c.Secure, c.Expires, c.Path = a.secure, a.expires, a.path
	if !strings.HasPrefix(c.Path, "/") {
		c.Path = defaultPath(u.Path())
	}
	if err := c.setDomain(a.domain, u); err != nil {
		return Cookie{}, err
	}
	if !c.valid() {
		return Cookie{}, refuse("name or path is not UTF-8, or too long a domain")
	}
	if c.Secure && u.Scheme() != "https" {
		return Cookie{}, refuse("Secure over %s", u.Scheme())
	}
	if err := c.checkPrefix(a); err != nil {
		return Cookie{}, err
	}
	return c, nil
}

// attributes are what stands behind the first semicolon; of repeated ones the last
// counts.
type attributes struct {
	domain, path string
	secure       bool
	expires      time.Time
}

func readAttributes(s string, now time.Time) attributes {
	var a attributes
	maxAged := false // Max-Age goes before Expires, in whatever order they come
	for s != "" {
		var av string
		av, s, _ = strings.Cut(s, ";")
		name, value, _ := strings.Cut(av, "=")
		name, value = trim(name), trim(value)
		if len(value) > maxAttribute {
			continue
		}
		switch strings.ToLower(name) {
		case "domain":
			a.domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			a.path = value
		case "secure":
			a.secure = true
		case "expires":
			if at, ok := parseDate(value); ok && !maxAged {
				a.expires = bounded(at, now)
			}
		case "max-age":
			if d, ok := parseMaxAge(value); ok {
				maxAged = true
				a.expires = time.UnixMilli(0).UTC()
				if d > 0 {
					a.expires = bounded(now.Add(d), now)
				}
			}
		}
	}
	return a
}

// bounded keeps within limits the end of a cookie's life. A date so early that it cannot be told
// from none is as good as any other in the past.
func bounded(at, now time.Time) time.Time {
	if at.Before(time.UnixMilli(0)) {
		return time.UnixMilli(0).UTC()
	}
	if limit := now.Add(maxAge); at.After(limit) {
		at = limit
	}
	return milliseconds(at)
}

// parseMaxAge reads whole seconds; what does not fit is as long as can be.
func parseMaxAge(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	digits := strings.TrimPrefix(s, "-")
	var n time.Duration
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		n = min(n*10+time.Duration(digits[i]-'0'), maxAge/time.Second)
	}
	if digits != s {
		return 0, true
	}
	return n * time.Second, true
}

// setDomain decides whom the cookie is for, given the Domain attribute.
func (c *Cookie) setDomain(attribute string, u weburl.URL) error {
	host := u.Host()
	if attribute == "" || attribute == host {
		c.Domain = host
		_, address := u.Addr()
		c.HostOnly = attribute == "" || address || !ordinary(host)
		return nil
	}
	switch {
	case !belowOrSame(host, attribute):
		return refuse("domain %q is not that of %s", attribute, host)
	case !ordinary(attribute), !belowOrSame(attribute, u.Site()):
		return refuse("domain %q is a public suffix", attribute)
	}
	c.Domain = attribute
	return nil
}

// ordinary reports whether a domain may have cookies for all hosts below it: it is
// no public suffix.
func ordinary(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix != domain && !strings.HasSuffix(domain, ".")
}

// checkPrefix holds names to what their prefix promises (RFC 6265bis §5.7).
func (c *Cookie) checkPrefix(a attributes) error {
	name := c.Name
	if name == "" {
		name = c.Value // it would look like a name in the header
	}
	secure, host := hasPrefixFold(name, "__Secure-"), hasPrefixFold(name, "__Host-")
	switch {
	case !secure && !host:
		return nil
	case c.Name == "":
		return refuse("a prefix in a value without a name")
	case !c.Secure:
		return refuse("%q without Secure", c.Name)
	case host && (a.domain != "" || a.path != "/"):
		return refuse("%q with a Domain, or with a Path other than /", c.Name)
	}
	return nil
}

// valid reports whether a cookie, from a message or a store, could have come from
// Parse: nothing in it can break a header or a bound.
func (c *Cookie) valid() bool {
	plain := func(s string) bool { return strings.IndexFunc(s, control) < 0 }
	text := func(s string) bool { return plain(s) && utf8.ValidString(s) }
	return (c.Name != "" || c.Value != "") && len(c.Name)+len(c.Value) <= maxPair &&
		text(c.Name) && plain(c.Value) && strings.IndexByte(c.Name+c.Value, ';') < 0 && strings.IndexByte(c.Name, '=') < 0 &&
		c.Domain != "" && len(c.Domain) <= maxDomain && text(c.Domain) &&
		strings.HasPrefix(c.Path, "/") && len(c.Path) <= maxPath && text(c.Path)
}

// same reports whether two are one cookie, perhaps with different values.
func (c *Cookie) same(o *Cookie) bool {
	return c.Name == o.Name && c.Domain == o.Domain && c.HostOnly == o.HostOnly && c.Path == o.Path
}

// expired reports whether the cookie's life is over.
func (c *Cookie) expired(now time.Time) bool { return !c.Expires.IsZero() && !c.Expires.After(now) }

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// control reports bytes that no cookie may hold; a tab may be inside.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func trim(s string) string { return strings.Trim(s, " \t") }

func milliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
