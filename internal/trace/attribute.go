package trace

import (
	"regexp"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// maxURL bounds the URL of a span.
const maxURL = 1024

// secretParam finds the values of parameters that may be somebody's secret: signed URLs
// and sessions of sites that put them there.
var secretParam = regexp.MustCompile(`(?i)([?&;][^=&;]*(?:token|secret|password|passwd|signature|sig|session|sid|auth|api_?key|access_?key|credential)[^=&;]*=)[^&;]*`)

// userInfo finds a name and password before the host.
var userInfo = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#@]*@`)

// URL is a URL as traces show it: without the request that a fragment may hold, whose
// headers and body are nobody's business, without user and password, and without the
// values of parameters whose names speak of secrets.
func URL(url string) Attr { return attribute.String("url.full", clean(url)) }

func clean(url string) string {
	url, _, _ = strings.Cut(url, "#")
	url = userInfo.ReplaceAllString(url, "$1")
	if i := strings.IndexByte(url, '?'); i >= 0 {
		url = url[:i] + secretParam.ReplaceAllString(url[i:], "${1}REDACTED")
	}
	return url[:min(len(url), maxURL)]
}

// Crawl is the id of the crawl.
func Crawl(id string) Attr { return attribute.String("weir.crawl_id", id) }

// Lease of the visit, as it is written in logs.
func Lease(id string) Attr { return attribute.String("weir.lease_id", id) }

// Attempt is the number of the try, from 1.
func Attempt(n uint32) Attr { return attribute.Int64("weir.attempt", int64(n)) }

// Status is that of the response, 0 without one.
func Status(code int) Attr { return attribute.Int("http.response.status_code", code) }

// Class of the failure, none for a page or a redirect.
func Class(class string) Attr { return attribute.String("weir.error_class", class) }

// Bytes of a body.
func Bytes(n int64) Attr { return attribute.Int64("weir.body_bytes", n) }

// Text is any other attribute; its name begins with weir.
func Text(name, value string) Attr { return attribute.String("weir."+name, value) }

// Count is any other number.
func Count(name string, n int) Attr { return attribute.Int("weir."+name, n) }
