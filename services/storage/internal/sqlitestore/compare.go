package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// nearQuery reads the pages that have a quarter of their SimHash in common with one.
const nearQuery = "SELECT n.page, n.simhash, p.url_key FROM near n LEFT JOIN pages p ON p.id = n.page WHERE n.crawl = ? AND n.quarter IN (?, ?, ?, ?) ORDER BY n.page LIMIT ?"

// compare finds for each page the first one with the same content, and one with
// nearly the same text. The first of a batch with a content is the first for the others.
func (w *writer) compare(ctx context.Context) error {
	for i, p := range w.b.Pages {
		if len(p.Content) > 0 {
			p.DuplicateOf, p.NearOf = 0, 0
			if err := w.content(ctx, i); err != nil {
				return err
			}
		}
		if !p.WantsNear() {
			continue
		}
		if err := w.near(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) content(ctx context.Context, i int) error {
	p := w.b.Pages[i]
	digest := p.Content[:min(len(p.Content), catalogue.ContentSize)]
	r, err := w.stmt(ctx, w.s.stmt.addContent).ExecContext(ctx, w.numbers[i], digest, int64(p.ID))
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var first uint64
	var key []byte
	if err := w.stmt(ctx, w.s.stmt.content).QueryRowContext(ctx, w.numbers[i], digest).Scan(&first, &key); err != nil {
		return err
	}
	if w.keyOf(first, key) != p.URL {
		p.DuplicateOf = first
	}
	return nil
}

// keyOf is the URL of a page by its key, as read, or as it is about to be written.
func (w *writer) keyOf(id uint64, read []byte) (k weburl.Key) {
	if id > w.s.last {
		return w.b.Pages[id-w.s.last-1].URL
	}
	copy(k[:], read)
	return k
}

func (w *writer) near(ctx context.Context, i int) error {
	p, number := w.b.Pages[i], w.numbers[i]
	q := catalogue.Quarters(p.SimHash)
	rows, err := w.stmt(ctx, w.s.stmt.near).QueryContext(ctx, number, q[0], q[1], q[2], q[3], catalogue.MaxNear)
	if err != nil {
		return err
	}
	p.NearOf, err = w.nearest(rows, p)
	if err != nil {
		return err
	}
	var args []any
	for _, quarter := range q {
		args = append(args, number, quarter, int64(p.ID), int64(p.SimHash))
	}
	_, err = w.stmt(ctx, w.s.stmt.addNear).ExecContext(ctx, args...)
	return err
}

// nearest returns the first of the rows that is near the page; 0 without one.
func (w *writer) nearest(rows *sql.Rows, p *catalogue.Page) (id uint64, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var other, hash int64
		var key []byte
		if err := rows.Scan(&other, &hash, &key); err != nil {
			return 0, err
		}
		if catalogue.Near(uint64(hash), p.SimHash) && w.keyOf(uint64(other), key) != p.URL {
			return uint64(other), nil
		}
	}
	return 0, rows.Err()
}
