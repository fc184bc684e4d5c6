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
