package pgstore

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// rows are the tables' rows in the binary form of COPY, which takes a third of the
// time that encoding by the driver's type map takes. See PostgreSQL's manual, COPY,
// "Binary Format". Its memory is kept from one batch to the next.
type rows struct {
	pages, items, rejects copyData
}

// copyData is the data of one COPY.
type copyData struct {
	buf  []byte
	rows int
}

const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// maxKept bounds the memory that is kept for the next batch.
const maxKept = 16 << 20

func (c *copyData) reset() {
	if cap(c.buf) > maxKept {
		c.buf = nil
	}
	c.buf, c.rows = append(c.buf[:0], copyHeader...), 0
}

// reader returns the whole data. Nothing may be added afterwards.
func (c *copyData) reader() *bytes.Reader {
	c.buf = append(c.buf, 0xff, 0xff)
	return bytes.NewReader(c.buf)
}

func (c *copyData) row(columns int) {
	c.rows++
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(columns))
}

func (c *copyData) int64(v int64) {
	c.buf = append(c.buf, 0, 0, 0, 8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(v))
}

func (c *copyData) int32(v int32) {
	c.buf = append(c.buf, 0, 0, 0, 4)
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(v))
}

func (c *copyData) int16(v int16) {
	c.buf = append(c.buf, 0, 0, 0, 2, byte(v>>8), byte(v))
}

func (c *copyData) bool(v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	c.buf = append(c.buf, 0, 0, 0, 1, b)
}

// epoch is where PostgreSQL's times begin.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *copyData) time(t time.Time) { c.int64(t.Sub(epoch).Microseconds()) }

// text writes a text: valid UTF-8 without the character 0, which PostgreSQL has not.
func (c *copyData) text(s string) {
	s = clean(s)
	c.length(len(s))
	c.buf = append(c.buf, s...)
}

func (c *copyData) textBytes(b []byte) {
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		b = []byte(clean(string(b)))
	}
	c.length(len(b))
	c.buf = append(c.buf, b...)
}

// bytes writes NULL for nothing.
func (c *copyData) bytes(b []byte) {
	if len(b) == 0 {
		c.buf = append(c.buf, 0xff, 0xff, 0xff, 0xff)
		return
	}
	c.length(len(b))
	c.buf = append(c.buf, b...)
}

func (c *copyData) length(n int) { c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(n)) }

// clean makes a text of what may not be one.
func clean(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
				return s
			}
			return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
		}
	}
	return s
}

// uuidOf is a key with its crawl in front.
func uuidOf(number int32, key []byte) (u [16]byte) {
	binary.BigEndian.PutUint32(u[:], uint32(number))
	copy(u[4:], key[:min(len(key), 12)])
	return u
}

// urlKey is the part of a uuid behind the crawl.
func urlKey(u [16]byte) (k weburl.Key) {
	copy(k[:], u[4:])
	return k
}

const pageColumns = "id, lease, size, duration_us, fetched_at, segment, warc_offset, warc_length, revisit, duplicate_of, near_of, simhash, items_digest, " +
	"generation, attempt, depth, outlinks, items, rejected_items, kind, status, truncated, rendered, key, " +
	"url, via, error, error_detail, content_type, title, language, redirect_url, warning, sha256, warc_id, revision"

func (c *copyData) page(p *catalogue.Page, number int32) {
	c.row(36)
	c.int64(int64(p.ID))
	c.int64(int64(p.Lease))
	c.int64(int64(p.Size))
	c.int64(p.Duration.Microseconds())
	c.time(p.FetchedAt)
	c.int64(p.Place.Segment)
	c.int64(p.Place.Offset)
	c.int64(p.Place.Length)
	c.int64(int64(p.Revisit))
	c.int64(int64(p.DuplicateOf))
	c.int64(int64(p.NearOf))
	c.int64(int64(p.SimHash))
	c.int64(int64(p.ItemsDigest))
	for _, n := range [...]uint32{p.Generation, p.Attempt, p.Depth, p.Outlinks, max(p.ItemCount, uint32(len(p.Items))), p.RejectedItems} {
		c.int32(int32(min(n, math.MaxInt32)))
	}
	c.int16(int16(p.Kind))
	c.int16(int16(p.Status))
	c.bool(p.Truncated)
	c.bool(p.Rendered)
	key := uuidOf(number, p.URL[:])
	c.bytes(key[:])
	for _, s := range [...]string{p.CanonicalURL, p.Via, catalogue.ClassName(p.Error), p.ErrorDetail, p.ContentType, p.Title, p.Language, p.RedirectURL, p.Warning} {
		c.text(s)
	}
	c.bytes(p.SHA256)
	c.bytes(p.RecordID)
	c.int64(int64(p.Revision))
}

const itemColumns = "page, n, idx, rule, json"

func (c *copyData) item(page uint64, n, index int, it *catalogue.Item) {
	c.row(5)
	c.int64(int64(page))
	c.int32(int32(n))
	c.int32(int32(index))
	c.text(it.Rule)
	c.textBytes(it.JSON)
}
