package cataloguetest

import (
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// in puts a page into a segment.
func in(p *catalogue.Page, s archive.Segment) *catalogue.Page {
	p.Place = archive.Place{Segment: s.ID, Offset: 1, Length: 1}
	return p
}

func (x *fixture) segments() []archive.Segment {
	x.t.Helper()
	all, err := x.Segments(x.t.Context())
	check(x.t, err)
	return all
}

func testSegments(t *testing.T, x *fixture) {
	a, b := x.segment("a.warc.gz"), x.segment("b.warc.gz")
	check(t, x.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{in(page("one", 1), a), in(page("one", 2), b)}, Sizes: map[int64]int64{a.ID: 100, b.ID: 200}}))
	check(t, x.SealSegment(t.Context(), a.ID))
	a.Size, a.Sealed, b.Size = 100, true, 200
	same(t, x.segments(), []archive.Segment{a, b})
	x.reopen()
	same(t, x.segments(), []archive.Segment{a, b})

	mine, other := x.segment("one-1.warc.gz"), x.segment("one2-1.warc.gz")
	again := x.segment("one-2.warc.gz")
	got, err := x.SegmentsOf(t.Context(), "one")
	check(t, err)
	same(t, got, []archive.Segment{mine, again})
	got, err = x.SegmentsOf(t.Context(), "one2")
	check(t, err)
	same(t, got, []archive.Segment{other})
}

// testSealed: a segment that was sealed takes no more, and the batch is not stored.
func testSealed(t *testing.T, x *fixture) {
	a := x.segment("a.warc.gz")
	check(t, x.SealSegment(t.Context(), a.ID))
	err := x.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{in(page("one", 1), a)}, Sizes: map[int64]int64{a.ID: 100}})
	if crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("error %v", err)
	}
	if pages := x.pages(catalogue.PageQuery{Crawl: "one"}); len(pages) != 0 {
		t.Errorf("%d pages", len(pages))
	}
	x.commit(page("one", 1))
}

// testUnused: a finished segment is unused when the crawls are gone whose pages are in
// it, and only then.
func testUnused(t *testing.T, x *fixture) {
	a, b, c := x.segment("a.warc.gz"), x.segment("b.warc.gz"), x.segment("c.warc.gz")
	unused := func() (ids []int64) {
		list, err := x.Unused(t.Context())
		check(t, err)
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		return ids
	}
	failed := in(page("one", 3), b)
	failed.Status, failed.Error, failed.Content = 500, crawl.ClassStatus5xx, nil
	x.commit(in(page("one", 1), a), in(page("two", 2), a), failed, in(page("one", 4), c))
	again := in(page("one", 3), c)
	again.Replaces = true
	x.commit(again)
	check(t, x.SealSegment(t.Context(), a.ID))
	same(t, unused(), []int64{})
	check(t, x.SealSegment(t.Context(), b.ID))
	same(t, unused(), []int64{b.ID})
	check(t, x.DropSegment(t.Context(), b.ID))
	check(t, x.DropSegment(t.Context(), b.ID))
	check(t, x.DropSegment(t.Context(), a.ID)) // it is in use
	_, err := x.DeleteCrawl(t.Context(), "one")
	check(t, err)
	x.purge()
	same(t, unused(), []int64{})
	_, err = x.DeleteCrawl(t.Context(), "two")
	check(t, err)
	x.purge()
	same(t, unused(), []int64{a.ID})
	check(t, x.DropSegment(t.Context(), a.ID))
	if all := x.segments(); len(all) != 1 || all[0].ID != c.ID {
		t.Errorf("segments %v", all)
	}
}

// testDelete: a deleted crawl is gone at once, the same id may come again, and in the
// end no row is left.
func testDelete(t *testing.T, x *fixture) {
	var batch []*catalogue.Page
	for n := range 1500 {
		p := page("one", n, `{"n":1}`)
		if n%10 == 0 {
			p.Rejects = []catalogue.Item{{Rule: "r", JSON: []byte(`{}`)}}
		}
		batch = append(batch, p)
	}
	x.commit(batch...)
	x.commit(page("two", 1, `{"n":2}`))
	st, err := x.DeleteCrawl(t.Context(), "one")
	check(t, err)
	if st.Attempts != 1500 || st.Items != 1500 || st.Rejects != 150 {
		t.Errorf("deleted %+v", st)
	}
	gone := func() {
		t.Helper()
		same(t, x.stats("one"), catalogue.Stats{})
		if got := x.pages(catalogue.PageQuery{Crawl: "one"}); len(got) != 0 {
			t.Errorf("%d pages", len(got))
		}
		if _, err := x.Newest(t.Context(), "one", page("", 1).CanonicalURL, false); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("error %v", err)
		}
		known, err := x.Known(t.Context(), []catalogue.Key{page("one", 1).Key})
		check(t, err)
		same(t, known, []catalogue.Known{{}})
	}
	gone()
	st, err = x.DeleteCrawl(t.Context(), "nine")
	check(t, err)
	same(t, st, catalogue.Stats{})
	more, err := x.Purge(t.Context())
	check(t, err)
	if !more {
		t.Error("one piece was all")
	}
	x.commit(page("one", 1, `{"again":1}`))
	x.purge()
	same(t, x.texts("one"), []string{`{"again":1}`})
	same(t, x.texts("two"), []string{`{"n":2}`})
	got, err := x.Newest(t.Context(), "one", page("", 1).CanonicalURL, false)
	check(t, err)
	if got.DuplicateOf != 0 {
		t.Error("a duplicate of a page that is deleted")
	}
	_, err = x.DeleteCrawl(t.Context(), "one")
	check(t, err)
	x.purge()
	gone()
}

// testDeleteWriting deletes a crawl while its pages are coming: what came before is
// gone, what comes afterwards is there, and the sums are those of what is there.
func testDeleteWriting(t *testing.T, x *fixture) {
	done := make(chan error, 1)
	go func() {
		for range 20 {
			if _, err := x.DeleteCrawl(t.Context(), "one"); err != nil {
				done <- err
				return
			}
			if _, err := x.Purge(t.Context()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	n := 0
	for running := true; running; {
		select {
		case err := <-done:
			check(t, err)
			running = false
		default:
		}
		// A batch that another deletion met may be tried again.
		err := x.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{page("one", n, `{}`), page("one", n+1, `{}`)}})
		if crawl.KindOf(err) != crawl.Unavailable {
			check(t, err)
			n += 2
		}
	}
	x.purge()
	st := x.stats("one")
	pages, items := x.pages(catalogue.PageQuery{Crawl: "one"}), x.texts("one")
	if len(pages) == 0 || int(st.Attempts) != len(pages) || int(st.Items) != len(items) || len(items) != len(pages) {
		t.Errorf("stats %+v, %d pages, %d items", st, len(pages), len(items))
	}
}
