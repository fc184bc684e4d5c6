package catalogue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)

func open(t testing.TB, dir string) *Catalogue {
	t.Helper()
	c, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// page makes an attempt at the n-th URL of a crawl, with items.
func page(crawlID string, n int, items ...string) *Page {
	url := fmt.Sprintf("http://example.com/%d", n)
	sum := sha256.Sum256([]byte(url))
	p := &Page{
		Key: Key{Crawl: crawlID, URL: weburl.KeyOf(url), Generation: 1, Attempt: 1, Kind: KindPage}, CanonicalURL: url,
		Depth: 2, FetchedAt: when, Duration: 1234567 * time.Microsecond, Status: 200, ContentType: "text/html", Title: "Título",
		Size: 16384, SHA256: sum[:], Outlinks: 41, RejectedItems: 3, Warning: "odd",
	}
	for i, json := range items {
		p.Items = append(p.Items, Item{Rule: "page", Index: uint32(i), JSON: []byte(json)})
	}
	return p
}

func commit(t testing.TB, c *Catalogue, pages ...*Page) {
	t.Helper()
	if err := c.Commit(t.Context(), &Batch{Pages: pages}); err != nil {
		t.Fatal(err)
	}
}

func TestCommitAndRead(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	seg := archive.Segment{File: "a.warc.gz", OpenedAt: when}
	if err := c.AddSegment(t.Context(), &seg); err != nil {
		t.Fatal(err)
	}
	stored := page("one", 1, `{"a":1}`, `{"a":2}`)
	stored.Place = archive.Place{Segment: seg.ID, Offset: 300, Length: 5000}
	failed := page("one", 2)
	failed.Status, failed.SHA256, failed.Error, failed.ErrorDetail = 0, nil, crawl.ClassDNSNXDomain, "no such host"
	robots := page("one", 3)
	robots.Kind = KindRobots
	other := page("two", 1, `{"b":1}`)
	err := c.Commit(t.Context(), &Batch{Pages: []*Page{stored, failed, robots, other}, Sizes: map[int64]int64{seg.ID: 7000}, ArchiveBytes: map[string]int64{"one": 5400, "two": 600}})
	if err != nil {
		t.Fatal(err)
	}

	want := *stored
	want.Items, want.ItemCount, want.Place.File = nil, 2, "a.warc.gz"
	got, err := c.Newest(t.Context(), "one", stored.CanonicalURL, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
	wantFailed := *failed
	got, err = c.Newest(t.Context(), "one", failed.CanonicalURL, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&wantFailed, got); diff != "" {
		t.Error(diff)
	}
	for name, find := range map[string]func() (*Page, error){
		"unknown URL":   func() (*Page, error) { return c.Newest(t.Context(), "one", "http://example.com/9", false) },
		"unknown crawl": func() (*Page, error) { return c.Newest(t.Context(), "nine", stored.CanonicalURL, false) },
		"not archived":  func() (*Page, error) { return c.Newest(t.Context(), "one", failed.CanonicalURL, true) },
	} {
		if _, err := find(); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	for id, want := range map[string]Stats{
		"one": {Attempts: 3, Pages: 1, Items: 2, ArchiveBytes: 5400}, "two": {Attempts: 1, Pages: 1, Items: 1, ArchiveBytes: 600}, "nine": {},
	} {
		if got, err := c.Stats(t.Context(), id); err != nil || got != want {
			t.Errorf("stats of %s: %+v, %v", id, got, err)
		}
	}
	segments, err := c.Segments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]archive.Segment{{ID: seg.ID, File: "a.warc.gz", Size: 7000, OpenedAt: when}}, segments); diff != "" {
		t.Error(diff)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	var pages []*Page
	for n := range 50 {
		p := page("one", n)
		if n%3 == 0 {
			p.Status, p.Error = 503, crawl.ClassStatus5xx
		}
		pages = append(pages, p)
	}
	commit(t, c, pages...)
	var keys []Key
	var want []State
	for n := range 100 {
		k, state := page("one", n).Key, Unknown
		switch {
		case n < 50 && n%3 == 0:
			state = Failed
		case n < 50:
			state = Good
		}
		keys, want = append(keys, k), append(want, state)
		if n%10 == 0 {
			for _, change := range []func(*Key){func(k *Key) { k.Attempt++ }, func(k *Key) { k.Generation++ }, func(k *Key) { k.Kind = KindRobots }, func(k *Key) { k.Crawl = "two" }} {
				k := k
				change(&k)
				keys, want = append(keys, k), append(want, Unknown)
			}
		}
	}
	for size := range len(keys) {
		got, err := c.Known(t.Context(), keys[:size])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[:size:size], got); diff != "" && size > 0 {
			t.Fatalf("%d keys: %s", size, diff)
		}
	}
}

// TestNothingOfAFailedBatch: a batch with an attempt that is stored already is
// refused whole, and the ids of the next one follow without a gap or a clash.
func TestNothingOfAFailedBatch(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	commit(t, c, page("one", 1, `{}`))
	if err := c.Commit(t.Context(), &Batch{Pages: []*Page{page("one", 2, `{}`), page("one", 1)}}); crawl.KindOf(err) != crawl.Internal {
		t.Errorf("error %v", err)
	}
	commit(t, c, page("one", 3, `{"n":3}`))
	pages, err := c.Pages(t.Context(), "one", "", 0, 0, 10)
	if err != nil || len(pages) != 2 || pages[0].ID != 1 || pages[1].ID != 2 {
		t.Errorf("pages %v, %v", pages, err)
	}
	items, err := c.Items(t.Context(), "one", "", 0, 0, 10)
	if err != nil || len(items) != 2 || items[1].ID != 2 || string(items[1].JSON) != `{"n":3}` {
		t.Errorf("items %v, %v", items, err)
	}
}

// TestAttemptsOfOneURL: in the order of their commits, with what each was made under.
func TestAttemptsOfOneURL(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	first, second := page("one", 1), page("one", 1)
	first.Lease, second.Lease, second.Attempt = 1<<40|7, 1<<63|1, 2
	commit(t, c, first, page("one", 2))
	commit(t, c, page("two", 1), second)
	got, err := c.Pages(t.Context(), "one", first.CanonicalURL, 0, 0, 10)
	if err != nil || len(got) != 2 || got[0].Attempt != 1 || got[1].Attempt != 2 || got[0].Lease != first.Lease || got[1].Lease != second.Lease {
		t.Errorf("attempts %+v, %v", got, err)
	}
	if got, err = c.Pages(t.Context(), "one", "http://none.example/", 0, 0, 10); err != nil || len(got) != 0 {
		t.Errorf("attempts at another URL %+v, %v", got, err)
	}
}

func TestCursors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir)
	for n := range 40 {
		commit(t, c, page("one", n, fmt.Sprintf(`{"n":%d}`, n), `{}`), page("two", n, `{}`))
	}
	var seen []string
	for after := uint64(0); ; {
		items, err := c.Items(t.Context(), "one", "page", after, 0, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 {
			break
		}
		for _, it := range items {
			if it.ID <= after {
				t.Fatalf("cursor %d behind %d", it.ID, after)
			}
			after = it.ID
			if it.Index == 0 {
				seen = append(seen, string(it.JSON))
			}
		}
	}
	if len(seen) != 40 || seen[0] != `{"n":0}` || seen[39] != `{"n":39}` {
		t.Errorf("items %v", seen)
	}
	if items, err := c.Items(t.Context(), "one", "other", 0, 0, 10); err != nil || len(items) != 0 {
		t.Errorf("items of a rule that made none: %v, %v", items, err)
	}
	lastPage, lastItem, err := c.Last(t.Context())
	if err != nil || lastPage != 80 || lastItem != 120 {
		t.Errorf("last rows %d, %d, %v", lastPage, lastItem, err)
	}
	if pages, err := c.Pages(t.Context(), "one", "", 0, 10, 100); err != nil || len(pages) != 5 {
		t.Errorf("%d pages up to row 10, %v", len(pages), err)
	}

	// A cursor keeps its meaning when rows are deleted and the file is reopened.
	if _, err := c.write.Exec("DELETE FROM items; DELETE FROM pages"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir)
	commit(t, c, page("one", 1000, `{}`))
	if _, item, err := c.Last(t.Context()); err != nil || item != 121 {
		t.Errorf("the next item has id %d, %v", item, err)
	}
}

func TestItemsAnswerIsBounded(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	big := `{"a":"` + string(make([]byte, maxItemBytes/2)) + `"}`
	commit(t, c, page("one", 1, big, big, big, big, big))
	items, err := c.Items(t.Context(), "one", "", 0, 0, 100)
	if err != nil || len(items) != 2 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

// TestViews reads the file as a person would: with another connection.
func TestViews(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir)
	first, second := page("one", 1, `{"v":1}`), page("one", 1, `{"v":2}`)
	first.Status, first.Error = 503, crawl.ClassStatus5xx
	second.Attempt = 2
	robots := page("one", 1)
	robots.Kind, robots.Generation = KindRobots, 9
	commit(t, c, first, second, robots, page("one", 2))

	db, err := sql.Open("sqlite", "file:"+dir+"/"+FileName+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows int
	var attempt, status int
	var class, digest string
	if err := db.QueryRow("SELECT count(*) FROM newest_pages").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
	q := "SELECT attempt, status, error, sha256 FROM newest_pages WHERE crawl_id = 'one' AND url = ?"
	if err := db.QueryRow(q, first.CanonicalURL).Scan(&attempt, &status, &class, &digest); err != nil || attempt != 2 || status != 200 || class != "" || digest != fmt.Sprintf("%x", first.SHA256) {
		t.Errorf("newest: %d %d %q %s, %v", attempt, status, class, digest, err)
	}
	var v int
	if err := db.QueryRow("SELECT json ->> 'v' FROM item_list WHERE url = ? ORDER BY id LIMIT 1", first.CanonicalURL).Scan(&v); err != nil || v != 1 {
		t.Errorf("item: %d, %v", v, err)
	}
}

func TestFullIsUnavailable(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	if _, err := c.write.Exec("PRAGMA max_page_count = 60"); err != nil {
		t.Fatal(err)
	}
	n := 0
	var err error
	for ; err == nil && n < 10_000; n++ {
		err = c.Commit(t.Context(), &Batch{Pages: []*Page{page("one", n, `{"text":"`+string(make([]byte, 2000))+`"}`)}})
	}
	if crawl.KindOf(err) != crawl.Unavailable {
		t.Fatalf("error %v", err)
	}
	if _, err := c.write.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	commit(t, c, page("one", n-1, `{}`))
	if s, err := c.Stats(t.Context(), "one"); err != nil || s.Attempts != uint64(n) {
		t.Errorf("%d attempts of %d, %v", s.Attempts, n, err)
	}
}
