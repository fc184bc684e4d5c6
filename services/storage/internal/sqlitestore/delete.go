package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// deletedPrefix begins what a deleted crawl's id becomes, so that the same id may
// come again.
const deletedPrefix = "deleted "

// purgeRows is how many pages one transaction deletes; with their items it takes
// about as long as a commit.
const purgeRows = 500

// DeleteCrawl makes everything of a crawl unknown at once.
func (s *Store) DeleteCrawl(ctx context.Context, crawlID string) (catalogue.Stats, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return catalogue.Stats{}, s.wrap("delete crawl", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	st, err := s.stats(ctx, tx, crawlID)
	if err != nil {
		return catalogue.Stats{}, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE crawls SET deleted = 1, crawl_id = ? || crawl || ' ' || crawl_id WHERE crawl_id = ? AND deleted = 0", deletedPrefix, crawlID); err != nil {
		return catalogue.Stats{}, s.wrap("delete crawl", err)
	}
	// No other transaction writes before this one has ended: none has the old number.
	s.mu.Lock()
	delete(s.crawls, crawlID)
	s.mu.Unlock()
	return st, s.wrap("delete crawl", tx.Commit())
}

// Purge deletes rows of deleted crawls.
func (s *Store) Purge(ctx context.Context) (bool, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return false, s.wrap("purge", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	var number int64
	err = tx.QueryRowContext(ctx, "SELECT crawl FROM crawls WHERE deleted = 1 ORDER BY crawl LIMIT 1").Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err == nil {
		err = purge(ctx, tx, number)
	}
	if err == nil {
		err = tx.Commit()
	}
	return err == nil, s.wrap(fmt.Sprintf("purge crawl %d", number), err)
}

// purge deletes some rows of a crawl, and the crawl's own when no other is left.
func purge(ctx context.Context, tx *sql.Tx, number int64) error {
	const pages = "(SELECT id FROM pages WHERE crawl = ? ORDER BY id LIMIT ?)"
	for _, table := range []string{"items", "rejects"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE page IN "+pages, number, purgeRows); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE segments SET records = records - gone.n FROM (SELECT segment, count(*) AS n FROM pages WHERE id IN "+pages+
		" AND segment IS NOT NULL GROUP BY segment) AS gone WHERE segments.segment = gone.segment", number, purgeRows); err != nil {
		return err
	}
	left := int64(purgeRows)
	for _, q := range []string{
		"DELETE FROM pages WHERE id IN " + pages,
		"DELETE FROM contents WHERE crawl = ?1 AND digest IN (SELECT digest FROM contents WHERE crawl = ?1 LIMIT ?2)",
		"DELETE FROM near WHERE crawl = ?1 AND (quarter, page) IN (SELECT quarter, page FROM near WHERE crawl = ?1 LIMIT ?2)",
		"DELETE FROM counts WHERE crawl = ?1 AND (kind, name) IN (SELECT kind, name FROM counts WHERE crawl = ?1 LIMIT ?2)",
	} {
		r, err := tx.ExecContext(ctx, q, number, left)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return err
		}
		if left -= n; left <= 0 {
			return nil
		}
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM crawls WHERE crawl = ?", number)
	return err
}
