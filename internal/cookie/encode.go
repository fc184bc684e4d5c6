package cookie

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// ErrEncoding is the error of Decode.
var ErrEncoding = errors.New("not the encoding of a cookie jar")

// version of the encoding, its first byte. An empty jar is no bytes.
const version = 1

// lastMilli is the last millisecond that a date of four digits can say.
const lastMilli = 253402300799999

const (
	flagHostOnly = 1 << iota
	flagSecure
	flagExpires
)

// Encode returns the jar as bytes, nil for an empty one: at most MaxBytes.
func (j Jar) Encode() []byte {
	if len(j.cookies) == 0 {
		return nil
	}
	b := make([]byte, 1, encodedLen(j.cookies))
	b[0] = version
	for i := range j.cookies {
		b = j.cookies[i].append(b)
	}
	return b
}

// Decode reads what Encode has written and refuses anything else with ErrEncoding.
func Decode(b []byte) (Jar, error) {
	if len(b) == 0 {
		return Jar{}, nil
	}
	if b[0] != version || len(b) > MaxBytes {
		return Jar{}, ErrEncoding
	}
	var j Jar
	r := reader{b: b[1:]}
	for len(r.b) > 0 && !r.bad {
		c := r.cookie()
		for i := range j.cookies {
			r.bad = r.bad || j.cookies[i].same(&c)
		}
		if r.bad || !c.valid() || len(j.cookies) == MaxCookies {
			return Jar{}, ErrEncoding
		}
		j.cookies = append(j.cookies, c)
	}
	// Numbers can be written in more than one way, and we write one.
	if r.bad || !bytes.Equal(j.Encode(), b) {
		return Jar{}, ErrEncoding
	}
	return j, nil
}

func (c *Cookie) append(b []byte) []byte {
	var flags byte
	if c.HostOnly {
		flags |= flagHostOnly
	}
	if c.Secure {
		flags |= flagSecure
	}
	if !c.Expires.IsZero() {
		flags |= flagExpires
	}
	b = append(b, flags)
	for _, s := range [...]string{c.Name, c.Value, c.Domain, c.Path} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, c.Created.UnixMilli())
	if !c.Expires.IsZero() {
		b = binary.AppendVarint(b, c.Expires.UnixMilli())
	}
	return b
}

// encodedLen bounds the length of an encoded cookie from above.
func (c *Cookie) encodedLen() int {
	return 1 + 4*3 + len(c.Name) + len(c.Value) + len(c.Domain) + len(c.Path) + 2*binary.MaxVarintLen64
}

func encodedLen(cs []Cookie) int {
	n := 1
	for i := range cs {
		n += cs[i].encodedLen()
	}
	return n
}

// reader reads an encoding; after a mistake it gives zeros and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) cookie() Cookie {
	var c Cookie
	if len(r.b) == 0 {
		r.bad = true
		return c
	}
	flags := r.b[0]
	r.b = r.b[1:]
	c.HostOnly, c.Secure = flags&flagHostOnly != 0, flags&flagSecure != 0
	c.Name, c.Value, c.Domain, c.Path = r.string(), r.string(), r.string(), r.string()
	c.Created = r.time()
	if flags&flagExpires != 0 {
		c.Expires = r.time()
	}
	return c
}

func (r *reader) string() string {
	n, l := binary.Uvarint(r.b)
	if l <= 0 || n > uint64(len(r.b)-l) {
		r.b, r.bad = nil, true
		return ""
	}
	s := string(r.b[l : l+int(n)])
	r.b = r.b[l+int(n):]
	return s
}

func (r *reader) time() time.Time {
	n, l := binary.Varint(r.b)
	if l <= 0 || n < 0 || n > lastMilli {
		r.b, r.bad = nil, true
		return time.Time{}
	}
	r.b = r.b[l:]
	return time.UnixMilli(n).UTC()
}
