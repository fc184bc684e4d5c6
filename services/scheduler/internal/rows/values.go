// Package rows encodes the rows of a frontier as bytes, for the stores that keep
// them, and says which partitions a batch touches.
//
// Decoders refuse with ErrCorrupt what no encoder wrote, and allocate no more than
// what they are given.
package rows

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// ErrCorrupt is a value that this package did not write.
var ErrCorrupt = errors.New("value is corrupt")

// Flags of a record.
const (
	hasAttempt   = 1 << iota // status, class, time of the last attempt
	hasNotBefore             // due time
	hasReason
	hasVisit // the visit before
	hasHop   // how a redirect led to it
	hasJar   // the last answer led elsewhere; the version of cookies that it was sent

	modeShift = 6 // the mode has the bits from here
)

// An item's number of redirects and what is in it besides: rows of before hops and
// modes have none of the higher bits.
const (
	maxItemRedirects = 1<<15 - 1
	itemHasHop       = 1 << 16
	itemModeShift    = 17
)

// AppendRecord encodes a record; the URL is the rest of the value.
func AppendRecord(b []byte, r *frontier.Record) []byte {
	var flags byte
	if r.Status != 0 || r.Class != 0 || !r.FetchedAt.IsZero() {
		flags |= hasAttempt
	}
	if !r.NotBefore.IsZero() {
		flags |= hasNotBefore
	}
	if r.Reason != "" {
		flags |= hasReason
	}
	if r.Visit != nil {
		flags |= hasVisit
	}
	if r.Hop != nil {
		flags |= hasHop
	}
	if r.Redirected {
		flags |= hasJar
	}
	flags |= byte(r.Mode) << modeShift
	b = append(b, byte(r.State), flags)
	b = appendPlace(b, r.QKey)
	b = appendCounts(b, r.Depth, r.Attempts, r.Generation, r.Redirects)
	if flags&hasAttempt != 0 {
		b = binary.AppendUvarint(b, uint64(r.Status))
		b = append(b, byte(r.Class))
		b = binary.AppendUvarint(b, Millis(r.FetchedAt))
	}
	if flags&hasNotBefore != 0 {
		b = binary.AppendUvarint(b, Millis(r.NotBefore))
	}
	if flags&hasReason != 0 {
		b = appendString(b, r.Reason)
	}
	if flags&hasVisit != 0 {
		b = appendVisit(b, r.Visit)
	}
	if flags&hasHop != 0 {
		b = appendHop(b, r.Hop)
	}
	if flags&hasJar != 0 {
		b = binary.AppendUvarint(b, uint64(r.Jar))
	}
	return append(b, r.URL...)
}

// DecodeRecord reads what AppendRecord wrote; without withURL the URL is left out,
// which spares its copy.
func DecodeRecord(v []byte, withURL bool) (frontier.Record, error) {
	d := decoder{b: v}
	var r frontier.Record
	r.State = frontier.URLState(d.byte())
	flags := d.byte()
	r.QKey = d.place()
	r.Depth, r.Attempts, r.Generation, r.Redirects = d.counts()
	if flags&hasAttempt != 0 {
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
	if flags&hasVisit != 0 {
		r.Visit = d.visit()
	}
	if flags&hasHop != 0 {
		r.Hop = d.hop()
	}
	if flags&hasJar != 0 {
		r.Redirected, r.Jar = true, d.uint32()
	}
	r.Mode = frontier.Mode(flags >> modeShift & 3)
	if withURL {
		r.URL = string(d.b)
	}
	if d.bad || r.State == frontier.URLUnknown || r.State > frontier.URLDropped {
		return frontier.Record{}, ErrCorrupt
	}
	return r, nil
}

// AppendItem encodes a queued item; its place is in the key and its hash follows
// from the URL. The number of redirects, which is small, tells of what few items have
// too: a visit before, a hop and a mode.
func AppendItem(b []byte, it *frontier.Item) []byte {
	redirects := min(it.Redirects, maxItemRedirects)<<1 | int(it.Mode)<<itemModeShift
	if it.Visit != nil {
		redirects |= 1
	}
	if it.Hop != nil {
		redirects |= itemHasHop
	}
	b = appendCounts(b, it.Depth, it.Attempts, it.Generation, redirects)
	if it.Visit != nil {
		b = appendVisit(b, it.Visit)
	}
	if it.Hop != nil {
		b = appendHop(b, it.Hop)
	}
	return append(b, it.URL.String()...)
}

// DecodeItem reads what AppendItem wrote.
func DecodeItem(k frontier.QKey, v []byte) (frontier.Item, error) {
	d := decoder{b: v}
	it := frontier.Item{QKey: k}
	var redirects int
	it.Depth, it.Attempts, it.Generation, redirects = d.counts()
	it.Redirects, it.Mode = redirects>>1&maxItemRedirects, frontier.Mode(redirects>>itemModeShift&3)
	if redirects&1 != 0 {
		it.Visit = d.visit()
	}
	if redirects&itemHasHop != 0 {
		it.Hop = d.hop()
	}
	if d.bad || redirects >= 1<<(itemModeShift+2) {
		return frontier.Item{}, ErrCorrupt
	}
	u, err := weburl.FromCanonical(string(d.b))
	if err != nil {
		return frontier.Item{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	it.URL, it.Key = u, u.Key()
	return it, nil
}

// AppendHost encodes a host's politeness but for its identity; the policy, which
// few hosts have, comes last and only when there is one.
func AppendHost(b []byte, h *frontier.HostRow) []byte {
	b = appendString(b, h.Origin)
	b = binary.AppendUvarint(b, Millis(h.NotBefore))
	b = binary.AppendUvarint(b, uint64(h.Level))
	b = binary.AppendUvarint(b, Millis(h.LastBad))
	b = binary.AppendUvarint(b, uint64(h.Fails))
	b = binary.AppendUvarint(b, uint64(h.Adaptive))
	b = append(b, byte(h.Robots.State), h.Robots.Class)
	b = binary.AppendUvarint(b, Millis(h.Robots.Until))
	b = binary.AppendUvarint(b, uint64(h.Robots.Tries))
	b = appendString(b, h.Address)
	if h.Policy == (frontier.HostPolicy{}) {
		return b
	}
	b = appendBool(b, h.Policy.Blocked)
	b = binary.AppendUvarint(b, uint64(h.Policy.Delay))
	b = binary.AppendUvarint(b, uint64(h.Policy.Concurrency))
	b = binary.AppendUvarint(b, Millis(h.Policy.NotBefore))
	return append(b, h.Policy.Note...)
}

// DecodeHost reads what AppendHost wrote.
func DecodeHost(v []byte) (frontier.HostRow, error) {
	d := decoder{b: v}
	h := frontier.HostRow{
		Origin: d.string(), NotBefore: d.time(), Level: d.int(), LastBad: d.time(), Fails: d.int(),
		Adaptive: time.Duration(d.int()),
	}
	h.Robots.State, h.Robots.Class = frontier.RobotsState(d.byte()), d.byte()
	h.Robots.Until, h.Robots.Tries = d.time(), d.int()
	h.Address = d.string()
	if len(d.b) > 0 {
		h.Policy = frontier.HostPolicy{
			Blocked: d.bool(), Delay: time.Duration(d.int()), Concurrency: d.int(), NotBefore: d.time(), Note: string(d.b),
		}
	}
	if d.bad || h.Robots.State > frontier.RobotsUnreachable {
		return frontier.HostRow{}, ErrCorrupt
	}
	return h, nil
}

// AppendReady encodes the counters of a host in a crawl.
func AppendReady(b []byte, r *frontier.ReadyRow) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, r.Rows), r.Pages)
	b = append(binary.AppendUvarint(b, r.Seen), r.Patterns...)
	if r.Rendering != 0 {
		b = binary.BigEndian.AppendUint16(b, r.Rendering)
	}
	return b
}

// patternSize is that of one of ReadyRow.Patterns: what is over is the need for a
// browser, which few hosts have.
const patternSize = 12

// DecodeReady reads what AppendReady wrote.
func DecodeReady(ref frontier.HostRef, v []byte) (frontier.ReadyRow, error) {
	d := decoder{b: v}
	r := frontier.ReadyRow{HostRef: ref, Rows: d.uint(), Pages: d.uint(), Seen: d.uint()}
	if d.bad {
		return frontier.ReadyRow{}, ErrCorrupt
	}
	switch n := len(d.b); n % patternSize {
	case 0:
	case 2:
		r.Rendering = binary.BigEndian.Uint16(d.b[n-2:])
		d.b = d.b[:n-2]
	default:
		return frontier.ReadyRow{}, ErrCorrupt
	}
	if len(d.b) > 0 {
		r.Patterns = slices.Clone(d.b)
	}
	return r, nil
}

// AppendLease encodes a lease.
func AppendLease(b []byte, l *frontier.LeaseRow) []byte {
	var flags byte
	for i, on := range []bool{l.Robots, l.Void, l.Reserve, l.Render} {
		if on {
			flags |= 1 << i
		}
	}
	flags |= byte(l.Mode) << 4
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(l.Crawl))
	b = binary.BigEndian.AppendUint64(b, l.Host)
	b = append(b, l.Key[:]...)
	b = appendPlace(b, l.QKey)
	b = appendCounts(b, 0, l.Attempts, l.Generation, 0)
	return binary.AppendUvarint(b, Millis(l.Deadline))
}

// DecodeLease reads what AppendLease wrote.
func DecodeLease(id frontier.LeaseID, partition uint32, v []byte) (frontier.LeaseRow, error) {
	d := decoder{b: v}
	l := frontier.LeaseRow{ID: id, Partition: partition}
	flags := d.byte()
	l.Robots, l.Void, l.Reserve = flags&1 != 0, flags&2 != 0, flags&4 != 0
	l.Render, l.Mode = flags&8 != 0, frontier.Mode(flags>>4&3)
	l.Crawl = frontier.CrawlNo(binary.BigEndian.Uint32(d.take(4)))
	l.Host = binary.BigEndian.Uint64(d.take(8))
	copy(l.Key[:], d.take(12))
	l.QKey = d.place()
	_, l.Attempts, l.Generation, _ = d.counts()
	l.Deadline = d.time()
	if d.bad || len(d.b) > 0 || flags > 63 {
		return frontier.LeaseRow{}, ErrCorrupt
	}
	return l, nil
}

// AppendCrawl encodes a crawl: its home, JSON, since it is written rarely, and Meta
// as it is.
func AppendCrawl(b []byte, c *frontier.Crawl) ([]byte, error) {
	plain := *c
	plain.Meta = nil
	j, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("encode crawl %s: %w", c.ID, err)
	}
	b = binary.AppendUvarint(b, uint64(c.Home))
	b = binary.AppendUvarint(b, uint64(len(j)))
	return append(append(b, j...), c.Meta...), nil
}

// DecodeCrawl reads what AppendCrawl wrote.
func DecodeCrawl(v []byte) (frontier.Crawl, error) {
	d := decoder{b: v}
	home, j := d.uint32(), d.string()
	var c frontier.Crawl
	if d.bad {
		return c, ErrCorrupt
	}
	if err := json.Unmarshal([]byte(j), &c); err != nil {
		return c, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if c.Home != home {
		return c, ErrCorrupt
	}
	c.Meta = slices.Clone(d.b)
	return c, nil
}

// CrawlHome reads the home of what AppendCrawl wrote, which is much cheaper than all
// of it.
func CrawlHome(v []byte) (uint32, error) {
	d := decoder{b: v}
	home := d.uint32()
	if d.bad {
		return 0, ErrCorrupt
	}
	return home, nil
}

// AppendStats encodes a crawl's row of counters, but for its identity and quota;
// maps sorted, so that equal ones encode alike.
func AppendStats(b []byte, r *frontier.StatsRow) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, r.Version), r.Change)
	s := &r.Stats
	for _, n := range []uint64{
		s.Discovered, s.Queued, s.Leased, s.Delayed, s.Done, s.Failed,
		s.Pages, s.Items, s.RejectedItems, s.Bytes, s.Fetches,
	} {
		b = binary.AppendUvarint(b, n)
	}
	for _, m := range []map[string]uint64{s.Dropped, s.Errors, s.Refused} {
		b = binary.AppendUvarint(b, uint64(len(m)))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			b = binary.AppendUvarint(appendString(b, k), m[k])
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Statuses)))
	for _, k := range slices.Sorted(maps.Keys(s.Statuses)) {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(k)), s.Statuses[k])
	}
	if r.Jars > 0 {
		b = binary.AppendUvarint(b, r.Jars)
	}
	return b
}

// DecodeStats reads what AppendStats wrote.
func DecodeStats(v []byte) (frontier.StatsRow, error) {
	d := decoder{b: v}
	r := frontier.StatsRow{Version: d.uint(), Change: d.uint()}
	s := &r.Stats
	for _, p := range []*uint64{
		&s.Discovered, &s.Queued, &s.Leased, &s.Delayed, &s.Done, &s.Failed,
		&s.Pages, &s.Items, &s.RejectedItems, &s.Bytes, &s.Fetches,
	} {
		*p = d.uint()
	}
	for _, m := range []*map[string]uint64{&s.Dropped, &s.Errors, &s.Refused} {
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
	if len(d.b) > 0 && !d.bad { // of a crawl with cookies
		r.Jars = d.uint()
	}
	if d.bad || len(d.b) > 0 {
		return frontier.StatsRow{}, ErrCorrupt
	}
	return r, nil
}

// Lease counts n URLs as leased that are counted as queued, as they are written.
func Lease(s *frontier.Stats, n uint64) {
	n = min(n, s.Queued)
	s.Leased, s.Queued = s.Leased+n, s.Queued-n
}

// appendVisit encodes what a recrawl needs.
func appendVisit(b []byte, v *frontier.Visit) []byte {
	b = appendString(appendString(b, v.ETag), v.LastModified)
	b = binary.BigEndian.AppendUint64(b, v.Digest)
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.Interval)), uint64(v.Visits))
}

// appendHop encodes how a redirect led to a URL.
func appendHop(b []byte, h *frontier.Hop) []byte {
	return appendString(binary.BigEndian.AppendUint64(b, h.Chain), h.Via)
}

// AppendJar encodes the cookies of a crawl and site, but for their identity.
func AppendJar(b []byte, r *frontier.JarRow) []byte {
	return append(binary.AppendUvarint(b, uint64(r.Version)), r.Cookies...)
}

// DecodeJar reads what AppendJar wrote.
func DecodeJar(v []byte) (frontier.JarRow, error) {
	d := decoder{b: v}
	r := frontier.JarRow{Version: d.uint32()}
	if d.bad {
		return frontier.JarRow{}, ErrCorrupt
	}
	r.Cookies = slices.Clone(d.b)
	return r, nil
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

// Millis is a time as stored: milliseconds since 1970, 0 for none.
func Millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

// FromMillis is the reverse of Millis.
func FromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// appendBool encodes a bool as a byte.
func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
