package rows

import (
	"bytes"
	"slices"
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
	visit := &frontier.Visit{ETag: `"e"`, LastModified: "Mon", Digest: 1 << 63, Interval: time.Hour, Visits: 3}
	hop := &frontier.Hop{Via: u.String(), Chain: 5}
	place := frontier.QKey{Priority: -3, Seq: 1<<63 + 5}
	c, err := AppendCrawl(nil, &frontier.Crawl{No: 1, ID: "x", State: frontier.Running, CreatedAt: at, Meta: []byte("meta")})
	if err != nil {
		tb.Fatal(err)
	}
	return [][]byte{
		AppendRecord(nil, &frontier.Record{State: frontier.URLQueued, QKey: place, Depth: 2, Generation: 1}),
		AppendRecord(nil, &frontier.Record{
			State: frontier.URLDropped, QKey: place, Status: 503, Class: crawl.ClassStatus5xx, FetchedAt: at, NotBefore: at,
			Reason: "because", URL: u.String(), Attempts: 1, Generation: 4, Redirects: 1, Visit: visit,
		}),
		AppendItem(nil, &frontier.Item{URL: u, Depth: 1, Generation: 1}),
		AppendItem(nil, &frontier.Item{URL: u, Depth: 1, Generation: 1, Redirects: 1, Visit: visit}),
		AppendHost(nil, &frontier.HostRow{Origin: u.Origin(), NotBefore: at, Level: 2, LastBad: at, Fails: 1, Adaptive: time.Second, Address: "192.0.2.1"}),
		AppendHost(nil, &frontier.HostRow{Origin: u.Origin(), Policy: frontier.HostPolicy{Delay: time.Second, Concurrency: 2, NotBefore: at, Blocked: true, Note: "x"}}),
		AppendReady(nil, &frontier.ReadyRow{Rows: 3, Pages: 4, Seen: 5, Patterns: []byte("0123456789ab")}),
		AppendReady(nil, &frontier.ReadyRow{Rows: 3, Patterns: []byte("0123456789ab"), Rendering: 258}),
		AppendRecord(nil, &frontier.Record{
			State: frontier.URLDone, Status: 302, FetchedAt: at, URL: u.String(), Mode: frontier.ModePlain, Hop: hop, Redirected: true, Jar: 3,
		}),
		AppendItem(nil, &frontier.Item{URL: u, Generation: 1, Redirects: 2, Mode: frontier.ModeMedia, Hop: hop}),
		AppendJar(nil, &frontier.JarRow{Version: 300, Cookies: []byte("x")}),
		AppendLease(nil, &frontier.LeaseRow{Crawl: 1, Host: 2, Key: u.Key(), QKey: place, Generation: 1, Deadline: at, Void: true}),
		c,
		AppendStats(nil, &frontier.StatsRow{Version: 2, Change: 1 << 40, Stats: frontier.Stats{
			Discovered: 3, Dropped: map[string]uint64{"a": 1}, Refused: map[string]uint64{"b": 2}, Statuses: map[int]uint64{200: 2},
		}}),
		AppendOutbox(nil, &frontier.OutboxRow{Crawl: 1, Dest: 2, Links: []frontier.Candidate{{URL: u, Depth: 1, Priority: -1, Next: true, NotBefore: at}, {URL: u, Mode: frontier.ModeMedia, Hop: hop}, {URL: u}}}),
		nil, {0xff}, bytes.Repeat([]byte{0x80}, 40), bytes.Repeat([]byte{0xff}, 40),
	}
}

// TestRowsOfBefore: what the version before hops, modes and cookies wrote is read.
func TestRowsOfBefore(t *testing.T) {
	t.Parallel()
	u, err := weburl.FromCanonical("https://h.test/p")
	if err != nil {
		t.Fatal(err)
	}
	place := []byte{5, 0x80, 0, 0, 0, 0, 0, 0, 7} // priority -3, a sequence number
	rec, err := DecodeRecord(slices.Concat([]byte{byte(frontier.URLDone), hasAttempt}, place, []byte{2, 1, 3, 1}, []byte{200, 1, 0, 1}, []byte(u.String())), true)
	want := frontier.Record{
		State: frontier.URLDone, QKey: frontier.QKey{Priority: -3, Seq: 1<<63 | 7}, Depth: 2, Attempts: 1, Generation: 3, Redirects: 1,
		Status: 200, FetchedAt: FromMillis(1), URL: u.String(),
	}
	if d := cmp.Diff(want, rec); d != "" || err != nil {
		t.Errorf("record: %v\n%s", err, d)
	}
	it, err := DecodeItem(want.QKey, append([]byte{2, 1, 3, 4 << 1}, u.String()...))
	if err != nil || it.Redirects != 4 || it.Mode != frontier.ModePage || it.Hop != nil || it.Visit != nil || it.URL != u {
		t.Errorf("item %+v: %v", it, err)
	}
	ready, err := DecodeReady(frontier.HostRef{}, append([]byte{1, 2, 3}, "0123456789ab"...))
	if err != nil || string(ready.Patterns) != "0123456789ab" || ready.Rendering != 0 {
		t.Errorf("host %+v: %v", ready, err)
	}
	out, err := DecodeOutbox(slices.Concat([]byte{1, 2, 16}, []byte(u.String()), []byte{3, 1, 2, 1, 9}))
	if err != nil || len(out.Links) != 1 || !out.Links[0].Next || out.Links[0].Hop != nil || out.Links[0].Redirects != 2 {
		t.Errorf("outbox %+v: %v", out, err)
	}
	if st, err := DecodeStats([]byte{1, 2, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0}); err != nil || st.Stats.Discovered != 3 || st.Jars != 0 {
		t.Errorf("counters %+v: %v", st, err)
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
		roundTrip(t, v, func(v []byte) (frontier.Record, error) { return DecodeRecord(v, true) },
			func(r frontier.Record) []byte { return AppendRecord(nil, &r) })
		roundTrip(t, v, func(v []byte) (frontier.Item, error) { return DecodeItem(frontier.QKey{}, v) },
			func(i frontier.Item) []byte { return AppendItem(nil, &i) })
		roundTrip(t, v, DecodeHost, func(h frontier.HostRow) []byte { return AppendHost(nil, &h) })
		roundTrip(t, v, func(v []byte) (frontier.ReadyRow, error) { return DecodeReady(frontier.HostRef{}, v) },
			func(r frontier.ReadyRow) []byte { return AppendReady(nil, &r) })
		roundTrip(t, v, func(v []byte) (frontier.LeaseRow, error) { return DecodeLease(1, 2, v) },
			func(l frontier.LeaseRow) []byte { return AppendLease(nil, &l) })
		roundTrip(t, v, DecodeStats, func(s frontier.StatsRow) []byte { return AppendStats(nil, &s) })
		roundTrip(t, v, DecodeCrawl, func(c frontier.Crawl) []byte {
			b, err := AppendCrawl(nil, &c)
			if err != nil { // a time that JSON cannot write, from a zone of more than a day
				return nil
			}
			return b
		})
		roundTrip(t, v, DecodeJar, func(r frontier.JarRow) []byte { return AppendJar(nil, &r) })
		roundTrip(t, v, DecodeOutbox, func(r frontier.OutboxRow) []byte { return AppendOutbox(nil, &r) })
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
