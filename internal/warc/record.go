package warc

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
)

// Type is the kind of a record, as written in WARC-Type.
type Type string

// The types that this package writes; the reader passes on any other.
const (
	// Info describes the file and comes first in it.
	Info Type = "warcinfo"
	// Response is a response as received, its headers included.
	Response Type = "response"
	// Request is the request that led to a response.
	Request Type = "request"
	// Metadata says more about another record.
	Metadata Type = "metadata"
	// Revisit is a response whose payload is stored in an earlier record.
	Revisit Type = "revisit"
	// Resource is something that came with an exchange but not from the server: a
	// screenshot.
	Resource Type = "resource"
)

// Content types of the blocks that this package is used for.
const (
	// TypeResponse is the Content-Type of a response or revisit record.
	TypeResponse = "application/http; msgtype=response"
	// TypeRequest is the Content-Type of a request record.
	TypeRequest = "application/http; msgtype=request"
	// TypeFields is the Content-Type of warcinfo and metadata records.
	TypeFields = "application/warc-fields"
)

// ProfileIdenticalPayload is the WARC-Profile of a revisit record whose payload
// has the same digest as the record that it refers to.
const ProfileIdenticalPayload = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"

// ProfileNotModified is the WARC-Profile of a revisit record for a response 304:
// the site says that the payload is that of the record that it refers to.
const ProfileNotModified = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"

// ID names a record: a UUID. The zero value is no ID.
type ID [16]byte

// String returns the ID as a URN in angle brackets, as WARC headers have it.
func (id ID) String() string { return string(id.append(nil)) }

func (id ID) append(dst []byte) []byte {
	dst = append(dst, "<urn:uuid:"...)
	dst = hex.AppendEncode(dst, id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, part)
	}
	return append(dst, '>')
}

// Record is the header of a record to write. ID, Type and Date are required;
// what is zero is left out.
type Record struct {
	// Type of the record.
	Type Type
	// ID of the record, unique in the world.
	ID ID
	// Date is when the capture began; written in UTC with microseconds.
	Date time.Time
	// TargetURI is the URL that was visited.
	TargetURI string
	// ContentType of the block.
	ContentType string
	// IP is the address that answered.
	IP netip.Addr
	// PayloadDigest is the SHA-256 of the payload: the body without HTTP headers.
	PayloadDigest []byte
	// Truncated is why the payload was cut: length, time, disconnect or unspecified.
	Truncated string
	// ConcurrentTo is a record of the same exchange.
	ConcurrentTo ID
	// RefersTo is the record that a revisit or metadata record is about.
	RefersTo ID
	// RefersToURI and RefersToDate say what a revisit's payload was stored under.
	RefersToURI string
	// RefersToDate belongs to RefersToURI.
	RefersToDate time.Time
	// Profile of a revisit record.
	Profile string
	// InfoID is the file's warcinfo record.
	InfoID ID
	// Filename is the name of the file; in a warcinfo record.
	Filename string
}

// timeFormat has microseconds, which WARC 1.1 allows and 1.0 did not.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// appendHeader appends the record's header for a block of the given length, the
// empty line included.
func (r *Record) appendHeader(dst []byte, length int64) []byte {
	dst = append(dst, "WARC/1.1\r\n"...)
	dst = appendField(dst, "WARC-Type", string(r.Type))
	dst = appendID(dst, "WARC-Record-ID", r.ID)
	dst = appendTime(dst, "WARC-Date", r.Date)
	dst = appendField(dst, "WARC-Target-URI", r.TargetURI)
	if r.IP.IsValid() {
		dst = append(dst, "WARC-IP-Address: "...)
		dst = r.IP.Unmap().WithZone("").AppendTo(dst)
		dst = append(dst, "\r\n"...)
	}
	if len(r.PayloadDigest) > 0 {
		dst = append(dst, "WARC-Payload-Digest: sha256:"...)
		dst = hex.AppendEncode(dst, r.PayloadDigest)
		dst = append(dst, "\r\n"...)
	}
	dst = appendField(dst, "WARC-Truncated", r.Truncated)
	dst = appendID(dst, "WARC-Concurrent-To", r.ConcurrentTo)
	dst = appendID(dst, "WARC-Refers-To", r.RefersTo)
	dst = appendField(dst, "WARC-Refers-To-Target-URI", r.RefersToURI)
	dst = appendTime(dst, "WARC-Refers-To-Date", r.RefersToDate)
	dst = appendField(dst, "WARC-Profile", r.Profile)
	dst = appendID(dst, "WARC-Warcinfo-ID", r.InfoID)
	dst = appendField(dst, "WARC-Filename", r.Filename)
	dst = appendField(dst, "Content-Type", r.ContentType)
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, length, 10)
	return append(dst, "\r\n\r\n"...)
}

func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = AppendClean(dst, value)
	return append(dst, "\r\n"...)
}

func appendID(dst []byte, name string, id ID) []byte {
	if id == (ID{}) {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = id.append(dst)
	return append(dst, "\r\n"...)
}

func appendTime(dst []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = t.UTC().AppendFormat(dst, timeFormat)
	return append(dst, "\r\n"...)
}

// AppendClean appends s with control characters turned into spaces, so that no
// value can end its line and forge a header.
func AppendClean[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 && c != '\t' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}
