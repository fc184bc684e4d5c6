package seen_test

import (
	"testing"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/seen"
)

// TestCache: what it says is known was written or learned, whatever it forgot.
func TestCache(t *testing.T) {
	t.Parallel()
	c := seen.NewCache(3)
	at := func(no frontier.CrawlNo, first, last byte) frontier.Ref {
		return frontier.Ref{Crawl: no, Key: frontier.Key{0: first, 11: last}}
	}
	// All with the same first bytes share one place.
	refs := []frontier.Ref{at(1, 7, 1), at(1, 7, 2), at(2, 7, 1), at(0, 0, 0), at(1, 1, 9)}
	known := []bool{true, true, true, true, true} // what was there before does not matter
	want := func(what string, yes ...int) {
		t.Helper()
		ask := c.Ask(refs, known)
		n := 0
		for i, k := range known {
			if k != (n < len(yes) && yes[n] == i) {
				t.Errorf("%s: ref %d is known: %v", what, i, k)
			}
			if k {
				n++
			}
		}
		if len(ask) != len(refs)-n {
			t.Errorf("%s: asks for %v", what, ask)
		}
	}
	want("empty")
	c.Wrote([]frontier.URLRow{{Ref: refs[0]}})
	want("one was written", 0)
	c.Learn(refs, []bool{false, true, false, false, true}, []int32{0, 1, 4})
	want("two were learned, in the place of another", 1, 4)
}

// TestGrows: a cache that began small remembers nearly all that fits it at its end, also
// from before it grew.
func TestGrows(t *testing.T) {
	t.Parallel()
	const n = 200_000
	c := seen.NewCache(8 * n)
	refs := make([]frontier.Ref, n)
	rows := make([]frontier.URLRow, n)
	for i := range refs {
		h := uint64(i+1) * 0x9e3779b97f4a7c15
		refs[i] = frontier.Ref{Crawl: 1, Key: frontier.Key{byte(h), byte(h >> 8), byte(h >> 16), byte(h >> 24), byte(h >> 32), byte(h >> 40), byte(i), byte(i >> 8), byte(i >> 16)}}
		rows[i].Ref = refs[i]
	}
	for at := 0; at < n; at += 1000 {
		c.Wrote(rows[at : at+1000])
	}
	known := make([]bool, n)
	if forgot := len(c.Ask(refs, known)); forgot > n/4 {
		t.Errorf("it forgot %d of %d URLs", forgot, n)
	}
}
