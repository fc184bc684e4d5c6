package storage

import (
	"context"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

const (
	// maxNewest bounds a list of the newest rows: it is held in memory.
	maxNewest = 1000
	// newestStep is how many cursors a look for the newest rows begins with.
	newestStep = 512
	// newestLook is how many cursors back rows are looked for that pass a filter.
	newestLook = 1 << 16
)

// newestPages sends the last n pages of a query that pass, the oldest of them first.
func (s *Service) newestPages(ctx context.Context, q catalogue.PageQuery, n uint64, pass func(*catalogue.Page) bool, send func([]*catalogue.Page) error) error {
	var found []*catalogue.Page
	err := s.newest(ctx, q.After, n, func(after, last uint64) (bool, error) {
		q := catalogue.PageQuery{Crawl: q.Crawl, URL: q.URL, After: after, Last: last, Limit: 1}
		a, err := s.cat.Pages(ctx, q)
		return len(a.Pages) > 0, err
	}, func(after uint64) (int, error) {
		q.After, found = after, nil
		err := s.eachPages(ctx, q, 0, pass, func(pages []*catalogue.Page) error {
			found = append(found, pages...)
			found = found[max(len(found)-int(n), 0):]
			return nil
		})
		return len(found), err
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return send(found)
}

// newestItems sends the last n items of a query that pass, the oldest of them first.
func (s *Service) newestItems(ctx context.Context, q catalogue.ItemQuery, n uint64, filter *itemFilter, send func([]*storagev1.StoredItem, uint64) error) error {
	var found []*storagev1.StoredItem
	err := s.newest(ctx, q.After, n, func(after, last uint64) (bool, error) {
		a, err := s.cat.Items(ctx, catalogue.ItemQuery{Crawl: q.Crawl, Rejected: q.Rejected, After: after, Last: last, Limit: 1})
		return len(a.Items) > 0, err
	}, func(after uint64) (int, error) {
		q.After, found = after, nil
		_, err := s.eachItems(ctx, q, 0, filter, func(items []*storagev1.StoredItem, _ uint64) error {
			found = append(found, items...)
			found = found[max(len(found)-int(n), 0):]
			return nil
		})
		return len(found), err
	})
	if err != nil {
		return err
	}
	for len(found) > 0 {
		// An item may be long: an answer has few of them.
		k := min(len(found), 8)
		if err := send(found[:k], found[k-1].GetCursor()); err != nil {
			return err
		}
		found = found[k:]
	}
	return nil
}

// newest finds where a list's newest rows begin. Cursors are shared by all crawls, so a
// crawl's last row may be far from the last cursor: some reports whether the crawl has
// rows between two cursors, and finds its end in a few looks. From there read, which
// reads all rows behind a cursor and returns how many pass, is called with cursors ever
// further back until it finds n.
func (s *Service) newest(ctx context.Context, after, n uint64, some func(after, last uint64) (bool, error), read func(after uint64) (int, error)) error {
	if n == 0 || n > maxNewest {
		return crawl.Errorf(crawl.Invalid, "limit: %d, want 1 to %d with newest", n, maxNewest)
	}
	last, err := s.cat.Last(ctx)
	if err != nil {
		return err
	}
	end, err := nearEnd(last, func(c uint64) (bool, error) { return some(c, last) })
	if err != nil {
		return err
	}
	for span := uint64(newestStep); ; span *= 4 {
		from := max(end-min(span, end), after)
		found, err := read(from)
		if err != nil || found >= int(n) || from <= after || span >= newestLook {
			return err
		}
	}
}

// nearEnd returns a cursor behind which a list has rows, but no more than newestStep
// cursors; 0 where it has none. some reports whether there are rows behind a cursor.
func nearEnd(last uint64, some func(after uint64) (bool, error)) (uint64, error) {
	lo, hi := last, last // nothing is behind hi
	for step := uint64(newestStep); ; step *= 4 {
		lo = last - min(step, last)
		ok, err := some(lo)
		if err != nil {
			return 0, err
		}
		if ok {
			break
		}
		if lo == 0 {
			return 0, nil
		}
		hi = lo
	}
	for hi-lo > newestStep {
		mid := lo + (hi-lo)/2
		ok, err := some(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}
