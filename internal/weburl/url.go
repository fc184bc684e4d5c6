package weburl

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// URL is a canonical absolute http or https URL without user information. It has no
// fragment but that of a request other than a plain GET, which only WithRequest
// makes. The zero value is no URL, and all its parts are empty. URLs are compared by
// String.
type URL struct {
	s                  string
	hostStart, hostEnd int32 // the name, brackets of an IPv6 address left out
	authEnd            int32 // end of host[:port], where the path starts
	end                int32 // end of path and query, where the request starts
}

// FromCanonical takes a string that came from URL.String, by way of our own store
// or messages. It checks the structure, so that garbage gives ErrInvalid and never
// a URL that misbehaves, but not that the string is canonical: use Parse for
// anything from outside. Of fragments it takes those of WithRequest.
func FromCanonical(s string) (URL, error) {
	if len(s) > MaxLength {
		return URL{}, ErrTooLong
	}
	var start int
	switch {
	case strings.HasPrefix(s, "https://"):
		start = len("https://")
	case strings.HasPrefix(s, "http://"):
		start = len("http://")
	default:
		return URL{}, fmt.Errorf("%w: no http:// or https:// in front", ErrInvalid)
	}
	slash := strings.IndexByte(s[start:], '/')
	if slash < 0 {
		return URL{}, fmt.Errorf("%w: no path", ErrInvalid)
	}
	u := URL{s: s, authEnd: int32(start + slash)}
	var ok bool
	if u.hostStart, u.hostEnd, ok = splitAuthority(s, start, start+slash); !ok {
		return URL{}, fmt.Errorf("%w: bad host or port", ErrInvalid)
	}
	u.end = int32(len(s))
	for i := int(u.authEnd); i < len(s); i++ {
		c := s[i]
		if c == '#' {
			if _, ok := parseRequest(s[i:]); !ok {
				return URL{}, fmt.Errorf("%w: a fragment that is no request", ErrInvalid)
			}
			u.end = int32(i)
			break
		}
		if c <= ' ' || c >= 0x7f {
			return URL{}, fmt.Errorf("%w: byte %#02x in the path", ErrInvalid, c)
		}
	}
	return u, nil
}

// Clone returns the URL with memory of its own.
func (u URL) Clone() URL {
	u.s = strings.Clone(u.s)
	return u
}

// splitAuthority finds the host name in s[start:end], which is host[:port] in
// canonical form.
func splitAuthority(s string, start, end int) (hostStart, hostEnd int32, ok bool) {
	auth := s[start:end]
	host, port, afterHost := 0, "", 0
	if strings.HasPrefix(auth, "[") {
		closing := strings.IndexByte(auth, ']')
		if closing < 0 {
			return 0, 0, false
		}
		a, err := netip.ParseAddr(auth[1:closing])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return 0, 0, false
		}
		host, afterHost = 1, closing+1
		hostEnd = int32(start + closing)
	} else {
		afterHost = strings.IndexByte(auth, ':')
		if afterHost < 0 {
			afterHost = len(auth)
		}
		for i := range afterHost {
			if !is(auth[i], hostByte) {
				return 0, 0, false
			}
		}
		hostEnd = int32(start + afterHost)
	}
	if rest := auth[afterHost:]; rest != "" {
		if rest[0] != ':' {
			return 0, 0, false
		}
		port = rest[1:]
		if _, valid := parsePort(port); !valid {
			return 0, 0, false
		}
	}
	hostStart = int32(start + host)
	return hostStart, hostEnd, hostEnd > hostStart
}

// parsePort reads a port in canonical form: digits, no leading zero, 16 bits.
func parsePort(p string) (n int, ok bool) {
	if p == "" || len(p) > 5 || p[0] == '0' && len(p) > 1 {
		return 0, false
	}
	for i := range len(p) {
		if p[i] < '0' || p[i] > '9' {
			return 0, false
		}
		n = n*10 + int(p[i]-'0')
	}
	return n, n <= 65535
}

// String returns the canonical URL with its request, "" for the zero value: what is
// stored, sent and compared. Patterns and other rules see that of WithoutRequest.
func (u URL) String() string { return u.s }

// IsZero reports whether this is no URL.
func (u URL) IsZero() bool { return u.s == "" }

// Scheme returns "http" or "https".
func (u URL) Scheme() string {
	if u.s == "" {
		return ""
	}
	return u.s[:strings.IndexByte(u.s, ':')]
}

// Host returns the host's ASCII name or address, without the port and without the
// brackets of an IPv6 address.
func (u URL) Host() string { return u.s[u.hostStart:u.hostEnd] }

// Port returns the port, "" for the scheme's default.
func (u URL) Port() string {
	after := u.hostEnd
	if after < u.authEnd && u.s[after] == ']' {
		after++
	}
	if after < u.authEnd {
		return u.s[after+1 : u.authEnd]
	}
	return ""
}

// HostPort returns the host as it stands in the URL: an IPv6 address in brackets,
// the port only where it is not the scheme's default.
func (u URL) HostPort() string {
	start := u.hostStart
	if start > 0 && u.s[start-1] == '[' {
		start--
	}
	return u.s[start:u.authEnd]
}

// Origin returns scheme://host[:port], what robots.txt and politeness go by.
func (u URL) Origin() string { return u.s[:u.authEnd] }

// Path returns the path, which starts with a slash.
func (u URL) Path() string {
	p := u.PathQuery()
	if i := strings.IndexByte(p, '?'); i >= 0 {
		p = p[:i]
	}
	return p
}

// PathQuery returns the path and, if there is one, the query with its "?": the
// target of a request and what robots rules are matched against.
func (u URL) PathQuery() string { return u.s[u.authEnd:u.end] }

// Addr returns the host's address if the host is written as one.
func (u URL) Addr() (netip.Addr, bool) {
	host := u.Host()
	if host == "" {
		return netip.Addr{}, false
	}
	// In canonical form only addresses end in a number or hold a colon; the test
	// saves the error that ParseAddr would build for every name.
	if c := host[len(host)-1]; (c < '0' || c > '9') && strings.IndexByte(host, ':') < 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

// Site returns the registrable domain of the host, the unit of partitioning. It is
// the host itself for addresses, single labels and public suffixes.
func (u URL) Site() string {
	host := u.Host()
	if _, ok := u.Addr(); ok {
		return host
	}
	name := strings.TrimSuffix(host, ".") // fully qualified is the same site
	if site, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return site
	}
	return cmp.Or(name, host)
}
