// Package cataloguetest proves that a catalogue.Store keeps what package catalogue
// says. Every implementation runs the same suite.
package cataloguetest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// Factory opens catalogues for one test.
type Factory struct {
	// Open opens the test's catalogue, which is empty the first time, as the storage of
	// a name. After Close it opens what was written. A shared catalogue may be opened by
	// several storages at a time.
	Open func(t *testing.T, owner string) catalogue.Store
}

// fixture is what a test works with.
type fixture struct {
	catalogue.Store
	t       *testing.T
	factory Factory
}

// reopen closes the catalogue and opens it again.
func (x *fixture) reopen() {
	check(x.t, x.Close())
	x.Store = x.factory.Open(x.t, "one")
}

// test is one of the suite.
type test struct {
	name string
	run  func(t *testing.T, x *fixture)
}

// Run runs the suite; factory is called once for each test.
func Run(t *testing.T, factory func(t *testing.T) Factory) {
	run(t, factory, []test{
		{"commit and read", testCommitAndRead},
		{"known", testKnown},
		{"known in the batch", testKnownInBatch},
		{"nothing of a failed batch", testFailedBatch},
		{"a page for a failure", testReplaces},
		{"attempts of one URL", testAttempts},
		{"cursors", testCursors},
		{"cursors of several crawls", testCursorsOfCrawls},
		{"answers are bounded", testBounded},
		{"rejects", testRejects},
		{"superseded", testSuperseded},
		{"priors", testPriors},
		{"filters of pages", testPageFilter},
		{"filters of items", testItemFilter},
		{"media", testMedia},
		{"duplicates", testDuplicates},
		{"near duplicates", testNear},
		{"segments", testSegments},
		{"segments in use", testUnused},
		{"sealed segment", testSealed},
		{"delete a crawl", testDelete},
		{"delete while it is written", testDeleteWriting},
		{"texts", testTexts},
		{"large batch", testLargeBatch},
		{"reread", testReread},
		{"reread while it is visited", testRereadVisited},
		{"reread many", testRereadMany},
	})
}

// RunShared runs what only catalogues of several storages can do.
func RunShared(t *testing.T, factory func(t *testing.T) Factory) {
	run(t, factory, []test{
		{"segments of others", testSegmentsOfOthers},
		{"writers and a reader", testWritersAndReader},
		{"the same attempts at a time", testSameAttempts},
		{"duplicates at a time", testDuplicatesAtATime},
		{"deleted by another", testDeletedByAnother},
		{"reread and visited at a time", testRereadAtATime},
	})
}

func run(t *testing.T, factory func(t *testing.T) Factory, tests []test) {
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := &fixture{t: t, factory: factory(t)}
			x.Store = x.factory.Open(t, "one")
			t.Cleanup(func() { check(t, x.Close()) })
			c.run(t, x)
		})
	}
}

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)

// page makes an attempt at the n-th URL of a crawl, with items.
func page(crawlID string, n int, items ...string) *catalogue.Page {
	url := fmt.Sprintf("http://example.com/%d", n)
	sum := sha256.Sum256([]byte(url))
	p := &catalogue.Page{
		Key:          catalogue.Key{Crawl: crawlID, URL: weburl.KeyOf(url), Generation: 1, Attempt: 1, Kind: catalogue.KindPage},
		CanonicalURL: url, Via: "http://example.com/from", Lease: 1<<63 | 7, Depth: 2, FetchedAt: when, Duration: 1234567 * time.Microsecond, Status: 200, ContentType: "text/html",
		Title: "Título", Language: "pt", Size: 16384, SHA256: sum[:], Rendered: true, Outlinks: 41, RejectedItems: 3, Warning: "odd",
		Content: sum[:], SimHash: binary.BigEndian.Uint64(sum[8:]),
	}
	for i, json := range items {
		p.Items = append(p.Items, catalogue.Item{Rule: "page", Index: uint32(i), JSON: []byte(json)})
	}
	p.ItemsDigest = catalogue.DigestItems(p.Items)
	return p
}

// commit stores pages.
func (x *fixture) commit(pages ...*catalogue.Page) {
	x.t.Helper()
	check(x.t, x.Commit(x.t.Context(), &catalogue.Batch{Pages: pages}))
}

// pages reads a whole list.
func (x *fixture) pages(q catalogue.PageQuery) (all []*catalogue.Page) {
	x.t.Helper()
	if q.Limit == 0 {
		q.Limit = 7
	}
	for {
		a, err := x.Pages(x.t.Context(), q)
		check(x.t, err)
		for _, p := range a.Pages {
			if p.Cursor <= q.After {
				x.t.Fatalf("cursor %d behind %d", p.Cursor, q.After)
			}
			q.After = p.Cursor
			all = append(all, p)
		}
		if a.Next < q.After || !a.End && a.Next == 0 {
			x.t.Fatalf("to go on from %d behind %d", a.Next, q.After)
		}
		if q.After = a.Next; a.End {
			return all
		}
	}
}

// items reads a whole list.
func (x *fixture) items(q catalogue.ItemQuery) (all []catalogue.Item) {
	x.t.Helper()
	if q.Limit == 0 {
		q.Limit = 7
	}
	for {
		a, err := x.Items(x.t.Context(), q)
		check(x.t, err)
		for _, it := range a.Items {
			if it.Cursor <= q.After {
				x.t.Fatalf("cursor %d behind %d", it.Cursor, q.After)
			}
			q.After = it.Cursor
			all = append(all, it)
		}
		if a.Next < q.After || !a.End && a.Next == 0 {
			x.t.Fatalf("to go on from %d behind %d", a.Next, q.After)
		}
		if q.After = a.Next; a.End {
			return all
		}
	}
}

// texts are the items of a crawl.
func (x *fixture) texts(crawlID string) (all []string) {
	x.t.Helper()
	for _, it := range x.items(catalogue.ItemQuery{Crawl: crawlID}) {
		all = append(all, string(it.JSON))
	}
	return all
}

// segment makes a WARC file known.
func (x *fixture) segment(file string) archive.Segment {
	x.t.Helper()
	s := archive.Segment{File: file, OpenedAt: when}
	check(x.t, x.AddSegment(x.t.Context(), &s))
	return s
}

func (x *fixture) stats(crawlID string) catalogue.Stats {
	x.t.Helper()
	s, err := x.Stats(x.t.Context(), crawlID)
	check(x.t, err)
	return s
}

// purge deletes all that can be deleted.
func (x *fixture) purge() {
	x.t.Helper()
	for n := 0; ; n++ {
		more, err := x.Purge(x.t.Context())
		check(x.t, err)
		if !more {
			return
		}
		if n > 1000 {
			x.t.Fatal("there is no end to it")
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares what was read with what is wanted.
func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("not what was wanted (-want +got):\n%s", d)
	}
}
