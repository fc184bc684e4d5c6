package seen_test

import (
	"testing"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/seen"
)

// TestCache: what it says is known was written or learned, and what was asked for
// longest ago gives way.
func TestCache(t *testing.T) {
	t.Parallel()
	c := seen.NewCache(4)
	at := func(no frontier.CrawlNo, last byte) frontier.Ref {
		return frontier.Ref{Crawl: no, Key: frontier.Key{0: 7, 11: last}}
	}
	// All of a crawl share one set, which has room for four of them.
	refs := []frontier.Ref{at(1, 0), at(1, 1), at(1, 2), at(1, 3), at(1, 4), at(2, 4), at(0, 0)}
	want := func(what string, yes ...int) {
		t.Helper()
		known := make([]bool, len(refs))
		for i := range known {
			known[i] = true // what was there before does not matter
		}
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
	c.Wrote([]frontier.URLRow{{Ref: refs[0]}, {Ref: refs[2]}, {Ref: refs[2]}})
	want("two were written", 0, 2)
	c.Learn(refs, []bool{false, true, false, true, false, false, false}, []int32{0, 1, 3, 4})
	want("two were learned", 0, 1, 2, 3) // in this order, so that 0 is the oldest
	c.Wrote([]frontier.URLRow{{Ref: refs[4]}})
	want("a fifth was written", 1, 2, 3, 4)
	c.Ask(refs[1:2], make([]bool, 1))
	c.Wrote([]frontier.URLRow{{Ref: refs[0]}})
	want("another, after 1 was asked for", 0, 1, 3, 4)
	c.Wrote([]frontier.URLRow{{Ref: refs[5]}})
	want("one of another crawl", 0, 1, 3, 4, 5)
}

// TestGrows: a cache that began small remembers nearly all that fits it at its end, also
// from before it grew.
func TestGrows(t *testing.T) {
	t.Parallel()
	const n = 200_000
	c := seen.NewCache(2 * n)
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
	if forgot := len(c.Ask(refs, known)); forgot > n/50 {
		t.Errorf("it forgot %d of %d URLs", forgot, n)
	}
}
