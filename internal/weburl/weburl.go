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
	// ErrTooLong: longer than MaxLength after canonicalisation, or so long as
	// written that it is not worth finding out.
	ErrTooLong = errors.New("URL is too long")
)

// MaxLength bounds a canonical URL in bytes, whatever a crawl allows.
const MaxLength = 8192

// maxRaw bounds a URL as written. It leaves room for what canonicalisation drops
// and keeps hostile input away from the slow path, whose cost is not linear.
const maxRaw = 4 * MaxLength

// Options says what is dropped from a URL before it is compared. The zero value
// drops only the fragment and the user information.
type Options struct {
	// SortQuery sorts query parameters by name; equal names keep their order.
	// Empty parameters ("a=1&&b=2", a lone "?") are dropped, as they say nothing.
	SortQuery bool
	// StripParams are names of query parameters to drop, compared byte by byte; a
	// trailing * is a wildcard.
	StripParams []string
	// StripSessionIDs drops jsessionid, phpsessid, sid, aspsessionid*, cfid and
	// cftoken, in any case, from the query and from path parameters (";sid=…"),
	// and the "(S(…))" path segments of ASP.NET.
	StripSessionIDs bool
}
