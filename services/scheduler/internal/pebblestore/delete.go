package pebblestore

import (
	"context"
	"errors"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// maxDeletes bounds the deletions of one batch.
const maxDeletes = 1000

// DeleteCrawl removes all rows of a crawl from all partitions, the crawl itself
// last.
func (s *Store) DeleteCrawl(ctx context.Context, no frontier.CrawlNo) error {
	for p := range s.cfg.Partitions {
		if err := s.deletePart(ctx, p, no); err != nil {
			return s.fatal.wrap("delete crawl", err)
		}
	}
	err := s.sweep(ctx, prefix(nil, global, kindNumber), func(_, v []byte) (bool, error) {
		n, err := decodeNumber(v)
		return n.no == no, err
	})
	if err == nil {
		b := s.db.NewBatch()
		defer b.Close()
		err = errors.Join(b.Delete(crawlKey(nil, global, kindCrawl, no), nil), s.write(b))
	}
	return s.fatal.wrap("delete crawl", err)
}

// deletePart removes the rows of one partition. What begins with the crawl goes by
// ranges, which cost the same however many rows they hold; the others are few.
func (s *Store) deletePart(ctx context.Context, p uint32, no frontier.CrawlNo) error {
	err := s.sweep(ctx, prefix(nil, p, kindDue), func(k, _ []byte) (bool, error) {
		_, ref, ok := parseDueKey(k)
		if !ok {
			return false, rows.ErrCorrupt
		}
		return ref.Crawl == no, nil
	})
	if err != nil {
		return err
	}
	err = s.sweep(ctx, prefix(nil, p, kindLease), func(_, v []byte) (bool, error) {
		l, err := rows.DecodeLease(0, p, v)
		return l.Crawl == no, err
	})
	if err != nil {
		return err
	}
	err = s.sweep(ctx, prefix(nil, p, kindOutbox), func(_, v []byte) (bool, error) {
		of, err := rows.OutboxCrawl(v)
		return of == no, err
	})
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	for _, kind := range []byte{kindURL, kindQueue, kindReady, kindIdle, kindJar, kindStats} {
		from := crawlKey(nil, p, kind, no)
		if err := b.DeleteRange(from, after(from), nil); err != nil {
			return err
		}
	}
	return s.write(b)
}

// sweep deletes the rows of a prefix that are to go.
func (s *Store) sweep(ctx context.Context, of []byte, goes func(k, v []byte) (bool, error)) error {
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds nothing that was not written
	err := s.each(of, func(k, v []byte) error {
		yes, err := goes(k, v)
		if err != nil || !yes {
			return err
		}
		if err := b.Delete(k, nil); err != nil || b.Count() < maxDeletes {
			return err
		}
		if err := errors.Join(s.write(b), b.Close(), ctx.Err()); err != nil {
			return err
		}
		b = s.db.NewBatch()
		return nil
	})
	if err != nil || b.Empty() {
		return err
	}
	return s.write(b)
}
