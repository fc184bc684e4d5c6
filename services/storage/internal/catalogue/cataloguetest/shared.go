package cataloguetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// other opens the catalogue as another storage.
func (x *fixture) other(owner string) *fixture {
	x.t.Helper()
	o := &fixture{t: x.t, factory: x.factory, Store: x.factory.Open(x.t, owner)}
	x.t.Cleanup(func() { check(x.t, o.Close()) })
	return o
}

// testSegmentsOfOthers: each storage has its own segments, and all read where pages are.
func testSegmentsOfOthers(t *testing.T, x *fixture) {
	y := x.other("two")
	a, b := x.segment("a.warc.gz"), y.segment("b.warc.gz")
	x.commit(in(page("one", 1), a))
	y.commit(in(page("one", 2), b))
	same(t, x.segments(), []archive.Segment{a})
	same(t, y.segments(), []archive.Segment{b})
	got, err := x.Newest(t.Context(), "one", page("", 2).CanonicalURL, true)
	check(t, err)
	if got.Place.File != "b.warc.gz" {
		t.Errorf("place %+v", got.Place)
	}
	check(t, y.SealSegment(t.Context(), b.ID))
	_, err = x.DeleteCrawl(t.Context(), "one")
	check(t, err)
	x.purge()
	for _, s := range []*fixture{x, y} {
		unused, err := s.Unused(t.Context())
		check(t, err)
		if want := s == y; (len(unused) == 1) != want {
			t.Errorf("unused %v", unused)
		}
	}
	c, d := x.segment("one-1.warc.gz"), y.segment("one-2.warc.gz")
	of, err := x.SegmentsOf(t.Context(), "one")
	check(t, err)
	same(t, of, []archive.Segment{c, d})
}

// testWritersAndReader: while several storages commit, readers that go on from their
// last cursor see every row once and in order: nothing comes behind a cursor that was
// passed. The rows are counted while they are written.
func testWritersAndReader(t *testing.T, x *fixture) {
	const batches, size = 60, 5
	writers := []*fixture{x, x.other("two"), x.other("three")}
	var running atomic.Int32
	running.Store(int32(len(writers)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for w, s := range writers {
		wg.Go(func() {
			defer running.Add(-1)
			for n := range batches {
				var pages []*catalogue.Page
				for i := range size {
					id := (w*batches+n)*size + i
					pages = append(pages, page("one", id, fmt.Sprintf(`{"n":%d}`, id), `{}`), page("two", id, `{}`))
				}
				if err := s.Commit(ctx, &catalogue.Batch{Pages: pages}); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	reader := x.other("reader")
	pages, items := map[string]bool{}, 0
	var after, afterItems uint64
	for last := false; ; {
		for _, p := range reader.pages(catalogue.PageQuery{Crawl: "one", After: after, Limit: 11}) {
			if pages[p.CanonicalURL] {
				t.Fatalf("%s came twice", p.CanonicalURL)
			}
			pages[p.CanonicalURL], after = true, p.Cursor
		}
		for _, it := range reader.items(catalogue.ItemQuery{Crawl: "one", After: afterItems, Limit: 11}) {
			items++
			afterItems = it.Cursor
		}
		if last {
			break
		}
		last = running.Load() == 0 // once more for what came last
	}
	wg.Wait()
	want := len(writers) * batches * size
	if len(pages) != want || items != 2*want {
		t.Errorf("%d pages of %d and %d items of %d were seen", len(pages), want, items, 2*want)
	}
	if st := x.stats("one"); int(st.Attempts) != want || int(st.Items) != 2*want || st.Statuses[200] != uint64(want) || st.Rules["page"] != uint64(2*want) {
		t.Errorf("stats %+v", st)
	}
}

// testSameAttempts: two storages that get the same records at a time store each once.
// Whoever comes too late is told to look again.
func testSameAttempts(t *testing.T, x *fixture) {
	writers := []*fixture{x, x.other("two")}
	const batches, size = 30, 8
	var wg sync.WaitGroup
	for w, s := range writers {
		wg.Go(func() {
			for n := range batches {
				if err := storeUnknown(t.Context(), s, n*size, size); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if st := x.stats("one"); st.Attempts != batches*size || st.Items != batches*size || st.Duplicates != 0 {
		t.Errorf("stats %+v", st)
	}
	if got := x.texts("one"); len(got) != batches*size {
		t.Errorf("%d items", len(got))
	}
}

// storeUnknown does as a storage does: asks what is known, stores the rest, and begins
// again when that cannot be.
func storeUnknown(ctx context.Context, s *fixture, from, size int) error {
	for {
		var keys []catalogue.Key
		for n := range size {
			keys = append(keys, page("one", from+n).Key)
		}
		known, err := s.Known(ctx, keys)
		if err != nil {
			return err
		}
		var pages []*catalogue.Page
		for n, k := range known {
			if k.State == catalogue.Unknown {
				pages = append(pages, page("one", from+n, `{}`))
			}
		}
		err = s.Commit(ctx, &catalogue.Batch{Pages: pages})
		if err == nil || crawl.KindOf(err) != crawl.Unavailable {
			return err
		}
	}
}

// testDuplicatesAtATime: of pages with the same content that storages commit at the
// same time, one is the first for all.
func testDuplicatesAtATime(t *testing.T, x *fixture) {
	writers := []*fixture{x, x.other("two")}
	const rounds = 30
	var wg sync.WaitGroup
	for w, s := range writers {
		wg.Go(func() {
			for n := range rounds {
				a, b := page("one", 2*n), page("one", 2*n+1)
				if w == 1 { // the other way round
					a, b = b, a
				}
				for _, p := range []*catalogue.Page{a, b} {
					p.Attempt, p.SimHash = uint32(w+1), 0
					p.Key.URL[0], p.CanonicalURL = byte(w), fmt.Sprint(p.CanonicalURL, "/", w)
				}
				if err := s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{a, b}}); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := x.stats("one").Duplicates; n != 2*rounds {
		t.Errorf("%d duplicates, want %d", n, 2*rounds)
	}
}

// testDeletedByAnother: a storage that has written to a crawl before another deleted
// it writes to a new one.
func testDeletedByAnother(t *testing.T, x *fixture) {
	y := x.other("two")
	x.commit(page("one", 1, `{"n":1}`))
	y.commit(page("one", 2, `{"n":2}`))
	_, err := y.DeleteCrawl(t.Context(), "one")
	check(t, err)
	x.commit(page("one", 3, `{"n":3}`), page("two", 3))
	y.commit(page("one", 4, `{"n":4}`))
	same(t, x.texts("one"), []string{`{"n":3}`, `{"n":4}`})
	y.purge()
	same(t, y.texts("one"), []string{`{"n":3}`, `{"n":4}`})
	if st := y.stats("one"); st.Attempts != 2 || st.Items != 2 {
		t.Errorf("stats %+v", st)
	}
}
