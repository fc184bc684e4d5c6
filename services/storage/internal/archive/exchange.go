package archive

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

// Exchange is a request and its response, to be appended.
type Exchange struct {
	// ID of the response record, unique in the world; the request's is derived.
	ID warc.ID
	// URL that was visited.
	URL string
	// At is when the exchange began.
	At time.Time
	// Remote is the address that answered.
	Remote netip.Addr
	// Protocol and Status of the response.
	Protocol string
	// Status of the response; not 0.
	Status int
	// Request headers as sent; without any there is no request record.
	Request []Header
	// Response headers as received.
	Response []Header
	// Body of the response.
	Body Body
	// Revisit says where the body is already; nil: it is in Body. Of Body, only Sum
	// and SHA256 count then.
	Revisit *Revisit
	// Truncated: the body was cut, for the reason that Class gives.
	Truncated bool
	// Class of the exchange's failure.
	Class crawl.Class
}

// Revisit refers to an earlier response with the same body.
type Revisit struct {
	// ID, URL and At are those of the earlier exchange.
	ID warc.ID
	// URL of the earlier exchange.
	URL string
	// At is when the earlier exchange began.
	At time.Time
	// NotModified: the site said so (304). Otherwise the body came and is the same.
	NotModified bool
}

// Header is one HTTP header field.
type Header struct {
	// Name of the field.
	Name string
	// Value as received.
	Value []byte
}

// Body is a decoded body as a raw DEFLATE stream in trimmed form (warc.Trim):
// one of Deflate and Stream, neither for an empty body.
type Body struct {
	// Deflate is the trimmed stream.
	Deflate []byte
	// Stream is the trimmed stream of a body that does not go through memory.
	Stream io.Reader
	// Sum of the body before compression; a wrong one makes a record that readers refuse.
	Sum warc.Sum
	// SHA256 of the body before compression.
	SHA256 []byte
}

// Place is where a response record is. The zero value is nowhere.
type Place struct {
	// Segment is the number of the file, from 1.
	Segment int64
	// File is its name.
	File string
	// Offset of the record in the file.
	Offset int64
	// Length of the record in the file.
	Length int64
}

// Segment is a WARC file.
type Segment struct {
	// ID is its number, from 1; given by the index.
	ID int64
	// File is its name.
	File string
	// Size that is committed.
	Size int64
	// OpenedAt is when it was begun.
	OpenedAt time.Time
	// Sealed: nothing is appended any more.
	Sealed bool
}

// requestID is the ID of the request record that belongs to a response.
func requestID(id warc.ID) warc.ID {
	id[len(id)-1] ^= 1
	return id
}

func (x *Exchange) truncation() string {
	switch {
	case !x.Truncated:
		return ""
	case x.Class == crawl.ClassTimeoutBody:
		return "time"
	case x.Class == crawl.ClassNone || x.Class == crawl.ClassTooLarge:
		return "length"
	default:
		return "disconnect"
	}
}

// appendResponseHead appends the status line and headers. The body is stored
// decoded and whole, so the fields that describe how it travelled are renamed,
// as browsers' and other crawlers' archives have it, and its length is given.
func (x *Exchange) appendResponseHead(dst []byte) []byte {
	// HTTP/2 has no status line; the text form is that of 1.1.
	proto := "HTTP/1.1"
	if x.Protocol == "HTTP/1.0" {
		proto = x.Protocol
	}
	dst = append(dst, proto...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(x.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(x.Status)...)
	dst = append(dst, "\r\n"...)
	notModified := x.Revisit != nil && x.Revisit.NotModified
	for i := range x.Response {
		h := &x.Response[i]
		switch {
		case notModified: // its fields are about the page, and nothing follows them
		case strings.EqualFold(h.Name, "Content-Encoding"), strings.EqualFold(h.Name, "Transfer-Encoding"), strings.EqualFold(h.Name, "Content-Length"):
			dst = append(dst, "X-Archive-Orig-"...)
		}
		dst = h.append(dst)
	}
	if notModified {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, x.Body.Sum.Size, 10)
	return append(dst, "\r\n\r\n"...)
}

func (x *Exchange) appendRequestHead(dst []byte) []byte {
	host, target := "", x.URL
	if u, err := url.Parse(x.URL); err == nil {
		host, target = u.Host, u.RequestURI()
	}
	dst = append(dst, "GET "...)
	dst = warc.AppendClean(dst, target)
	dst = append(dst, " HTTP/1.1\r\n"...)
	hasHost := false
	for i := range x.Request {
		hasHost = hasHost || strings.EqualFold(x.Request[i].Name, "Host")
	}
	if !hasHost {
		dst = (&Header{Name: "Host", Value: []byte(host)}).append(dst)
	}
	for i := range x.Request {
		dst = x.Request[i].append(dst)
	}
	return append(dst, "\r\n"...)
}

func (h *Header) append(dst []byte) []byte {
	dst = warc.AppendClean(dst, h.Name)
	dst = append(dst, ": "...)
	dst = warc.AppendClean(dst, h.Value)
	return append(dst, "\r\n"...)
}
