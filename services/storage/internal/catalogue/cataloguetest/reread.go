package cataloguetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// reading makes a reading of the n-th page of a crawl by a revision.
func reading(crawlID string, n int, revision uint64, items ...string) *catalogue.Page {
	p := page(crawlID, n, items...)
	p.Revision, p.Title, p.Language, p.Warning, p.RejectedItems = revision, fmt.Sprint("Title ", revision), "en", "", 0
	p.Content, p.SimHash = nil, 0
	return p
}

// reread stores readings and checks how many were kept.
func (x *fixture) reread(kept int, readings ...*catalogue.Page) {
	x.t.Helper()
	got, err := x.Reread(x.t.Context(), readings)
	check(x.t, err)
	if got != kept {
		x.t.Fatalf("%d readings were kept, want %d", got, kept)
	}
}

// unread are the URLs of the pages that have items by a revision before one.
func (x *fixture) unread(crawlID string, revision uint64) (urls []string) {
	x.t.Helper()
	for _, p := range x.pages(catalogue.PageQuery{Crawl: crawlID, Unread: revision}) {
		urls = append(urls, p.CanonicalURL)
	}
	return urls
}

// testReread: what a reading found takes the place of what was found before, once for
// each revision; a reader with a cursor gets the new items.
func testReread(t *testing.T, x *fixture) {
	first, second := page("one", 1, `{"a":1}`, `{"a":2}`), page("one", 2, `{"b":1}`)
	first.Rejects = []catalogue.Item{{Rule: "page", JSON: []byte(`{"_reason":"x"}`)}}
	first.Revision, second.Revision = 1, 1
	failed := page("one", 3)
	failed.Status, failed.Error, failed.Content, failed.SimHash = 503, crawl.ClassStatus5xx, nil, 0
	x.commit(first, second, failed, page("two", 1, `{"other":1}`))
	before := x.stats("one")
	log := x.pages(catalogue.PageQuery{Crawl: "one"})
	cursor, err := x.Last(t.Context())
	check(t, err)
	same(t, x.unread("one", 1), []string{})
	same(t, x.unread("one", 2), []string{first.CanonicalURL, second.CanonicalURL})

	r := reading("one", 1, 2, `{"a":10}`, `{"a":20}`, `{"a":30}`)
	r.Items[2].Rule, r.Items[2].Index = "more", 0
	r.ItemsDigest = catalogue.DigestItems(r.Items)
	r.Rejects = []catalogue.Item{{Rule: "page", JSON: []byte(`{"_reason":"y"}`)}, {Rule: "page", JSON: []byte(`{"_reason":"z"}`)}}
	r.RejectedItems = 2
	x.reread(1, r, reading("one", 4, 2, `{"unknown":1}`), reading("nine", 1, 2, `{"unknown":1}`))
	for range 2 {
		same(t, x.unread("one", 2), []string{second.CanonicalURL})
		same(t, x.texts("one"), []string{`{"b":1}`, `{"a":10}`, `{"a":20}`, `{"a":30}`})
		same(t, x.texts("two"), []string{`{"other":1}`})
		var news []string
		for _, it := range x.items(catalogue.ItemQuery{Crawl: "one", After: cursor, Since: when, Until: when.Add(time.Second)}) {
			news = append(news, it.URL+" "+it.Rule+" "+string(it.JSON))
		}
		same(t, news, []string{first.CanonicalURL + ` page {"a":10}`, first.CanonicalURL + ` page {"a":20}`, first.CanonicalURL + ` more {"a":30}`})
		if n := len(x.items(catalogue.ItemQuery{Crawl: "one", Rejected: true})); n != 2 {
			t.Fatalf("%d rejects", n)
		}
		want := before
		want.Items, want.Rejects, want.Rules = 4, 2, map[string]uint64{"page": 3, "more": 1}
		same(t, x.stats("one"), want)
		// The log has the same attempts, with what the page says by the new revision.
		changed := *log[0]
		changed.Title, changed.Language, changed.Warning, changed.Revision = r.Title, "en", "", 2
		changed.ItemCount, changed.ItemsDigest, changed.RejectedItems = 3, r.ItemsDigest, 2
		same(t, x.pages(catalogue.PageQuery{Crawl: "one"}), []*catalogue.Page{&changed, log[1], log[2]})
		same(t, x.pages(catalogue.PageQuery{Crawl: "one", URL: first.CanonicalURL}), []*catalogue.Page{&changed})
		priors, err := x.Priors(t.Context(), []catalogue.Key{first.Key})
		check(t, err)
		same(t, []any{priors[0].ItemsDigest, priors[0].ItemCount, priors[0].Revision, priors[0].Title}, []any{r.ItemsDigest, uint32(3), uint64(2), r.Title})

		// Again, by the same revision and by an older one: nothing changes.
		x.reread(0, reading("one", 1, 2, `{"again":1}`))
		x.reread(0, reading("one", 1, 1, `{"older":1}`))
		x.reopen()
	}
	x.reread(2, reading("one", 1, 3), reading("one", 2, 5, `{"b":2}`))
	same(t, x.texts("one"), []string{`{"b":2}`})
	if st := x.stats("one"); st.Items != 1 || st.Rejects != 0 || st.Attempts != before.Attempts || st.Pages != before.Pages {
		t.Errorf("stats %+v", st)
	}
	x.commit(page("one", 5, `{"c":1}`))
	same(t, x.texts("one"), []string{`{"b":2}`, `{"c":1}`})
	_, err = x.DeleteCrawl(t.Context(), "one")
	check(t, err)
	x.reread(0, reading("one", 5, 9, `{"deleted":1}`))
	x.purge()
	same(t, x.texts("one"), []string{})
	same(t, x.texts("two"), []string{`{"other":1}`})
}

// testRereadVisited: a visit that came meanwhile counts, and not the reading; a visit
// that comes later takes the place of the reading.
func testRereadVisited(t *testing.T, x *fixture) {
	seg := x.segment("a.warc.gz")
	first := page("one", 1, `{"v":1}`)
	first.Place = archive.Place{Segment: seg.ID, Offset: 300, Length: 50}
	x.commit(first, page("one", 2, `{"v":1}`))
	next := func(n int, generation uint32, items ...string) *catalogue.Page {
		p := page("one", n, items...)
		p.Generation, p.Supersedes, p.Revision = generation, true, 1
		return p
	}
	// The same page again, unchanged: its body is that of the first visit.
	again := next(1, 2)
	again.Supersedes, again.Revisit, again.ItemCount = false, first.ID, 1
	x.commit(again)
	x.reread(0, reading("one", 1, 2, `{"old":1}`))
	newest := x.pages(catalogue.PageQuery{Crawl: "one", URL: first.CanonicalURL})[1]
	source, err := x.Source(t.Context(), newest)
	check(t, err)
	same(t, source.Place, archive.Place{Segment: seg.ID, File: "a.warc.gz", Offset: 300, Length: 50})
	r := reading("one", 1, 2, `{"v":2}`)
	r.Generation = 2
	x.reread(1, r)
	same(t, x.texts("one"), []string{`{"v":1}`, `{"v":2}`})
	same(t, x.unread("one", 3), []string{page("one", 2).CanonicalURL, first.CanonicalURL})

	// A failure later on leaves the page as it is.
	failed := next(2, 2)
	failed.Status, failed.Error, failed.Content, failed.SimHash, failed.Supersedes = 500, crawl.ClassStatus5xx, nil, 0, false
	x.commit(failed)
	x.reread(1, reading("one", 2, 2, `{"w":2}`))
	same(t, x.texts("one"), []string{`{"v":2}`, `{"w":2}`})

	x.commit(next(1, 3, `{"v":3}`), next(2, 3))
	same(t, x.texts("one"), []string{`{"v":3}`})
	x.reread(0, reading("one", 2, 2, `{"late":1}`), r)
	same(t, x.texts("one"), []string{`{"v":3}`})
	if st := x.stats("one"); st.Items != 1 || st.Attempts != 6 {
		t.Errorf("stats %+v", st)
	}
}

// testRereadMany: lists end, and have all, where many rows are readings.
func testRereadMany(t *testing.T, x *fixture) {
	const n = 200
	var pages, readings []*catalogue.Page
	var want []string
	for i := range n {
		pages, readings = append(pages, page("one", i, `{"v":1}`)), append(readings, reading("one", i, 2, fmt.Sprintf(`{"v":2,"n":%d}`, i)))
		want = append(want, string(readings[i].Items[0].JSON))
	}
	x.commit(pages...)
	x.reread(n, readings...)
	x.commit(page("one", n))
	same(t, x.texts("one"), want)
	if got := x.pages(catalogue.PageQuery{Crawl: "one"}); len(got) != n+1 || slices.ContainsFunc(got, func(p *catalogue.Page) bool { return p.Kind != catalogue.KindPage }) {
		t.Errorf("%d pages", len(got))
	}
	same(t, x.unread("one", 2), []string{page("one", n).CanonicalURL})
}

// testRereadAtATime: of a reading and a visit of the same page that two storages commit
// at the same time, the visit's items are left, whichever comes first.
func testRereadAtATime(t *testing.T, x *fixture) {
	const rounds, size = 30, 8
	y := x.other("two")
	for n := range rounds * size {
		x.commit(page("one", n, `{"v":1}`))
	}
	again := func(do func() error) error {
		for {
			if err := do(); err == nil || crawl.KindOf(err) != crawl.Unavailable {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	begin := make(chan struct{}, 1) // both begin a round together
	var want []string
	for n := range rounds {
		var visits, readings []*catalogue.Page
		for i := range size {
			id := n*size + i
			v := page("one", id, fmt.Sprintf(`{"visit":%d}`, id))
			v.Generation, v.Supersedes, v.Revision = 2, true, 2
			visits, readings = append(visits, v), append([]*catalogue.Page{reading("one", id, 2, `{"reading":1}`, `{"reading":2}`)}, readings...)
			want = append(want, string(v.Items[0].JSON))
		}
		wg.Go(func() {
			begin <- struct{}{}
			if err := again(func() error { return x.Commit(t.Context(), &catalogue.Batch{Pages: visits}) }); err != nil {
				t.Errorf("visits: %v", err)
			}
		})
		<-begin
		if err := again(func() error { _, err := y.Reread(t.Context(), readings); return err }); err != nil {
			t.Errorf("readings: %v", err)
		}
		wg.Wait()
	}
	same(t, x.texts("one"), want)
	if st := x.stats("one"); st.Items != rounds*size || st.Attempts != 2*rounds*size {
		t.Errorf("stats %+v", st)
	}
}
