package archive

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
	"github.com/weircrawl/weir/internal/weburl"
)

// Exchange is a request and its response, to be appended.
type Exchange struct {
	// Crawl that it belongs to, whose segment it goes into.
	Crawl string
	// ID of the response record, unique in the world; those of the others are derived.
	ID warc.ID
	// URL that was visited; a request other than a plain GET is in its fragment
	// (ADR-0017).
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
	// Facts about the visit go into a metadata record; without any there is none.
	Facts []Header
	// Attachments are what the visit made besides the response.
	Attachments []Attachment
}

// Attachment is something like a screenshot, kept as a resource record under
// urn:NAME:URL.
type Attachment struct {
	// Name of its kind: [a-z]+.
	Name string
	// ContentType is its media type.
	ContentType string
	// Data as it is.
	Data []byte
	// SHA256 of Data.
	SHA256 [sha256.Size]byte
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
	// StreamSize is its length.
	StreamSize int64
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

// companionID is the ID of the nth record that belongs to a response: of the request,
// the metadata, then the resources.
func companionID(id warc.ID, n byte) warc.ID {
	id[len(id)-1] |= 1
	id[0] ^= n
	return id
}

// target is the URL without the request that may be in its fragment: what a server
// and other tools know it by.
func (x *Exchange) target() string {
	target, _, _ := strings.Cut(x.URL, "#")
	return target
}

// responseRecord is the header of the response's record.
func (x *Exchange) responseRecord(info warc.ID) warc.Record {
	return warc.Record{
		Type: warc.Response, ID: x.ID, Date: x.At, TargetURI: x.target(), IP: x.Remote, PayloadDigest: x.Body.SHA256,
		Truncated: x.truncation(), InfoID: info, ContentType: warc.TypeResponse,
	}
}

// describe makes a revisit record of a response record: its block is the response's
// head alone.
func (r *Revisit) describe(rec *warc.Record) {
	target, _, _ := strings.Cut(r.URL, "#")
	rec.Type, rec.RefersTo, rec.RefersToURI, rec.RefersToDate = warc.Revisit, r.ID, target, r.At
	if r.NotModified {
		rec.Profile, rec.PayloadDigest, rec.Truncated = warc.ProfileNotModified, nil, ""
		return
	}
	// The standard asks for this reason where the same payload was left out.
	rec.Profile, rec.Truncated = warc.ProfileIdenticalPayload, "length"
}

func (x *Exchange) truncation() string {
	switch {
	case !x.Truncated:
		return ""
	case x.Class == crawl.ClassTimeoutBody || x.Class == crawl.ClassTooSlow:
		return "time"
	case x.Class == crawl.ClassNone || x.Class == crawl.ClassTooLarge:
		return "length"
	default:
		return "disconnect"
	}
}

// renamed begins the names of fields about how a body travelled.
const renamed = "X-Archive-Orig-"

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
			dst = append(dst, renamed...)
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

// appendRequestHead appends the request: its line and headers, and the body of one that
// has any.
func (x *Exchange) appendRequestHead(dst []byte) []byte {
	method, body := "GET", ""
	if u, err := weburl.FromCanonical(x.URL); err == nil {
		if r, ok := u.Request(); ok {
			method, body = r.Method, r.Body
		}
	}
	host, target := "", x.target()
	if u, err := url.Parse(target); err == nil {
		host, target = u.Host, u.RequestURI()
	}
	dst = append(append(dst, method...), ' ')
	dst = warc.AppendClean(dst, target)
	dst = append(dst, " HTTP/1.1\r\n"...)
	var hasHost, hasLength bool
	for i := range x.Request {
		hasHost = hasHost || strings.EqualFold(x.Request[i].Name, "Host")
		hasLength = hasLength || strings.EqualFold(x.Request[i].Name, "Content-Length")
	}
	if !hasHost {
		dst = (&Header{Name: "Host", Value: []byte(host)}).append(dst)
	}
	for i := range x.Request {
		dst = x.Request[i].append(dst)
	}
	if body != "" && !hasLength {
		dst = (&Header{Name: "Content-Length", Value: strconv.AppendInt(nil, int64(len(body)), 10)}).append(dst)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

func (h *Header) append(dst []byte) []byte {
	dst = warc.AppendClean(dst, h.Name)
	dst = append(dst, ": "...)
	dst = warc.AppendClean(dst, h.Value)
	return append(dst, "\r\n"...)
}
