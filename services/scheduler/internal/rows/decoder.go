package rows

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// decoder reads a value. After a mistake it gives zeros and bad is set, so that
// callers check once.
type decoder struct {
	b   []byte
	bad bool
}

// take returns the next n bytes.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return make([]byte, min(max(n, 0), 16))
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte { return d.take(1)[0] }

func (d *decoder) uint() uint64 {
	n, l := binary.Uvarint(d.b)
	if l <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[l:]
	return n
}

// int reads a number that must fit a signed one.
func (d *decoder) int() int {
	n := d.uint()
	if n > 1<<62 {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return ""
	}
	return strings.Clone(string(d.take(int(n))))
}

func (d *decoder) time() time.Time {
	ms := d.uint()
	if ms > 1<<48 {
		d.bad = true
		return time.Time{}
	}
	return FromMillis(ms)
}

func (d *decoder) place() frontier.QKey {
	return frontier.QKey{Priority: d.int32(), Seq: binary.BigEndian.Uint64(d.take(8))}
}

func (d *decoder) counts() (depth, attempts int, generation uint32, redirects int) {
	return d.int(), d.int(), d.uint32(), d.int()
}

func (d *decoder) bool() bool {
	b := d.byte()
	d.bad = d.bad || b > 1
	return b == 1
}

// uint32 reads a number of at most 32 bits.
func (d *decoder) uint32() uint32 {
	n := d.uint()
	if n != uint64(uint32(n)) {
		d.bad = true
		return 0
	}
	return uint32(n)
}

// int32 reads a number with a sign.
func (d *decoder) int32() int32 {
	p, l := binary.Varint(d.b)
	if l <= 0 || p != int64(int32(p)) {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[l:]
	return int32(p)
}

func (d *decoder) hop() *frontier.Hop {
	return &frontier.Hop{Chain: binary.BigEndian.Uint64(d.take(8)), Via: d.string()}
}

func (d *decoder) visit() *frontier.Visit {
	return &frontier.Visit{
		ETag: d.string(), LastModified: d.string(), Digest: binary.BigEndian.Uint64(d.take(8)),
		Interval: time.Duration(d.int()), Visits: d.uint32(),
	}
}
