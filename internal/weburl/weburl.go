// Package weburl turns what people and pages write into canonical URLs, the
// identity that the whole of Weir compares, hashes and stores.
//
// It is pure: no I/O, no clock. A fast path handles the URLs that make up nearly
// all of the web; whatever it is not sure of goes to the WHATWG parser, and the
// two agree (see the property tests).
package weburl

import "errors"

// Errors of parsing; compare with errors.Is.
var (
	// ErrInvalid: not a URL that a browser would open.
	ErrInvalid = errors.New("not a valid URL")
	// ErrScheme: not http or https (mailto:, javascript:, data:, …).
	ErrScheme = errors.New("scheme is not http or https")
	// ErrTooLong: longer than MaxLength after canonicalisation.
	ErrTooLong = errors.New("URL is too long")
)

// MaxLength bounds a canonical URL in bytes, whatever a crawl allows.
const MaxLength = 8192

// Options says what is dropped from a URL before it is compared. The zero value
// drops only the fragment and the user information.
type Options struct {
	// SortQuery sorts query parameters by name; equal names keep their order.
	SortQuery bool
	// StripParams are names of query parameters to drop; a trailing * is a wildcard.
	StripParams []string
	// StripSessionIDs drops jsessionid, phpsessid, sid, aspsessionid*, cfid,
	// cftoken and ;jsessionid= path parameters.
	StripSessionIDs bool
}

// Key is a 96-bit hash of a canonical URL: the first 12 bytes of its SHA-256.
type Key [12]byte

// URL is a canonical absolute http or https URL without fragment and user
// information. The zero value is no URL. URLs are compared by String.
type URL struct {
	s                  string
	hostStart, hostEnd int32 // name without port and without brackets stripped
	authEnd            int32 // end of host[:port]
}
