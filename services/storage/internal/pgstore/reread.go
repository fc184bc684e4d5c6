package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// newest is true of a page p for which there is no later visit of its URL without an
// error.
const newest = "NOT EXISTS (SELECT FROM pages q WHERE q.key = p.key AND q.kind = 1 AND q.error = '' " +
	"AND (q.status BETWEEN 200 AND 299 OR q.status = 304) AND (q.generation, q.attempt) > (p.generation, p.attempt))"

// unread is true of a page that has items by an older revision.
const unread = "p.kind = 1 AND p.error = '' AND (p.status BETWEEN 200 AND 299 OR p.status = 304) AND p.size > 0 AND p.revision < $%d::bigint AND " + newest

// sameVisit joins the pages that readings are of.
const sameVisit = "JOIN pages p ON p.key = v.key AND p.generation = v.generation AND p.attempt = v.attempt AND p.kind = v.kind AND p.error = '' "

// lock takes the rows of the pages that a join finds for visits, in the order that all
// take them in.
func (v *visits) lock(ctx context.Context, conn *pgxpool.Conn, join string) error {
	rows, err := v.query(ctx, conn, "SELECT FROM "+unnestVisits+join+"ORDER BY p.id FOR UPDATE OF p")
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// Reread puts what readings of stored pages found in the place of what was found before.
// What becomes of a transaction whose connection breaks does not matter: nothing but the
// catalogue knows of it, and it is done again without harm.
func (s *Store) Reread(ctx context.Context, readings []*catalogue.Page) (kept int, err error) {
	if len(readings) > catalogue.MaxBatch {
		return 0, fmt.Errorf("catalogue: %d readings are more than %d", len(readings), catalogue.MaxBatch)
	}
	if s.unsettled != nil {
		return 0, s.unsettled
	}
	rows := make([]*catalogue.Page, 0, len(readings))
	for _, p := range readings {
		_, ok, err := s.find(ctx, p.Crawl)
		if err != nil {
			return 0, err
		}
		if ok {
			rows = append(rows, p)
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	kept, err = s.reread(ctx, rows)
	if errors.Is(err, errStale) {
		s.forget()
		kept, err = s.reread(ctx, rows) // into nothing: the crawl was deleted
	}
	return kept, wrap(fmt.Sprintf("write %d readings", len(readings)), err)
}

func (s *Store) reread(ctx context.Context, readings []*catalogue.Page) (int, error) {
	w := &writer{s: s, b: &catalogue.Batch{Pages: readings}, crawls: map[int32]*share{}, records: map[int64]int64{}}
	if err := w.number(ctx); err != nil {
		return 0, err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release() // the pool closes one that is broken or still in a transaction
	w.conn = conn
	if _, err := conn.Exec(ctx, "BEGIN; "+s.lock); err != nil {
		return 0, err
	}
	err = w.reread(ctx)
	if err != nil || len(w.b.Pages) == 0 {
		if !lost(err) || err == nil {
			_, _ = conn.Exec(ctx, "ROLLBACK") // the error that matters is the first one
		}
		return 0, err
	}
	return len(w.b.Pages), nil
}

// reread writes the readings that still hold: each is a row of the log that carries the
// items, beside the row of its visit.
func (w *writer) reread(ctx context.Context) error {
	v := w.chosen(func(*catalogue.Page) bool { return true })
	// The question comes after the locks: only then it sees what those committed that
	// the locks waited for.
	if err := v.lock(ctx, w.conn, sameVisit); err != nil {
		return err
	}
	if err := w.choose(ctx, v); err != nil || len(w.b.Pages) == 0 {
		return err
	}
	v = w.chosen(func(*catalogue.Page) bool { return true })
	if err := w.unsay(ctx, v, "JOIN pages p ON p.key = v.key AND p.kind IN (1, 4) AND (p.generation, p.attempt) <= (v.generation, v.attempt) "); err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "DELETE FROM pages WHERE kind = 4 AND key = ANY ($1::uuid[])", v.keys); err != nil {
		return err
	}
	if err := w.facts(ctx, v); err != nil {
		return err
	}
	for i, p := range w.b.Pages {
		r := p.Reading()
		r.ID = p.ID
		w.b.Pages[i] = r
	}
	w.encode()
	if err := w.copy(ctx); err != nil {
		return err
	}
	return w.finish(ctx)
}

// choose leaves the readings that still hold.
func (w *writer) choose(ctx context.Context, v *visits) error {
	var revisions []int64
	for _, p := range w.b.Pages {
		revisions = append(revisions, int64(p.Revision))
	}
	rows, err := w.conn.Query(ctx, "SELECT v.at FROM "+unnestVisits+sameVisit+"WHERE p.revision < ($6::bigint[])[v.at + 1] AND "+newest+" ORDER BY v.at",
		v.at, v.keys, v.generations, v.attempts, v.kinds, revisions)
	if err != nil {
		return err
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return err
	}
	pages, numbers := make([]*catalogue.Page, len(held)), make([]int32, len(held))
	for i, at := range held {
		pages[i], numbers[i] = w.b.Pages[at], w.numbers[at]
	}
	w.b, w.numbers = &catalogue.Batch{Pages: pages}, numbers
	return nil
}

// facts writes what the readings found into the rows of their visits.
func (w *writer) facts(ctx context.Context, v *visits) error {
	var titles, languages, warnings []string
	var digests, revisions []int64
	var items, rejected []int32
	for _, p := range w.b.Pages {
		titles, languages, warnings = append(titles, clean(p.Title)), append(languages, clean(p.Language)), append(warnings, clean(p.Warning))
		digests, revisions = append(digests, int64(p.ItemsDigest)), append(revisions, int64(p.Revision))
		items, rejected = append(items, int32(len(p.Items))), append(rejected, int32(p.RejectedItems))
	}
	_, err := w.conn.Exec(ctx, "UPDATE pages AS p SET title = ($6::text[])[v.at + 1], language = ($7::text[])[v.at + 1], warning = ($8::text[])[v.at + 1], "+
		"items_digest = ($9::bigint[])[v.at + 1], revision = ($10::bigint[])[v.at + 1], items = ($11::int[])[v.at + 1], rejected_items = ($12::int[])[v.at + 1] FROM "+
		unnestVisits+"WHERE p.key = v.key AND p.generation = v.generation AND p.attempt = v.attempt AND p.kind = v.kind",
		v.at, v.keys, v.generations, v.attempts, v.kinds, titles, languages, warnings, digests, revisions, items, rejected)
	return err
}

// Source returns the page that has the body of a page of a list.
func (s *Store) Source(ctx context.Context, p *catalogue.Page) (source *catalogue.Page, err error) {
	if p.Revisit == 0 {
		return p, nil
	}
	number, _, err := s.find(ctx, p.Crawl)
	if err != nil {
		return nil, err
	}
	err = s.retry(ctx, "read the page with the body", func(ctx context.Context) error {
		source, err = scanPage(s.pool.QueryRow(ctx, onePage+"WHERE p.id = $2", number, int64(p.Revisit)), p.Crawl)
		return err
	})
	return source, err
}
