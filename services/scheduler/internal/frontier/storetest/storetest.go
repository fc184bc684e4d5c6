// Package storetest proves that a frontier.Store keeps what a frontier relies on.
// Every implementation runs the same suite.
package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// Partitions that a factory's stores must have.
const Partitions = 4

// Factory opens stores for one test.
type Factory struct {
	// Open opens the test's store, which is empty the first time. After Close it
	// opens what was written. A shared store may be opened by several at a time, who
	// see the same rows.
	Open func(t *testing.T) frontier.Store
	// Shared is what Store.Shared says.
	Shared bool
}

// fixture is what a test works with.
type fixture struct {
	frontier.Store
	t       *testing.T
	factory Factory
}

// open opens a store, begins a run, and acquires all partitions.
func (x *fixture) open() []*frontier.Snapshot {
	x.Store = x.factory.Open(x.t)
	_, err := x.Begin(x.t.Context())
	check(x.t, err)
	return acquireAll(x.t, x.Store)
}

// reopen closes the store and opens it again.
func (x *fixture) reopen() []*frontier.Snapshot {
	check(x.t, x.Close())
	return x.open()
}

// other opens the store a second time, as another process would, beginning a run.
// Only for shared stores.
func (x *fixture) other() frontier.Store {
	s := x.factory.Open(x.t)
	x.t.Cleanup(func() { check(x.t, s.Close()) })
	_, err := s.Begin(x.t.Context())
	check(x.t, err)
	return s
}

// acquireAll takes all partitions.
func acquireAll(t *testing.T, s frontier.Store) []*frontier.Snapshot {
	t.Helper()
	var snaps []*frontier.Snapshot
	for p := range uint32(Partitions) {
		snap, err := s.Acquire(t.Context(), p)
		check(t, err)
		snaps = append(snaps, snap)
	}
	return snaps
}

// test is one of the suite. Its store holds all partitions.
type test struct {
	name string
	run  func(t *testing.T, s *fixture)
}

// Run runs the suite; factory is called once for each test.
func Run(t *testing.T, factory func(t *testing.T) Factory) {
	run(t, factory, []test{
		{"empty", testEmpty},
		{"records", testRecords},
		{"known", testKnown},
		{"window", testWindow},
		{"cookies", testJars},
		{"due", testDue},
		{"due of partitions held", testDueHeld},
		{"hosts", testHosts},
		{"restart", testRestart},
		{"scan", testScan},
		{"scan hosts", testScanHosts},
		{"order of writes", testOrder},
		{"runs", testRuns},
		{"acquire and release", testAcquire},
		{"not held", testNotHeld},
		{"outbox", testOutbox},
		{"totals", testTotals},
		{"numbers of crawls", testNextCrawl},
		{"one crawl", testCrawl},
		{"delete a crawl", testDeleteCrawl},
		{"random batches", testRandom},
	})
}

// RunShared runs what only stores with several owners can do.
func RunShared(t *testing.T, factory func(t *testing.T) Factory) {
	run(t, factory, []test{
		{"fenced", testFenced},
		{"fenced while it writes", testFencedWriting},
		{"released is fenced", testReleasedFenced},
		{"rows of others", testRowsOfOthers},
		{"runs at a time", testRunsShared},
		{"grant", testGrant},
		{"grants at a time", testGrantsAtATime},
		{"numbers at a time", testNumbersAtATime},
	})
}

// run runs tests, each with a store of its own.
func run(t *testing.T, factory func(t *testing.T) Factory, tests []test) {
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &fixture{t: t, factory: factory(t)}
			s.open()
			t.Cleanup(func() { check(t, s.Close()) })
			c.run(t, s)
		})
	}
}

// at is a time that stores keep exactly.
var at = time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares what was read with what was written.
func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b weburl.URL) bool { return a == b }), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("read something else than was written (-want +got):\n%s", d)
	}
}

// linkIn makes a URL of a partition.
func linkIn(t *testing.T, no frontier.CrawlNo, p uint32, n int) (frontier.Ref, weburl.URL) {
	t.Helper()
	for host := 0; ; host++ {
		if ref, u := link(t, no, host, n); ref.Partition == p {
			return ref, u
		}
	}
}

// apply writes a batch and waits for it.
func apply(t *testing.T, s frontier.Store, b *frontier.Batch) {
	t.Helper()
	c, err := s.Apply(b)
	check(t, err)
	check(t, c.Wait())
}

// link makes a URL and where it is kept.
func link(t *testing.T, no frontier.CrawlNo, host, n int) (frontier.Ref, weburl.URL) {
	t.Helper()
	u, err := weburl.FromCanonical(fmt.Sprintf("https://h%d.test/%d?q=x", host, n))
	check(t, err)
	return frontier.Ref{Crawl: no, Partition: weburl.Partition(u.Site(), Partitions), Host: u.HostID(), Key: u.Key()}, u
}

func testEmpty(t *testing.T, s *fixture) {
	for p, snap := range s.reopen() {
		same(t, snap, &frontier.Snapshot{Partition: uint32(p), Epoch: 2})
	}
	if s.Shared() != s.factory.Shared {
		t.Errorf("shared: %v", s.Shared())
	}
	ref, _ := link(t, 1, 1, 1)
	recs := make([]frontier.Record, 1)
	check(t, s.Lookup(t.Context(), []frontier.Ref{ref}, recs))
	same(t, recs, []frontier.Record{{}})
	items, next, err := s.Due(t.Context(), at, 10)
	check(t, err)
	if len(items) > 0 || !next.IsZero() {
		t.Fatalf("due in an empty store: %v, %s", items, next)
	}
}

// visit has all that a recrawl needs.
var visit = frontier.Visit{ETag: `"abc"`, LastModified: "Mon, 02 Jan 2006 15:04:05 GMT", Digest: 1, Interval: 36 * time.Hour, Visits: 1<<32 - 1}

// hop is how a redirect leads to a URL.
var hop = frontier.Hop{Via: "https://h1.test/from", Chain: 1<<64 - 1}

// records has one of each kind.
func records(u weburl.URL) []frontier.Record {
	place := frontier.QKey{Priority: -5, Seq: 1<<63 | 7}
	return []frontier.Record{
		{State: frontier.URLQueued, QKey: place, Depth: 3, Generation: 1, Redirects: 2},
		{State: frontier.URLQueued, QKey: place, Generation: 2, Attempts: 1, Status: 503, Class: crawl.ClassStatus5xx, FetchedAt: at},
		{State: frontier.URLDelayed, QKey: place, Generation: 3, Attempts: 2, Class: crawl.ClassReset, FetchedAt: at, NotBefore: at.Add(time.Hour), URL: u.String()},
		{State: frontier.URLDone, QKey: frontier.QKey{Priority: 1<<31 - 1, Seq: 1<<64 - 1}, Generation: 1, Attempts: 1, Status: 200, FetchedAt: at, URL: u.String(), Visit: &visit},
		{State: frontier.URLDelayed, QKey: place, Generation: 3, Status: 200, FetchedAt: at, NotBefore: at.Add(time.Hour), URL: u.String(), Visit: &frontier.Visit{Digest: 1<<64 - 1}},
		{State: frontier.URLDone, QKey: place, Generation: 2, Status: 302, FetchedAt: at, URL: u.String(), Hop: &hop, Redirects: 3, Redirected: true, Jar: 1<<32 - 1},
		{State: frontier.URLQueued, QKey: place, Generation: 1, Mode: frontier.ModePlain, Hop: &frontier.Hop{}, Redirected: true},
		{State: frontier.URLDropped, QKey: frontier.QKey{Priority: -1 << 31}, Generation: 1, Reason: frontier.DropRobots, URL: u.String()},
	}
}

func testRecords(t *testing.T, s *fixture) {
	var refs []frontier.Ref
	var want []frontier.Record
	var b frontier.Batch
	_, u := link(t, 1, 1, 0)
	for i, r := range records(u) {
		ref, _ := link(t, frontier.CrawlNo(1+i%2), i, i)
		refs, want = append(refs, ref), append(want, r)
		b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: r})
	}
	b.Sync = true
	apply(t, s, &b)
	for range 2 {
		got := make([]frontier.Record, len(refs))
		check(t, s.Lookup(t.Context(), refs, got))
		same(t, got, want)
		s.reopen()
	}
}

func testKnown(t *testing.T, s *fixture) {
	var refs []frontier.Ref
	var want []bool
	b := frontier.Batch{Sync: true}
	for i := range 500 {
		ref, _ := link(t, 1, i%7, i)
		other := ref
		other.Crawl = 2 // the same URL of another crawl is another URL
		refs, want = append(refs, ref, other, ref), append(want, i%3 == 0, false, i%3 == 0)
		if i%3 == 0 {
			b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: frontier.Record{State: frontier.URLQueued, Generation: 1}})
		}
	}
	c, err := s.Apply(&b)
	check(t, err)
	for i := range 3 {
		got := make([]bool, len(refs))
		got[0] = !want[0] // what was there before does not matter
		check(t, s.Known(t.Context(), refs, got))
		same(t, got, want)
		if i == 0 {
			check(t, c.Wait())
			s.reopen()
		}
	}
}

// queued adds an item to a batch.
func queued(b *frontier.Batch, ref frontier.Ref, u weburl.URL, k frontier.QKey) frontier.Item {
	it := frontier.Item{URL: u, Key: ref.Key, QKey: k, Depth: 2, Attempts: 1, Generation: 3, Redirects: 1}
	b.Queue = append(b.Queue, frontier.QueueRow{Ref: ref, Item: it})
	b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: frontier.Record{State: frontier.URLQueued, QKey: k, Generation: 3}})
	return it
}

func testWindow(t *testing.T, s *fixture) {
	b := frontier.Batch{Sync: true}
	var want []frontier.Item
	for i := range 30 {
		ref, u := link(t, 1, 1, i)
		k := frontier.QKey{Priority: int32(i%3 - 1), Seq: uint64(i) << 58}
		it := queued(&b, ref, u, k)
		if i%10 == 0 {
			it.Visit = &visit
			it.Hop, it.Mode = &hop, frontier.Mode(i/10+1)
			b.Queue[len(b.Queue)-1].Item = it
		}
		want = append(want, it)
		other, v := link(t, 2, 1, i) // neighbours must not show
		queued(&b, other, v, k)
	}
	ref, _ := link(t, 1, 1, 0)
	b.Robots = []frontier.RobotsRow{{Partition: ref.Partition, Host: ref.Host, Text: []byte("User-agent: *")}}
	apply(t, s, &b)
	slices.SortFunc(want, func(a, b frontier.Item) int { return a.QKey.Compare(b.QKey) })
	w := frontier.Want{HostRef: frontier.HostRef{Partition: ref.Partition, Crawl: 1, Host: ref.Host}, FromStart: true, N: 7, Robots: true}
	var got []frontier.Item
	for {
		f, err := s.Window(t.Context(), w)
		check(t, err)
		same(t, string(f.Robots), "User-agent: *")
		if got = append(got, f.Items...); !f.More {
			break
		}
		w.FromStart, w.After = false, got[len(got)-1].QKey
	}
	same(t, got, want)
	b = frontier.Batch{Sync: true}
	for _, it := range want[:29] {
		r := ref
		r.Key = it.Key
		b.Queue = append(b.Queue, frontier.QueueRow{Ref: r, Delete: true, Item: frontier.Item{QKey: it.QKey}})
	}
	apply(t, s, &b)
	f, err := s.Window(t.Context(), frontier.Want{HostRef: w.HostRef, FromStart: true, N: 1})
	check(t, err)
	same(t, f, frontier.Filling{Items: want[29:]})
}

// testJars: the cookies of a crawl and site are read as they were last written.
func testJars(t *testing.T, s *fixture) {
	ref, _ := link(t, 1, 1, 1)
	want := func(no frontier.CrawlNo, site frontier.SiteID) frontier.Want {
		return frontier.Want{HostRef: frontier.HostRef{Partition: ref.Partition, Crawl: no, Host: ref.Host}, Jar: true, Site: site}
	}
	row := func(no frontier.CrawlNo, site frontier.SiteID, version uint32, cookies string) frontier.JarRow {
		return frontier.JarRow{Partition: ref.Partition, Crawl: no, Site: site, Version: version, Cookies: []byte(cookies)}
	}
	read := func(expect frontier.JarRow) {
		t.Helper()
		f, err := s.Window(t.Context(), want(expect.Crawl, expect.Site))
		check(t, err)
		same(t, f, frontier.Filling{Jar: expect})
	}
	read(row(1, 7, 0, ""))
	first := []frontier.JarRow{row(1, 7, 1, "one"), row(1, 1<<63|7, 2, "two\x00"), row(2, 7, 1<<32-1, "")}
	apply(t, s, &frontier.Batch{Sync: true, Jars: first})
	for range 2 {
		for _, r := range first {
			read(r)
		}
		read(row(2, 8, 0, ""))
		s.reopen()
	}
	apply(t, s, &frontier.Batch{Sync: true, Jars: []frontier.JarRow{row(1, 7, 2, "again")}})
	read(row(1, 7, 2, "again"))
	check(t, s.DeleteCrawl(t.Context(), 1))
	read(row(1, 7, 0, ""))
	read(row(1, 1<<63|7, 0, ""))
	read(first[2])
}

func testDue(t *testing.T, s *fixture) {
	b := frontier.Batch{Sync: true}
	var want []frontier.DueItem
	for i := range 12 {
		ref, u := link(t, 1, i, i)
		due := at.Add(time.Duration(i) * time.Second)
		rec := frontier.Record{State: frontier.URLDelayed, Generation: 2, NotBefore: due, URL: u.String()}
		b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: rec})
		b.Due = append(b.Due, frontier.DueRow{Ref: ref, At: due})
		want = append(want, frontier.DueItem{Ref: ref, At: due, Record: rec})
	}
	apply(t, s, &b)
	byTime := func(a, b frontier.DueItem) int { return a.At.Compare(b.At) }
	for range 2 {
		got, next, err := s.Due(t.Context(), at.Add(4500*time.Millisecond), 100)
		check(t, err)
		slices.SortFunc(got, byTime)
		same(t, got, want[:5])
		same(t, next, at.Add(5*time.Second))
		s.reopen()
	}
	some, next, err := s.Due(t.Context(), at.Add(time.Hour), 5)
	check(t, err)
	if len(some) != 5 || next.IsZero() || next.After(at.Add(time.Hour)) {
		t.Fatalf("asked for 5 of 12: %d, next %s", len(some), next)
	}
	for i := range b.Due {
		b.Due[i].Delete = true
	}
	apply(t, s, &frontier.Batch{Due: b.Due[:11], Sync: true})
	acquireAll(t, s) // what was given before need not come again
	got, next, err := s.Due(t.Context(), at, 5)
	check(t, err)
	if len(got) > 0 || !next.Equal(want[11].At) {
		t.Fatalf("one is left, not due: got %d, next %s", len(got), next)
	}
	got, _, err = s.Due(t.Context(), next, 5)
	check(t, err)
	same(t, got, want[11:])
}

func testHosts(t *testing.T, s *fixture) {
	ref, u := link(t, 1, 1, 1)
	hr := frontier.HostRef{Partition: ref.Partition, Crawl: 1, Host: ref.Host}
	unknown := frontier.HostRef{Partition: 0, Crawl: 9, Host: 99}
	host := frontier.HostRow{
		Partition: ref.Partition, Host: ref.Host, Origin: u.Origin(), NotBefore: at, Level: 3, LastBad: at.Add(-time.Hour),
		Fails: 2, Adaptive: 1500 * time.Millisecond,
		Robots:  frontier.RobotsInfo{State: frontier.RobotsUnreachable, Until: at.Add(time.Hour), Tries: 4, Class: uint8(crawl.ClassReset)},
		Policy:  frontier.HostPolicy{Delay: time.Second, Concurrency: 2, NotBefore: at.Add(time.Minute), Blocked: true, Note: "they asked"},
		Address: "2001:db8::1",
	}
	ready := frontier.ReadyRow{HostRef: hr, Rows: 5, Pages: 7, Seen: 1 << 40, Patterns: []byte("0123456789a\x00"), Rendering: 1, Moved: true}
	for _, rows := range []uint64{5, 0, 3} {
		ready.Rows = rows
		host.Policy.Blocked = rows > 0
		ready.Rendering = uint16(rows << 13)
		apply(t, s, &frontier.Batch{Hosts: []frontier.HostRow{host}, Ready: []frontier.ReadyRow{ready}, Sync: true})
		got, err := s.Hosts(t.Context(), []frontier.HostRef{unknown, hr})
		check(t, err)
		same(t, got, []frontier.HostState{
			{Ready: frontier.ReadyRow{HostRef: unknown}, Host: frontier.HostRow{Host: 99}},
			{Ready: frontier.ReadyRow{HostRef: hr, Rows: rows, Pages: 7, Seen: ready.Seen, Patterns: ready.Patterns, Rendering: ready.Rendering}, Host: host},
		})
		snap := s.reopen()[ref.Partition]
		if len(snap.Ready) != int(min(rows, 1)) || len(snap.Hosts) != len(snap.Ready) {
			t.Fatalf("with %d rows a restart reads %d rows and %d hosts", rows, len(snap.Ready), len(snap.Hosts))
		}
	}
}
