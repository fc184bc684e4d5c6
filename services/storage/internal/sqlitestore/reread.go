package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// newest is true of a page p for which there is no later visit of its URL without an
// error.
const newest = "NOT EXISTS (SELECT 1 FROM pages q WHERE q.crawl = p.crawl AND q.url_key = p.url_key AND q.kind = 1 AND q.error = '' " +
	"AND (q.status BETWEEN 200 AND 299 OR q.status = 304) AND (q.generation, q.attempt) > (p.generation, p.attempt))"

// unread is true of a page that has items by an older revision.
const unread = "p.kind = 1 AND p.error = '' AND (p.status BETWEEN 200 AND 299 OR p.status = 304) AND p.size > 0 AND p.revision < ? AND " + newest

const rereadQuery = "UPDATE pages AS p SET title = ?, language = ?, items = ?, items_digest = ?, rejected_items = ?, warning = ?, revision = ? " +
	"WHERE p.crawl = ? AND p.url_key = ? AND p.generation = ? AND p.attempt = ? AND p.kind = 1 AND p.error = '' AND p.revision < ? AND " + newest

// Reread puts what readings of stored pages found in the place of what was found before.
func (s *Store) Reread(ctx context.Context, readings []*catalogue.Page) (int, error) {
	doing := fmt.Sprintf("write %d readings", len(readings))
	if s.stale {
		if err := s.loadLast(ctx); err != nil {
			return 0, s.wrap("read the newest rows", err)
		}
		s.stale = false
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, s.wrap("begin", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	s.stale = true
	w := &writer{s: s, tx: tx, b: &catalogue.Batch{}, sums: map[int64]*catalogue.Growth{}, records: map[int64]int64{}}
	if err := w.reread(ctx, readings); err != nil {
		return 0, s.wrap(doing, err)
	}
	if err := tx.Commit(); err != nil {
		return 0, s.wrap(doing, err)
	}
	s.last, s.stale = s.last+w.rows, false
	return len(w.b.Pages), nil
}

// reread writes the readings that still hold: each is a row of the log that carries the
// items, beside the row of its visit.
func (w *writer) reread(ctx context.Context, readings []*catalogue.Page) error {
	for _, p := range readings {
		var number int64
		err := w.tx.QueryRowContext(ctx, "SELECT crawl FROM crawls WHERE crawl_id = ? AND deleted = 0", p.Crawl).Scan(&number)
		if errors.Is(err, sql.ErrNoRows) {
			continue // the crawl was deleted
		}
		if err != nil {
			return err
		}
		r, err := w.stmt(ctx, w.s.stmt.reread).ExecContext(ctx, p.Title, p.Language, len(p.Items), int64(p.ItemsDigest), int64(p.RejectedItems), p.Warning, int64(p.Revision),
			number, p.URL[:], int64(p.Generation), int64(p.Attempt), int64(p.Revision))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			continue
		}
		w.b.Pages, w.numbers = append(w.b.Pages, p), append(w.numbers, number)
		if w.sums[number] == nil {
			w.sums[number] = catalogue.NewGrowth()
		}
		if err := w.unsay(ctx, len(w.b.Pages)-1); err != nil {
			return err
		}
	}
	for i, p := range w.b.Pages {
		w.b.Pages[i] = p.Reading()
		w.b.Pages[i].ID = w.s.last + 1 + uint64(i)
	}
	w.rows = uint64(len(w.b.Pages))
	for _, step := range []func(context.Context) error{w.pages, w.items, w.rejects, w.grow} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unsay deletes the items that hold for a page until now, and the rows of its earlier
// readings.
func (w *writer) unsay(ctx context.Context, i int) error {
	sums := w.sums[w.numbers[i]]
	if err := w.deleted(ctx, w.s.stmt.unsay, i, func(rule string) { sums.Superseded(rule, 1) }); err != nil {
		return err
	}
	if err := w.deleted(ctx, w.s.stmt.unsayRejects, i, func(string) { sums.SupersededRejects(1) }); err != nil {
		return err
	}
	_, err := w.stmt(ctx, w.s.stmt.dropReadings).ExecContext(ctx, w.numbers[i], w.b.Pages[i].URL[:])
	return err
}

// Source returns the page that has the body of a page of a list.
func (s *Store) Source(ctx context.Context, p *catalogue.Page) (*catalogue.Page, error) {
	if p.Revisit == 0 {
		return p, nil
	}
	source, err := scanPage(s.read.QueryRowContext(ctx, selectPages+"WHERE p.id = ?", p.Revisit), p.Crawl)
	return source, s.wrap("read the page with the body", err)
}
