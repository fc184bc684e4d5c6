package pebblestore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// errCorrupt is a value that this package did not write.
var errCorrupt = errors.New("value is corrupt")

// Flags of a record.
const (
	hasVisit     = 1 << iota // status, class, time of the last attempt
	hasNotBefore             // due time
	hasReason
)

// appendRecord encodes a record; the URL is the rest of the value.
func appendRecord(b []byte, r *frontier.Record) []byte {
	var flags byte
	if r.Status != 0 || r.Class != 0 || !r.FetchedAt.IsZero() {
		flags |= hasVisit
	}
	if !r.NotBefore.IsZero() {
		flags |= hasNotBefore
	}
	if r.Reason != "" {
		flags |= hasReason
	}
	b = append(b, byte(r.State), flags)
	b = appendPlace(b, r.QKey)
	b = appendCounts(b, r.Depth, r.Attempts, r.Generation, r.Redirects)
	if flags&hasVisit != 0 {
		b = binary.AppendUvarint(b, uint64(r.Status))
		b = append(b, byte(r.Class))
		b = binary.AppendUvarint(b, millis(r.FetchedAt))
	}
	if flags&hasNotBefore != 0 {
		b = binary.AppendUvarint(b, millis(r.NotBefore))
	}
	if flags&hasReason != 0 {
		b = appendString(b, r.Reason)
	}
	return append(b, r.URL...)
}

// decodeRecord reads what appendRecord wrote; without withURL the URL is left out,
// which spares its copy.
func decodeRecord(v []byte, withURL bool) (frontier.Record, error) {
	d := decoder{b: v}
	var r frontier.Record
	r.State = frontier.URLState(d.byte())
	flags := d.byte()
	r.QKey = d.place()
	r.Depth, r.Attempts, r.Generation, r.Redirects = d.counts()
	if flags&hasVisit != 0 {
		r.Status = d.int()
		r.Class = crawl.Class(d.byte())
		r.FetchedAt = d.time()
	}
	if flags&hasNotBefore != 0 {
		r.NotBefore = d.time()
	}
	if flags&hasReason != 0 {
		r.Reason = d.string()
	}
	if withURL {
		r.URL = string(d.b)
	}
	if d.bad || flags >= hasReason<<1 || r.State == frontier.URLUnknown || r.State > frontier.URLDropped {
		return frontier.Record{}, errCorrupt
	}
	return r, nil
}

// appendItem encodes a queued item; its place is in the key and its hash follows
// from the URL.
func appendItem(b []byte, it *frontier.Item) []byte {
	b = appendCounts(b, it.Depth, it.Attempts, it.Generation, it.Redirects)
	return append(b, it.URL.String()...)
}

// decodeItem reads what appendItem wrote.
func decodeItem(k frontier.QKey, v []byte) (frontier.Item, error) {
	d := decoder{b: v}
	it := frontier.Item{QKey: k}
	it.Depth, it.Attempts, it.Generation, it.Redirects = d.counts()
	if d.bad {
		return frontier.Item{}, errCorrupt
	}
	u, err := weburl.FromCanonical(string(d.b))
	if err != nil {
		return frontier.Item{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	it.URL, it.Key = u, u.Key()
	return it, nil
}

// appendHost encodes a host's politeness.
func appendHost(b []byte, h *frontier.HostRow) []byte {
	b = appendString(b, h.Origin)
	b = binary.AppendUvarint(b, millis(h.NotBefore))
	b = binary.AppendUvarint(b, uint64(h.Level))
	b = binary.AppendUvarint(b, millis(h.LastBad))
	b = binary.AppendUvarint(b, uint64(h.Fails))
	b = binary.AppendUvarint(b, uint64(h.Adaptive))
	b = append(b, byte(h.Robots.State), h.Robots.Class)
	b = binary.AppendUvarint(b, millis(h.Robots.Until))
	return binary.AppendUvarint(b, uint64(h.Robots.Tries))
}

// decodeHost reads what appendHost wrote.
func decodeHost(v []byte) (frontier.HostRow, error) {
	d := decoder{b: v}
	h := frontier.HostRow{
		Origin: d.string(), NotBefore: d.time(), Level: d.int(), LastBad: d.time(), Fails: d.int(),
		Adaptive: time.Duration(d.int()),
	}
	h.Robots.State, h.Robots.Class = frontier.RobotsState(d.byte()), d.byte()
	h.Robots.Until, h.Robots.Tries = d.time(), d.int()
	if d.bad || len(d.b) > 0 || h.Robots.State > frontier.RobotsUnreachable {
		return frontier.HostRow{}, errCorrupt
	}
	return h, nil
}

// appendReady encodes the counters of a host in a crawl.
func appendReady(b []byte, r *frontier.ReadyRow) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, r.Rows), r.Pages)
}

// decodeReady reads what appendReady wrote.
func decodeReady(ref frontier.HostRef, v []byte) (frontier.ReadyRow, error) {
	d := decoder{b: v}
	r := frontier.ReadyRow{HostRef: ref, Rows: d.uint(), Pages: d.uint()}
	if d.bad || len(d.b) > 0 {
		return frontier.ReadyRow{}, errCorrupt
	}
	return r, nil
}

// appendLease encodes a lease.
func appendLease(b []byte, l *frontier.LeaseRow) []byte {
	var flags byte
	for i, on := range []bool{l.Robots, l.Void, l.Reserve} {
		if on {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(l.Crawl))
	b = binary.BigEndian.AppendUint64(b, l.Host)
	b = append(b, l.Key[:]...)
	b = appendPlace(b, l.QKey)
	b = appendCounts(b, 0, l.Attempts, l.Generation, 0)
	return binary.AppendUvarint(b, millis(l.Deadline))
}

// decodeLease reads what appendLease wrote.
func decodeLease(id frontier.LeaseID, partition uint32, v []byte) (frontier.LeaseRow, error) {
	d := decoder{b: v}
	l := frontier.LeaseRow{ID: id, Partition: partition}
	flags := d.byte()
	l.Robots, l.Void, l.Reserve = flags&1 != 0, flags&2 != 0, flags&4 != 0
	l.Crawl = frontier.CrawlNo(binary.BigEndian.Uint32(d.take(4)))
	l.Host = binary.BigEndian.Uint64(d.take(8))
	copy(l.Key[:], d.take(12))
	l.QKey = d.place()
	_, l.Attempts, l.Generation, _ = d.counts()
	l.Deadline = d.time()
	if d.bad || len(d.b) > 0 || flags > 7 {
		return frontier.LeaseRow{}, errCorrupt
	}
	return l, nil
}

// appendCrawl encodes a crawl: JSON, since it is written rarely, and Meta as it is.
func appendCrawl(b []byte, c *frontier.Crawl) ([]byte, error) {
	plain := *c
	plain.Meta = nil
	j, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("encode crawl %s: %w", c.ID, err)
	}
	b = binary.AppendUvarint(b, uint64(len(j)))
	return append(append(b, j...), c.Meta...), nil
}

// decodeCrawl reads what appendCrawl wrote.
func decodeCrawl(v []byte) (frontier.Crawl, error) {
	d := decoder{b: v}
	j := d.string()
	var c frontier.Crawl
	if d.bad {
		return c, errCorrupt
	}
	if err := json.Unmarshal([]byte(j), &c); err != nil {
		return c, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	c.Meta = slices.Clone(d.b)
	return c, nil
}

// appendStats encodes counters; maps sorted, so that equal ones encode alike.
func appendStats(b []byte, s *frontier.Stats) []byte {
	for _, n := range []uint64{
		s.Discovered, s.Queued, s.Leased, s.Delayed, s.Done, s.Failed,
		s.Pages, s.Items, s.RejectedItems, s.Bytes, s.Fetches,
	} {
		b = binary.AppendUvarint(b, n)
	}
	for _, m := range []map[string]uint64{s.Dropped, s.Errors} {
		b = binary.AppendUvarint(b, uint64(len(m)))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			b = binary.AppendUvarint(appendString(b, k), m[k])
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Statuses)))
	for _, k := range slices.Sorted(maps.Keys(s.Statuses)) {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(k)), s.Statuses[k])
	}
	return b
}

// decodeStats reads what appendStats wrote.
func decodeStats(v []byte) (frontier.Stats, error) {
	d := decoder{b: v}
	var s frontier.Stats
	for _, p := range []*uint64{
		&s.Discovered, &s.Queued, &s.Leased, &s.Delayed, &s.Done, &s.Failed,
		&s.Pages, &s.Items, &s.RejectedItems, &s.Bytes, &s.Fetches,
	} {
		*p = d.uint()
	}
	for _, m := range []*map[string]uint64{&s.Dropped, &s.Errors} {
		for n := d.uint(); n > 0 && !d.bad; n-- {
			if *m == nil {
				*m = make(map[string]uint64)
			}
			k := d.string()
			(*m)[k] = d.uint()
		}
	}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		if s.Statuses == nil {
			s.Statuses = make(map[int]uint64)
		}
		k := d.int()
		s.Statuses[k] = d.uint()
	}
	if d.bad || len(d.b) > 0 {
		return frontier.Stats{}, errCorrupt
	}
	return s, nil
}

// appendPlace encodes a place; the sequence number is too even for a varint.
func appendPlace(b []byte, k frontier.QKey) []byte {
	return binary.BigEndian.AppendUint64(binary.AppendVarint(b, int64(k.Priority)), k.Seq)
}

// appendCounts encodes the small numbers of an item.
func appendCounts(b []byte, depth, attempts int, generation uint32, redirects int) []byte {
	b = binary.AppendUvarint(b, uint64(depth))
	b = binary.AppendUvarint(b, uint64(attempts))
	b = binary.AppendUvarint(b, uint64(generation))
	return binary.AppendUvarint(b, uint64(redirects))
}

// appendString encodes a string with its length.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// millis is a time as stored: milliseconds since 1970, 0 for none.
func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

// fromMillis is the reverse of millis.
func fromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

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
	return fromMillis(ms)
}

func (d *decoder) place() frontier.QKey {
	p, l := binary.Varint(d.b)
	if l <= 0 || p != int64(int32(p)) {
		d.b, d.bad = nil, true
		return frontier.QKey{}
	}
	d.b = d.b[l:]
	return frontier.QKey{Priority: int32(p), Seq: binary.BigEndian.Uint64(d.take(8))}
}

func (d *decoder) counts() (depth, attempts int, generation uint32, redirects int) {
	depth, attempts = d.int(), d.int()
	g := d.uint()
	if g != uint64(uint32(g)) {
		d.bad = true
	}
	return depth, attempts, uint32(g), d.int()
}
