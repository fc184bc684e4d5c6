package pebblestore

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// seeds are values of all kinds.
func seeds(tb testing.TB) [][]byte {
	u, err := weburl.FromCanonical("https://example.org/a?b=c")
	if err != nil {
		tb.Fatal(err)
	}
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	place := frontier.QKey{Priority: -3, Seq: 1<<63 + 5}
	c, err := appendCrawl(nil, &frontier.Crawl{No: 1, ID: "x", State: frontier.Running, CreatedAt: at, Meta: []byte("meta")})
	if err != nil {
		tb.Fatal(err)
	}
	return [][]byte{
		appendRecord(nil, &frontier.Record{State: frontier.URLQueued, QKey: place, Depth: 2, Generation: 1}),
		appendRecord(nil, &frontier.Record{
			State: frontier.URLDropped, QKey: place, Status: 503, Class: crawl.ClassStatus5xx, FetchedAt: at, NotBefore: at,
			Reason: "because", URL: u.String(), Attempts: 1, Generation: 4, Redirects: 1,
		}),
		appendItem(nil, &frontier.Item{URL: u, Depth: 1, Generation: 1}),
		appendHost(nil, &frontier.HostRow{Origin: u.Origin(), NotBefore: at, Level: 2, LastBad: at, Fails: 1, Adaptive: time.Second}),
		appendReady(nil, &frontier.ReadyRow{Rows: 3, Pages: 4}),
		appendLease(nil, &frontier.LeaseRow{Crawl: 1, Host: 2, Key: u.Key(), QKey: place, Generation: 1, Deadline: at, Void: true}),
		c,
		appendStats(nil, &frontier.Stats{Discovered: 3, Dropped: map[string]uint64{"a": 1}, Statuses: map[int]uint64{200: 2}}),
		nil, {0xff}, bytes.Repeat([]byte{0x80}, 40), bytes.Repeat([]byte{0xff}, 40),
	}
}

// FuzzDecode: any bytes either are refused as corrupt or decode to something that
// encodes and decodes to the same again. Nothing panics or allocates by what a
// length says.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		roundTrip(t, v, func(v []byte) (frontier.Record, error) { return decodeRecord(v, true) },
			func(r frontier.Record) []byte { return appendRecord(nil, &r) })
		roundTrip(t, v, func(v []byte) (frontier.Item, error) { return decodeItem(frontier.QKey{}, v) },
			func(i frontier.Item) []byte { return appendItem(nil, &i) })
		roundTrip(t, v, decodeHost, func(h frontier.HostRow) []byte { return appendHost(nil, &h) })
		roundTrip(t, v, func(v []byte) (frontier.ReadyRow, error) { return decodeReady(frontier.HostRef{}, v) },
			func(r frontier.ReadyRow) []byte { return appendReady(nil, &r) })
		roundTrip(t, v, func(v []byte) (frontier.LeaseRow, error) { return decodeLease(1, 2, v) },
			func(l frontier.LeaseRow) []byte { return appendLease(nil, &l) })
		roundTrip(t, v, decodeStats, func(s frontier.Stats) []byte { return appendStats(nil, &s) })
		roundTrip(t, v, decodeCrawl, func(c frontier.Crawl) []byte {
			b, err := appendCrawl(nil, &c)
			if err != nil { // a time that JSON cannot write, from a zone of more than a day
				return nil
			}
			return b
		})
		parseDueKey(v)
		parseURLKey(v)
		parseQueueKey(v)
	})
}

// roundTrip decodes, encodes and decodes again.
func roundTrip[T any](t *testing.T, v []byte, decode func([]byte) (T, error), encode func(T) []byte) {
	t.Helper()
	first, err := decode(v)
	if err != nil {
		return
	}
	again := encode(first)
	if again == nil {
		return
	}
	second, err := decode(again)
	if err != nil {
		t.Fatalf("%+v encodes to what is refused: %v", first, err)
	}
	same := cmp.Comparer(func(a, b weburl.URL) bool { return a == b })
	if d := cmp.Diff(first, second, same); d != "" {
		t.Fatalf("changed by encoding (-first +second):\n%s", d)
	}
}

// TestKeysSort: keys are ordered as what they stand for.
func TestKeysSort(t *testing.T) {
	t.Parallel()
	places := []frontier.QKey{
		{Priority: -1 << 31}, {Priority: -1, Seq: 1<<64 - 1}, {Priority: 0}, {Priority: 0, Seq: 1}, {Priority: 0, Seq: 1 << 63}, {Priority: 1<<31 - 1},
	}
	var last []byte
	for _, p := range places {
		k := queueKey(nil, 1, 2, 3, p)
		if bytes.Compare(last, k) >= 0 {
			t.Errorf("%+v does not sort after its predecessor", p)
		}
		if got, ok := parseQueueKey(k); !ok || got != p {
			t.Errorf("key of %+v reads as %+v", p, got)
		}
		last = k
	}
	ref := frontier.Ref{Crawl: 7, Partition: 9, Host: 1 << 63, Key: frontier.Key{1, 2, 3}}
	if got, ok := parseURLKey(urlKey(nil, &ref)); !ok || got != ref {
		t.Errorf("key of %+v reads as %+v", ref, got)
	}
	if ms, got, ok := parseDueKey(dueKey(nil, 12345, &ref)); !ok || got != ref || ms != 12345 {
		t.Errorf("due key of %+v reads as %+v at %d", ref, got, ms)
	}
}
