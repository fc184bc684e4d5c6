package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// rowsAtOnce is the number of rows in one statement. Measured for a page and an
// item, fsync included: 59 µs of CPU one by one, 49 by 8, 48 by 32.
const rowsAtOnce = 16

const (
	pageColumns = "id, crawl, url_key, generation, attempt, kind, url, via, depth, fetched_at, duration_us, status, error, error_detail, " +
		"content_type, title, language, size, sha256, redirect_url, truncated, rendered, outlinks, items, items_digest, rejected_items, warning, " +
		"segment, warc_offset, warc_length, lease, revisit, warc_id, duplicate_of, near_of, simhash, revision"
	itemColumns = "id, crawl, page, rule, idx, json"

	replaceQuery = "DELETE FROM pages WHERE crawl = ? AND url_key = ? AND generation = ? AND attempt = ? AND kind = ? AND error <> '' RETURNING status, error, segment"
)

func insertPages(rows int) string { return insert("pages", pageColumns, rows) }
func insertItems(rows int) string { return insert("items", itemColumns, rows) }

func insert(table, columns string, rows int) string {
	return "INSERT INTO " + table + " (" + columns + ") VALUES " + values(strings.Count(columns, ",")+1, rows)
}

func values(columns, rows int) string {
	row := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(row+",", rows-1) + row
}

func supersedeQuery(table, than string) string {
	return "DELETE FROM " + table + " WHERE page IN (SELECT id FROM pages WHERE crawl = ? AND url_key = ? AND kind IN (?, ?) AND (generation, attempt) " + than + " (?, ?)) RETURNING rule"
}

// Commit stores a batch in one transaction; it is durable on return.
func (s *Store) Commit(ctx context.Context, b *catalogue.Batch) error {
	if s.stale {
		if err := s.loadLast(ctx); err != nil {
			return s.wrap("read the newest rows", err)
		}
		s.stale = false
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap("begin", err)
	}
	s.stale = true
	w := &writer{s: s, tx: tx, b: b, sums: map[int64]*catalogue.Growth{}, records: map[int64]int64{}}
	if err := w.write(ctx); err != nil {
		_ = tx.Rollback() // the error that matters is the first one
		return s.wrap(fmt.Sprintf("write %d attempts", len(b.Pages)), err)
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		return s.wrap(fmt.Sprintf("commit %d attempts", len(b.Pages)), err)
	}
	s.last, s.stale = s.last+w.rows, false
	return nil
}

// writer writes one batch.
type writer struct {
	s  *Store
	tx *sql.Tx
	b  *catalogue.Batch

	numbers []int64                     // of the pages' crawls
	sums    map[int64]*catalogue.Growth // by crawl
	records map[int64]int64             // how many more pages are in a segment
	rows    uint64                      // ids that were used: those of pages, items and rejects are given side by side
}

// write does it. The numbers of crawls are looked up inside the transaction, which
// keeps a crawl from being deleted meanwhile.
func (w *writer) write(ctx context.Context) error {
	for i, p := range w.b.Pages {
		n, err := w.s.numberOf(ctx, w.stmt(ctx, w.s.stmt.addCrawl), p.Crawl)
		if err != nil {
			return err
		}
		w.numbers = append(w.numbers, n)
		if w.sums[n] == nil {
			w.sums[n] = catalogue.NewGrowth()
			w.sums[n].ArchiveBytes = w.b.ArchiveBytes[p.Crawl]
		}
		p.ID = w.s.last + 1 + uint64(i)
	}
	w.rows = uint64(len(w.b.Pages))
	for _, step := range []func(context.Context) error{w.replace, w.compare, w.pages, w.items, w.rejects, w.supersede, w.grow} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) stmt(ctx context.Context, s *sql.Stmt) *sql.Stmt { return w.tx.StmtContext(ctx, s) }

// replace deletes the failed attempts whose place others take.
func (w *writer) replace(ctx context.Context) error {
	for i, p := range w.b.Pages {
		if !p.Replaces {
			continue
		}
		var status uint32
		var class string
		var segment sql.NullInt64
		err := w.stmt(ctx, w.s.stmt.replace).QueryRowContext(ctx, w.numbers[i], p.URL[:], int64(p.Generation), int64(p.Attempt), int64(p.Kind)).
			Scan(&status, &class, &segment)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		w.sums[w.numbers[i]].Replaced(status, catalogue.ClassNamed(class))
		w.records[segment.Int64]--
	}
	return nil
}

// pages writes the attempts, full statements first, the rest singly.
func (w *writer) pages(ctx context.Context) error {
	one, many := w.stmt(ctx, w.s.stmt.insPage), w.stmt(ctx, w.s.stmt.insPages)
	for start := 0; start < len(w.b.Pages); {
		n, stmt := 1, one
		if len(w.b.Pages)-start >= rowsAtOnce {
			n, stmt = rowsAtOnce, many
		}
		args := w.s.args[:0]
		for i := start; i < start+n; i++ {
			p := w.b.Pages[i]
			args = appendPage(args, p, w.numbers[i])
			w.sums[w.numbers[i]].Add(p)
			if p.Place.Segment != 0 {
				w.records[p.Place.Segment]++
			}
		}
		w.s.args = args
		if _, err := stmt.ExecContext(ctx, args...); err != nil {
			return err
		}
		start += n
	}
	return nil
}

// items writes the items of all pages in the same way.
func (w *writer) items(ctx context.Context) error {
	one, many := w.stmt(ctx, w.s.stmt.insItem), w.stmt(ctx, w.s.stmt.insItems)
	args := w.s.args[:0]
	width := strings.Count(itemColumns, ",") + 1
	id := w.s.last
	for i, p := range w.b.Pages {
		for k := range p.Items {
			it := &p.Items[k]
			id++
			args = append(args, int64(id), w.numbers[i], int64(p.ID), it.Rule, int64(it.Index), string(it.JSON))
			if len(args) == width*rowsAtOnce {
				if _, err := many.ExecContext(ctx, args...); err != nil {
					return err
				}
				args = args[:0]
			}
		}
	}
	for row := range slices.Chunk(args, width) {
		if _, err := one.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	w.s.args = args[:0]
	w.rows = max(w.rows, id-w.s.last)
	return nil
}

// rejects writes the items that did not fit, one by one: they are rare, or something
// else is wrong.
func (w *writer) rejects(ctx context.Context) error {
	id := w.s.last
	for i, p := range w.b.Pages {
		for k := range p.Rejects {
			it := &p.Rejects[k]
			id++
			if _, err := w.stmt(ctx, w.s.stmt.insReject).ExecContext(ctx, int64(id), w.numbers[i], int64(p.ID), it.Rule, k, string(it.JSON)); err != nil {
				return err
			}
		}
	}
	w.rows = max(w.rows, id-w.s.last)
	return nil
}

// supersede deletes the items of the visits before those of the batch, whose own
// are written by now: of two visits in one batch the later one stays.
func (w *writer) supersede(ctx context.Context) error {
	for i, p := range w.b.Pages {
		if !p.Supersedes {
			continue
		}
		sums := w.sums[w.numbers[i]]
		if err := w.deleted(ctx, w.s.stmt.supersede, i, func(rule string) { sums.Superseded(rule, 1) }); err != nil {
			return err
		}
		if err := w.deleted(ctx, w.s.stmt.supersedeRejects, i, func(string) { sums.SupersededRejects(1) }); err != nil {
			return err
		}
	}
	return nil
}

// deleted calls f for the rule of each row that a statement deletes for a page.
func (w *writer) deleted(ctx context.Context, stmt *sql.Stmt, i int, f func(rule string)) error {
	p := w.b.Pages[i]
	kinds := p.Kind.Carriers()
	rows, err := w.stmt(ctx, stmt).QueryContext(ctx, w.numbers[i], p.URL[:], int64(kinds[0]), int64(kinds[1]), int64(p.Generation), int64(p.Attempt))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var rule string
		if err := rows.Scan(&rule); err != nil {
			return err
		}
		f(rule)
	}
	return rows.Err()
}

// grow writes the sums.
func (w *writer) grow(ctx context.Context) error {
	for number, g := range w.sums {
		if _, err := w.stmt(ctx, w.s.stmt.growCrawl).ExecContext(ctx, g.Attempts, g.Pages, g.Items, g.ArchiveBytes, number); err != nil {
			return err
		}
		for c, n := range g.Counts {
			if n == 0 {
				continue
			}
			if _, err := w.stmt(ctx, w.s.stmt.count).ExecContext(ctx, number, c.Of, c.Name, n); err != nil {
				return err
			}
		}
	}
	return w.segments(ctx)
}

// segments writes how many pages are in the segments, and the sizes of those that were
// appended to.
func (w *writer) segments(ctx context.Context) error {
	delete(w.records, 0)
	for id, n := range w.records {
		if _, err := w.stmt(ctx, w.s.stmt.addRecords).ExecContext(ctx, n, id); err != nil {
			return err
		}
	}
	for id, size := range w.b.Sizes {
		r, err := w.stmt(ctx, w.s.stmt.setSegment).ExecContext(ctx, size, id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, crawl.Errorf(crawl.Unavailable, "segment %d is sealed or gone: its records are appended to another", id))
		}
	}
	return nil
}

func appendPage(args []any, p *catalogue.Page, number int64) []any {
	var segment any // NULL without a record
	if p.Place.Segment != 0 {
		segment = p.Place.Segment
	}
	return append(args, int64(p.ID), number, p.URL[:], int64(p.Generation), int64(p.Attempt), int64(p.Kind),
		p.CanonicalURL, p.Via, int64(p.Depth), formatTime(p.FetchedAt), p.Duration.Microseconds(), int64(p.Status), catalogue.ClassName(p.Error), p.ErrorDetail,
		p.ContentType, p.Title, p.Language, int64(p.Size), nullable(p.SHA256), p.RedirectURL, p.Truncated, p.Rendered, int64(p.Outlinks),
		int64(max(int(p.ItemCount), len(p.Items))), int64(p.ItemsDigest), int64(p.RejectedItems), p.Warning,
		segment, p.Place.Offset, p.Place.Length, int64(p.Lease), int64(p.Revisit), nullable(p.RecordID), int64(p.DuplicateOf), int64(p.NearOf), int64(p.SimHash), int64(p.Revision))
}

// nullable makes NULL of nothing.
func nullable(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// maxCrawls bounds the map of crawl numbers, which costs one look-up to fill again.
const maxCrawls = 4096

// numberOf returns the number of a crawl, a new one for a crawl not seen yet.
func (s *Store) numberOf(ctx context.Context, add *sql.Stmt, id string) (int64, error) {
	s.mu.Lock()
	n, ok := s.crawls[id]
	s.mu.Unlock()
	if ok {
		return n, nil
	}
	if strings.HasPrefix(id, deletedPrefix) {
		return 0, crawl.Errorf(crawl.Invalid, "%q is not the id of a crawl", id)
	}
	if err := add.QueryRowContext(ctx, id).Scan(&n); err != nil {
		return 0, s.wrap("add crawl "+id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.crawls) >= maxCrawls {
		clear(s.crawls)
	}
	s.crawls[id] = n
	return n, nil
}
