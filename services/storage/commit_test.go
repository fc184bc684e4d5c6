package storage

import (
	"context"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// failingStore is a catalogue whose commits fail a number of times.
type failingStore struct {
	catalogue.Store
	left int
}

func (f *failingStore) Commit(ctx context.Context, b *catalogue.Batch) error {
	if f.left > 0 {
		f.left--
		return crawl.Errorf(crawl.Unavailable, "catalogue is down")
	}
	return f.Store.Commit(ctx, b)
}

// TestNoResultBeforeTheCommit: with a commit that fails the handler returns before
// it publishes anything (it has no bus here: it would panic), and what the archive
// took is taken back by the next try.
func TestNoResultBeforeTheCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newStore(t, dir)
	if err := storeRecords(s, 0, 10); err != nil {
		t.Fatal(err)
	}
	s.cat = &failingStore{Store: s.cat, left: 3}
	for range 3 {
		err := s.handle(t.Context(), []bus.Delivery{{Data: marshal(t, record(10, textOf(10))), Number: 1}})
		if crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "is down") {
			t.Errorf("error %v", err)
		}
	}
	if err := storeRecords(s, 10, 20); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkStore(t, dir, places{}, 20)
}
