package cataloguetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

func testCursors(t *testing.T, x *fixture) {
	for n := range 40 {
		x.commit(page("one", n, fmt.Sprintf(`{"n":%d}`, n), `{}`), page("two", n, `{}`))
	}
	for _, limit := range []int{1, 7, 100} {
		var seen []string
		for _, it := range x.items(catalogue.ItemQuery{Crawl: "one", Rule: "page", Limit: limit}) {
			if it.Index == 0 {
				seen = append(seen, string(it.JSON))
			}
		}
		if len(seen) != 40 || seen[0] != `{"n":0}` || seen[39] != `{"n":39}` {
			t.Errorf("items %v", seen)
		}
		if pages := x.pages(catalogue.PageQuery{Crawl: "one", Limit: limit}); len(pages) != 40 || pages[39].CanonicalURL != page("", 39).CanonicalURL {
			t.Errorf("%d pages", len(pages))
		}
	}
	if items := x.items(catalogue.ItemQuery{Crawl: "one", Rule: "other"}); len(items) != 0 {
		t.Errorf("items of a rule that made none: %v", items)
	}
	if items := x.items(catalogue.ItemQuery{Crawl: "nine"}); len(items) != 0 {
		t.Errorf("items of no crawl: %v", items)
	}
	last, err := x.Last(t.Context())
	check(t, err)
	all := x.pages(catalogue.PageQuery{Crawl: "one"})
	if all[39].Cursor > last {
		t.Errorf("cursor %d behind the last, %d", all[39].Cursor, last)
	}
	if pages := x.pages(catalogue.PageQuery{Crawl: "one", Last: all[9].Cursor}); len(pages) != 10 {
		t.Errorf("%d pages up to the tenth", len(pages))
	}
	items := x.items(catalogue.ItemQuery{Crawl: "one"})
	if got := x.items(catalogue.ItemQuery{Crawl: "one", Last: items[9].Cursor}); len(got) != 10 {
		t.Errorf("%d items up to the tenth", len(got))
	}

	// A cursor keeps its meaning when rows are deleted and the catalogue is reopened.
	for _, id := range []string{"one", "two"} {
		_, err := x.DeleteCrawl(t.Context(), id)
		check(t, err)
	}
	x.purge()
	x.reopen()
	x.commit(page("one", 1000, `{}`))
	if got := x.items(catalogue.ItemQuery{Crawl: "one"}); len(got) != 1 || got[0].Cursor <= last {
		t.Errorf("the next items are %v, the last one was %d", got, last)
	}
}

// testCursorsOfCrawls: a reader that goes on from any cursor sees the rest once.
func testCursorsOfCrawls(t *testing.T, x *fixture) {
	n := 0
	for size := range 12 {
		var batch []*catalogue.Page
		for i := range size * 3 {
			p := page(fmt.Sprintf("crawl%d", (i+size)%3), n)
			for k := range i % 4 {
				p.Items = append(p.Items, catalogue.Item{Rule: "r", Index: uint32(k), JSON: fmt.Appendf(nil, `{"n":%d,"k":%d}`, n, k)})
			}
			batch = append(batch, p)
			n++
		}
		if len(batch) > 0 {
			x.commit(batch...)
		}
	}
	for k := range 3 {
		id := fmt.Sprintf("crawl%d", k)
		pages, items := x.pages(catalogue.PageQuery{Crawl: id}), x.items(catalogue.ItemQuery{Crawl: id})
		for i, p := range pages {
			rest := x.pages(catalogue.PageQuery{Crawl: id, After: p.Cursor, Limit: 50})
			if len(rest) != len(pages)-i-1 || len(rest) > 0 && rest[0].CanonicalURL != pages[i+1].CanonicalURL {
				t.Fatalf("%d pages behind page %d of %d", len(rest), i, len(pages))
			}
		}
		for i, it := range items {
			rest := x.items(catalogue.ItemQuery{Crawl: id, After: it.Cursor, Limit: 50})
			if len(rest) != len(items)-i-1 || len(rest) > 0 && string(rest[0].JSON) != string(items[i+1].JSON) {
				t.Fatalf("%d items behind item %d of %d", len(rest), i, len(items))
			}
		}
	}
}

func testBounded(t *testing.T, x *fixture) {
	big := `{"a":"` + string(slices.Repeat([]byte("x"), catalogue.MaxAnswer/2)) + `"}`
	x.commit(page("one", 1, big, big, big, big, big))
	a, err := x.Items(t.Context(), catalogue.ItemQuery{Crawl: "one", Limit: 100})
	check(t, err)
	if len(a.Items) != 2 || a.End {
		t.Errorf("%d items, end %v", len(a.Items), a.End)
	}
	if all := x.items(catalogue.ItemQuery{Crawl: "one", Limit: 100}); len(all) != 5 {
		t.Errorf("%d items in all", len(all))
	}
	// A filter that leaves everything out does not keep a query for long.
	for n := range 3 {
		var batch []*catalogue.Page
		for i := range catalogue.Window/2 + 100 {
			batch = append(batch, page("many", n*catalogue.Window+i))
			batch[i].Content, batch[i].SimHash = nil, 0
		}
		x.commit(batch...)
	}
	a2, err := x.Pages(t.Context(), catalogue.PageQuery{Crawl: "many", Limit: 10, Filter: catalogue.PageFilter{Statuses: []uint32{404}}})
	check(t, err)
	if len(a2.Pages) != 0 || a2.End || a2.Next == 0 {
		t.Errorf("answer %+v", a2)
	}
	if got := x.pages(catalogue.PageQuery{Crawl: "many", Filter: catalogue.PageFilter{Statuses: []uint32{404}}}); len(got) != 0 {
		t.Errorf("%d pages", len(got))
	}
}

// testRejects: items that did not fit are kept apart, and go when a later visit of the
// page takes the place of the one that they are of.
func testRejects(t *testing.T, x *fixture) {
	first, other := page("one", 1, `{"a":1}`), page("one", 2)
	first.Rejects = []catalogue.Item{{Rule: "r", JSON: []byte(`{"a":"x"}`)}, {Rule: "s", JSON: []byte(`{"a":"y"}`)}}
	other.Rejects = []catalogue.Item{{Rule: "r", JSON: []byte(`{"a":"z"}`)}}
	x.commit(first, other)
	rejects := func(rule string, after uint64) (out []string) {
		for _, it := range x.items(catalogue.ItemQuery{Crawl: "one", Rejected: true, Rule: rule, After: after}) {
			out = append(out, it.URL+" "+string(it.JSON))
		}
		return out
	}
	a, b, c := first.CanonicalURL+` {"a":"x"}`, first.CanonicalURL+` {"a":"y"}`, other.CanonicalURL+` {"a":"z"}`
	same(t, rejects("", 0), []string{a, b, c})
	same(t, rejects("s", 0), []string{b})
	same(t, rejects("", 2), []string{c})
	if n := x.stats("one").Rejects; n != 3 {
		t.Errorf("%d rejects counted", n)
	}
	same(t, x.texts("one"), []string{`{"a":1}`})
	again := page("one", 1, `{"a":2}`)
	again.Generation, again.Supersedes = 2, true
	x.commit(again)
	same(t, rejects("", 0), []string{c})
	if n := x.stats("one").Rejects; n != 1 {
		t.Errorf("%d rejects counted", n)
	}
}

// testSuperseded: the items of a visit take the place of those of the visits before.
func testSuperseded(t *testing.T, x *fixture) {
	visit := func(generation uint32, items ...string) *catalogue.Page {
		p := page("one", 1, items...)
		p.Generation, p.Supersedes = generation, generation > 1
		return p
	}
	x.commit(visit(1, `{"a":1}`, `{"a":2}`), page("one", 2, `{"other":1}`))
	x.commit(visit(2, `{"b":1}`))
	same(t, x.texts("one"), []string{`{"other":1}`, `{"b":1}`})
	third := visit(4)
	third.Items = []catalogue.Item{{Rule: "new", JSON: []byte(`{"d":1}`)}}
	x.commit(visit(3, `{"c":1}`), third) // two visits in one batch: the later one stays
	same(t, x.texts("one"), []string{`{"other":1}`, `{"d":1}`})
	same(t, x.stats("one"), catalogue.Stats{Attempts: 5, Pages: 5, Items: 2, Statuses: map[uint32]uint64{200: 5}, Rules: map[string]uint64{"page": 1, "new": 1}})
}

func testPageFilter(t *testing.T, x *fixture) {
	for n := range 30 {
		p := page("one", n)
		p.FetchedAt = when.Add(time.Duration(n) * time.Minute)
		switch n % 5 {
		case 1:
			p.Status, p.Error = 404, crawl.ClassStatus4xx
		case 2:
			p.Status, p.Error = 0, crawl.ClassTLS
		case 3:
			p.Kind = catalogue.KindRobots
		case 4:
			p.Status = 301
		}
		x.commit(p, page("two", n))
	}
	for _, f := range []catalogue.PageFilter{
		{},
		{Statuses: []uint32{404}},
		{Statuses: []uint32{0, 301}},
		{Errors: []crawl.Class{crawl.ClassTLS}},
		{Errors: []crawl.Class{crawl.ClassNone}},
		{Kind: catalogue.KindPage},
		{Kind: catalogue.KindRobots},
		{Since: when.Add(10 * time.Minute)},
		{Until: when.Add(10 * time.Minute)},
		{Since: when.Add(5 * time.Minute), Until: when.Add(20 * time.Minute), Statuses: []uint32{200}, Kind: catalogue.KindPage},
	} {
		var want, got []string
		for _, p := range x.pages(catalogue.PageQuery{Crawl: "one"}) {
			if f.Match(p) {
				want = append(want, p.CanonicalURL)
			}
		}
		for _, p := range x.pages(catalogue.PageQuery{Crawl: "one", Filter: f, Limit: 4}) {
			got = append(got, p.CanonicalURL)
		}
		if len(want) == 0 {
			t.Errorf("filter %+v takes nothing: it proves nothing", f)
		}
		same(t, got, want)
	}
	one := page("one", 7)
	if got := x.pages(catalogue.PageQuery{Crawl: "one", URL: one.CanonicalURL, Filter: catalogue.PageFilter{Statuses: []uint32{200}}}); len(got) != 0 {
		t.Errorf("attempts %+v", got)
	}
}

func testItemFilter(t *testing.T, x *fixture) {
	for n := range 20 {
		p := page("one", n)
		p.FetchedAt = when.Add(time.Duration(n) * time.Minute)
		p.Items = []catalogue.Item{{Rule: "a", JSON: fmt.Appendf(nil, `{"a":%d}`, n)}, {Rule: "b", JSON: fmt.Appendf(nil, `{"b":%d}`, n)}}
		x.commit(p)
	}
	texts := func(q catalogue.ItemQuery) (out []string) {
		q.Crawl, q.Limit = "one", 3
		for _, it := range x.items(q) {
			out = append(out, string(it.JSON))
		}
		return out
	}
	same(t, texts(catalogue.ItemQuery{Rule: "b", Since: when.Add(17 * time.Minute)}), []string{`{"b":17}`, `{"b":18}`, `{"b":19}`})
	same(t, texts(catalogue.ItemQuery{Since: when.Add(time.Minute), Until: when.Add(2 * time.Minute)}), []string{`{"a":1}`, `{"b":1}`})
	if n := len(texts(catalogue.ItemQuery{Until: when.Add(10 * time.Minute)})); n != 20 {
		t.Errorf("%d items", n)
	}
}

func testMedia(t *testing.T, x *fixture) {
	seg := x.segment("a.warc.gz")
	file := func(crawlID string, n int) *catalogue.Page {
		p := page(crawlID, n)
		p.Kind, p.Content, p.SimHash, p.ContentType = catalogue.KindMedia, nil, 0, "image/png"
		p.Place = archive.Place{Segment: seg.ID, Offset: int64(100 * n), Length: 100}
		return p
	}
	missing := file("one", 9)
	missing.Status, missing.Error, missing.Place, missing.SHA256 = 404, crawl.ClassStatus4xx, archive.Place{}, nil
	x.commit(file("one", 1), page("one", 2), missing)
	x.commit(file("two", 3), file("one", 4))
	var urls []string
	for _, p := range x.pages(catalogue.PageQuery{Crawl: "one", Filter: catalogue.PageFilter{Kind: catalogue.KindMedia, Errors: []crawl.Class{crawl.ClassNone}}}) {
		urls = append(urls, p.CanonicalURL)
	}
	same(t, urls, []string{file("", 1).CanonicalURL, file("", 4).CanonicalURL})
	got, err := x.MediaByDigest(t.Context(), "one", file("", 4).SHA256)
	check(t, err)
	if got.CanonicalURL != file("", 4).CanonicalURL || got.Place != (archive.Place{Segment: seg.ID, File: "a.warc.gz", Offset: 400, Length: 100}) {
		t.Errorf("file %+v", got)
	}
	for _, digest := range [][]byte{file("", 3).SHA256, page("one", 2).SHA256} {
		if _, err := x.MediaByDigest(t.Context(), "one", digest); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("error %v", err)
		}
	}
	if s := x.stats("one"); s.Media != 2 || s.Pages != 1 || s.Attempts != 4 {
		t.Errorf("stats %+v", s)
	}
}
