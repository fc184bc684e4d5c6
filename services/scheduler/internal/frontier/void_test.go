package frontier_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestVoidLeasesAreAskedAboutSoon: the visit of a cancelled crawl holds its host's slot
// while the bus may still have its task, and is asked about every ten seconds, although
// leases that are good are older and due much later.
func TestVoidLeasesAreAskedAboutSoon(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.crawl(frontier.Crawl{})
	b.add(other, "http://b.test/1")
	good := b.one()
	gone := b.crawl(frontier.Crawl{})
	b.add(gone, "http://a.test/1")
	void := b.one()
	if err := b.f.SetState(b.now, gone, frontier.Cancelled, "cancelled"); err != nil {
		t.Fatal(err)
	}
	next := b.crawl(frontier.Crawl{})
	b.add(next, "http://a.test/2")
	for range 2 {
		if ids := b.f.Expired(b.now.Add(9 * time.Second)); len(ids) != 0 {
			t.Fatalf("asked about %v too soon", ids)
		}
		b.now = b.now.Add(10 * time.Second)
		if ids := b.f.Expired(b.now); !slices.Equal(ids, []frontier.LeaseID{void.ID}) {
			t.Fatalf("asked about %v, want %v", ids, void.ID)
		}
		if ls := b.f.Next(b.now, 10); len(ls) != 0 {
			t.Fatalf("the host's slot was given to %s", ls[0].Item.URL)
		}
		b.f.Extend(b.now, void.ID) // the bus has it still
	}
	b.f.Return(b.now, void.ID)
	if l := b.one(); l.Ref.Crawl != next {
		t.Errorf("leased %s of crawl %d", l.Item.URL, l.Ref.Crawl)
	}
	b.now = b.now.Add(time.Hour)
	if ids := b.f.Expired(b.now); !slices.Contains(ids, good.ID) {
		t.Errorf("the good lease is never asked about: %v", ids)
	}
}
