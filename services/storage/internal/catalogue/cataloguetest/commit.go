package cataloguetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// read is a page as it is read back.
func read(p *catalogue.Page, got *catalogue.Page) *catalogue.Page {
	want := *p
	want.ItemCount, want.Items, want.Rejects, want.Content = max(p.ItemCount, uint32(len(p.Items))), nil, nil, nil
	want.Cursor, want.Replaces, want.Supersedes, want.RecordID = got.Cursor, false, false, nil
	return &want
}

func testCommitAndRead(t *testing.T, x *fixture) {
	seg := x.segment("a.warc.gz")
	stored := page("one", 1, `{"a":1}`, `{"a":2}`)
	stored.Place = archive.Place{Segment: seg.ID, Offset: 300, Length: 5000}
	failed := page("one", 2)
	failed.Status, failed.SHA256, failed.Error, failed.ErrorDetail, failed.Content, failed.SimHash = 0, nil, crawl.ClassDNSNXDomain, "no such host", nil, 0
	robots := page("one", 3)
	robots.Kind, robots.Content, robots.SimHash = catalogue.KindRobots, nil, 0
	other := page("two", 1, `{"b":1}`)
	check(t, x.Commit(t.Context(), &catalogue.Batch{
		Pages: []*catalogue.Page{stored, other, failed, robots}, Sizes: map[int64]int64{seg.ID: 7000}, ArchiveBytes: map[string]int64{"one": 5400, "two": 600}}))
	for range 2 {
		got, err := x.Newest(t.Context(), "one", stored.CanonicalURL, true)
		check(t, err)
		want := read(stored, got)
		want.Place.File = "a.warc.gz"
		same(t, got, want)
		got, err = x.Newest(t.Context(), "one", failed.CanonicalURL, false)
		check(t, err)
		same(t, got, read(failed, got))
		if got.Cursor == 0 {
			t.Error("no cursor")
		}
		for name, find := range map[string]func() (*catalogue.Page, error){
			"unknown URL":   func() (*catalogue.Page, error) { return x.Newest(t.Context(), "one", "http://example.com/9", false) },
			"unknown crawl": func() (*catalogue.Page, error) { return x.Newest(t.Context(), "nine", stored.CanonicalURL, false) },
			"not archived":  func() (*catalogue.Page, error) { return x.Newest(t.Context(), "one", failed.CanonicalURL, true) },
		} {
			if _, err := find(); crawl.KindOf(err) != crawl.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		same(t, x.stats("one"), catalogue.Stats{
			Attempts: 3, Pages: 1, Items: 2, ArchiveBytes: 5400, Statuses: map[uint32]uint64{200: 2}, Errors: map[string]uint64{"dns_nxdomain": 1}, Rules: map[string]uint64{"page": 2}})
		same(t, x.stats("two"), catalogue.Stats{Attempts: 1, Pages: 1, Items: 1, ArchiveBytes: 600, Statuses: map[uint32]uint64{200: 1}, Rules: map[string]uint64{"page": 1}})
		same(t, x.stats("nine"), catalogue.Stats{})
		x.reopen()
	}
	check(t, x.Ping(t.Context()))
}

func testKnown(t *testing.T, x *fixture) {
	var pages []*catalogue.Page
	for n := range 50 {
		p := page("one", n)
		if n%3 == 0 {
			p.Status, p.Error, p.Content, p.SimHash = 503, crawl.ClassStatus5xx, nil, 0
		}
		pages = append(pages, p)
	}
	x.commit(pages...)
	var keys []catalogue.Key
	var want []catalogue.Known
	for n := range 100 {
		k, state := page("one", n).Key, catalogue.Unknown
		switch {
		case n < 50 && n%3 == 0:
			state = catalogue.Failed
		case n < 50:
			state = catalogue.Good
		}
		keys, want = append(keys, k), append(want, catalogue.Known{State: state})
		if n%10 == 0 {
			for _, change := range []func(*catalogue.Key){func(k *catalogue.Key) { k.Attempt++ }, func(k *catalogue.Key) { k.Generation++ }, func(k *catalogue.Key) { k.Kind = catalogue.KindRobots }, func(k *catalogue.Key) { k.Crawl = "two" }} {
				k := k
				change(&k)
				keys, want = append(keys, k), append(want, catalogue.Known{})
			}
		}
	}
	for _, size := range []int{0, 1, 15, 16, 17, 100, len(keys)} {
		got, err := x.Known(t.Context(), keys[:size])
		check(t, err)
		same(t, got, want[:size:size])
	}
}

// testKnownInBatch: a duplicate is still one when its record comes again.
func testKnownInBatch(t *testing.T, x *fixture) {
	first, second := page("one", 1), page("one", 2)
	second.Content = first.Content
	x.commit(first, second)
	got, err := x.Known(t.Context(), []catalogue.Key{second.Key, first.Key})
	check(t, err)
	same(t, got, []catalogue.Known{{State: catalogue.Good, Duplicate: true}, {State: catalogue.Good}})
}

// testFailedBatch: a batch with an attempt that is stored already is refused whole,
// and changes nothing.
func testFailedBatch(t *testing.T, x *fixture) {
	x.commit(page("one", 1, `{}`))
	before := x.stats("one")
	if err := x.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{page("one", 2, `{}`), page("one", 1)}}); err == nil {
		t.Error("an attempt was stored twice")
	}
	same(t, x.stats("one"), before)
	x.commit(page("one", 3, `{"n":3}`))
	if pages := x.pages(catalogue.PageQuery{Crawl: "one"}); len(pages) != 2 {
		t.Errorf("%d pages", len(pages))
	}
	same(t, x.texts("one"), []string{`{}`, `{"n":3}`})
}

// testReplaces: a page takes the place of a failure with the same key, once.
func testReplaces(t *testing.T, x *fixture) {
	seg := x.segment("a.warc.gz")
	failed, good := page("one", 1), page("one", 1, `{"a":1}`)
	failed.Status, failed.Error, failed.Content = 503, crawl.ClassStatus5xx, nil
	failed.Place, good.Place = archive.Place{Segment: seg.ID, Offset: 1, Length: 1}, archive.Place{Segment: seg.ID, Offset: 2, Length: 1}
	x.commit(failed)
	good.Replaces, good.RecordID = true, []byte("0123456789abcdef")
	x.commit(good)
	same(t, x.stats("one"), catalogue.Stats{Attempts: 1, Pages: 1, Items: 1, Statuses: map[uint32]uint64{200: 1}, Rules: map[string]uint64{"page": 1}})
	pages := x.pages(catalogue.PageQuery{Crawl: "one"})
	if len(pages) != 1 || pages[0].Status != 200 {
		t.Errorf("pages %+v", pages)
	}
	priors, err := x.Priors(t.Context(), []catalogue.Key{good.Key})
	check(t, err)
	if priors[0] == nil || string(priors[0].Source.RecordID) != "0123456789abcdef" {
		t.Errorf("prior %+v", priors[0])
	}
}

// testAttempts: in the order of their commits, with what each was made under.
func testAttempts(t *testing.T, x *fixture) {
	first, second := page("one", 1), page("one", 1)
	first.Lease, second.Lease, second.Attempt = 1<<40|7, 1<<63|1, 2
	x.commit(first, page("one", 2))
	x.commit(page("two", 1), second)
	for _, limit := range []int{1, 10} {
		got := x.pages(catalogue.PageQuery{Crawl: "one", URL: first.CanonicalURL, Limit: limit})
		if len(got) != 2 || got[0].Attempt != 1 || got[1].Attempt != 2 || got[0].Lease != first.Lease || got[1].Lease != second.Lease {
			t.Errorf("attempts %+v", got)
		}
	}
	if got := x.pages(catalogue.PageQuery{Crawl: "one", URL: "http://none.example/"}); len(got) != 0 {
		t.Errorf("attempts at another URL %+v", got)
	}
	newest, err := x.Newest(t.Context(), "one", first.CanonicalURL, false)
	check(t, err)
	if newest.Attempt != 2 {
		t.Errorf("newest is attempt %d", newest.Attempt)
	}
}

func testPriors(t *testing.T, x *fixture) {
	seg := x.segment("a.warc.gz")
	first, second, third, failed := page("one", 1, `{"a":1}`), page("one", 1), page("one", 2), page("one", 1)
	first.Place = archive.Place{Segment: seg.ID, Offset: 10, Length: 20}
	failed.Generation, failed.Status, failed.Error, failed.Content = 9, 404, crawl.ClassStatus4xx, nil
	x.commit(first, third)
	second.Generation, second.Revisit, second.ItemCount, second.ItemsDigest, second.Content = 2, first.ID, 1, first.ItemsDigest, nil
	second.FetchedAt = when.AddDate(0, 0, 1)
	x.commit(second, failed)
	unknown := page("one", 99).Key
	robots := first.Key
	robots.Kind = catalogue.KindRobots
	got, err := x.Priors(t.Context(), []catalogue.Key{unknown, failed.Key, third.Key, robots})
	check(t, err)
	if got[0] != nil || got[3] != nil || got[1] == nil || got[2] == nil {
		t.Fatalf("priors %v", got)
	}
	p := got[1]
	if p.ID != second.ID || p.Generation != 2 || p.ItemCount != 1 || p.ItemsDigest != first.ItemsDigest || p.Size != second.Size || p.Title != second.Title || p.Key.URL != first.Key.URL {
		t.Errorf("prior %+v", p)
	}
	if s := p.Source; s.ID != first.ID || s.CanonicalURL != first.CanonicalURL || !s.FetchedAt.Equal(when) || s.Generation != 1 || s.Attempt != 1 || !p.Archived {
		t.Errorf("source %+v, archived %v", s, p.Archived)
	}
	if got[2].Source.ID != third.ID || got[2].Archived {
		t.Errorf("prior of another %+v", got[2])
	}
	// The body of a revisit is at the place of the page that has it.
	newest, err := x.Newest(t.Context(), "one", first.CanonicalURL, false)
	check(t, err)
	if newest.Generation != 9 {
		t.Errorf("newest %+v", newest)
	}
}

// testTexts: what a site may send is kept, or made a text.
func testTexts(t *testing.T, x *fixture) {
	p := page("one", 1, `{"t":"\u0000 ü 日本"}`)
	p.Title, p.ErrorDetail, p.Warning, p.ContentType = "ü 日本 \U0001F41F", strings.Repeat("x", 100_000), "", "te\"xt/'\\"
	x.commit(p)
	got, err := x.Newest(t.Context(), "one", p.CanonicalURL, false)
	check(t, err)
	same(t, got, read(p, got))
	same(t, x.texts("one"), []string{`{"t":"\u0000 ü 日本"}`})
	zero := page("one", 2)
	zero.Title = "a\x00b"
	x.commit(zero)
	if got, err = x.Newest(t.Context(), "one", zero.CanonicalURL, false); err != nil || !strings.HasPrefix(got.Title, "a") {
		t.Errorf("title %q, %v", got.Title, err)
	}
}

// testLargeBatch: more rows than go into one statement, of several crawls in turn.
func testLargeBatch(t *testing.T, x *fixture) {
	var pages []*catalogue.Page
	for n := range 700 {
		pages = append(pages, page(fmt.Sprintf("crawl%d", n%3), n, `{"i":0}`, fmt.Sprintf(`{"n":%d}`, n)))
	}
	x.commit(pages...)
	for k := range 3 {
		id := fmt.Sprintf("crawl%d", k)
		got := x.pages(catalogue.PageQuery{Crawl: id, Limit: 100})
		items := x.items(catalogue.ItemQuery{Crawl: id, Limit: 100})
		want := (700 - k + 2) / 3
		if len(got) != want || len(items) != 2*want || x.stats(id).Items != uint64(2*want) {
			t.Errorf("%s: %d pages, %d items, stats %+v", id, len(got), len(items), x.stats(id))
		}
		for i, p := range got {
			if p.CanonicalURL != fmt.Sprintf("http://example.com/%d", 3*i+k) || items[2*i].URL != p.CanonicalURL {
				t.Fatalf("page %d of %s is %s, its item of %s", i, id, p.CanonicalURL, items[2*i].URL)
			}
		}
	}
}
