package cataloguetest

import (
	"testing"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// testDuplicates: the first page with a content is the first for all later ones of its
// crawl, in the same batch and in later ones.
func testDuplicates(t *testing.T, x *fixture) {
	content := page("", 1).Content
	with := func(crawlID string, n int, generation uint32) *catalogue.Page {
		p := page(crawlID, n)
		p.Generation, p.Content, p.SimHash = generation, content, 0
		return p
	}
	first := with("one", 10, 1)
	x.commit(page("one", 5), first, with("one", 11, 1))
	x.commit(with("one", 12, 1), with("two", 13, 1), with("one", 10, 2), with("one", 11, 2), with("two", 14, 1))
	none := with("one", 15, 1)
	none.Content = nil
	x.commit(none)
	for _, c := range []struct {
		crawl string
		n     int
		want  string
	}{
		{"one", 5, ""}, {"one", 10, ""}, {"one", 11, first.CanonicalURL}, {"one", 12, first.CanonicalURL},
		{"two", 13, ""}, {"two", 14, page("", 13).CanonicalURL}, {"one", 15, ""},
	} {
		p, err := x.Newest(t.Context(), c.crawl, page("", c.n).CanonicalURL, false)
		check(t, err)
		if p.DuplicateURL != c.want || (p.DuplicateOf != 0) != (c.want != "") {
			t.Errorf("page %d of crawl %s is a duplicate of %q, want %q", c.n, c.crawl, p.DuplicateURL, c.want)
		}
	}
	if a, b := x.stats("one").Duplicates, x.stats("two").Duplicates; a != 3 || b != 1 {
		t.Errorf("%d and %d duplicates counted", a, b)
	}
}

// testNear: pages whose SimHash differs in at most three bits are marked, and not
// counted as duplicates.
func testNear(t *testing.T, x *fixture) {
	const hash = 0x0123456789abcdef
	with := func(n int, hash uint64) *catalogue.Page {
		p := page("one", n)
		p.SimHash = hash
		return p
	}
	first := page("", 1).CanonicalURL
	x.commit(with(1, hash), with(2, hash^1), page("one", 90))
	for n := range 50 {
		x.commit(page("one", 100+n))
	}
	other := with(9, hash)
	other.Crawl = "two"
	x.commit(with(3, hash^1<<63^1<<20), with(4, hash^1<<63^1<<40^1<<20), with(5, hash^0xf), with(6, hash^1<<63^1<<40^1<<20^2), other)
	for n, want := range map[int]string{1: "", 2: first, 3: first, 4: first, 90: ""} {
		p, err := x.Newest(t.Context(), "one", page("", n).CanonicalURL, false)
		check(t, err)
		if p.NearURL != want || p.DuplicateOf != 0 {
			t.Errorf("page %d is near %q, want %q", n, p.NearURL, want)
		}
	}
	for n, id := range map[int]string{5: "one", 9: "two"} {
		p, err := x.Newest(t.Context(), id, page("", n).CanonicalURL, false)
		check(t, err)
		if p.NearURL == first {
			t.Errorf("page %d of crawl %s is near %q", n, id, p.NearURL)
		}
	}
	if n := x.stats("one").Duplicates; n != 0 {
		t.Errorf("%d duplicates counted", n)
	}
}
