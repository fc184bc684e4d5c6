package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// deletedPrefix begins what a deleted crawl's id becomes, so that the same id may
// come again.
const deletedPrefix = "deleted "

// purgeRows is about how many pages one transaction deletes; with their items it takes
// about as long as a commit.
const purgeRows = 1000

// rollback ends a transaction that was not committed.
func rollback(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // after a commit it does nothing; else the pool drops the connection
}

// DeleteCrawl makes everything of a crawl unknown at once.
func (s *Store) DeleteCrawl(ctx context.Context, crawlID string) (st catalogue.Stats, err error) {
	err = s.retry(ctx, "delete crawl "+crawlID, func(ctx context.Context) error {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer rollback(tx)
		if st, err = stats(ctx, tx, crawlID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE crawls SET deleted = true, crawl_id = $2::text || crawl || ' ' || crawl_id WHERE crawl_id = $1 AND NOT deleted", crawlID, deletedPrefix); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	s.forget()
	return st, err
}

// Purge deletes rows of deleted crawls. Several storages may do so at a time, each at
// another crawl.
func (s *Store) Purge(ctx context.Context) (more bool, err error) {
	err = s.retry(ctx, "purge", func(ctx context.Context) error {
		more = false
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer rollback(tx)
		var number int32
		err = tx.QueryRow(ctx, "SELECT crawl FROM crawls WHERE deleted ORDER BY crawl LIMIT 1 FOR UPDATE SKIP LOCKED").Scan(&number)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := purge(ctx, tx, number); err != nil {
			return err
		}
		more = true
		return tx.Commit(ctx)
	})
	return more, err
}

// purge deletes some rows of a crawl, and the crawl's own when no other is left.
func purge(ctx context.Context, tx pgx.Tx, number int32) error {
	n, err := purgeCommits(ctx, tx, number)
	if err != nil || n > 0 {
		return err
	}
	from, past := uuidOf(number, nil), uuidOf(number+1, nil)
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{"DELETE FROM contents WHERE key IN (SELECT key FROM contents WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3)", []any{from, past, 4 * purgeRows}},
		{"DELETE FROM near WHERE crawl = $1 AND (quarter, page) IN (SELECT quarter, page FROM near WHERE crawl = $1 ORDER BY quarter, page LIMIT $2)", []any{number, 4 * purgeRows}},
		{"DELETE FROM counts WHERE crawl = $1", []any{number}},
	} {
		tag, err := tx.Exec(ctx, q.sql, q.args...)
		if err != nil || tag.RowsAffected() >= 4*purgeRows {
			return err
		}
	}
	_, err = tx.Exec(ctx, "DELETE FROM crawls WHERE crawl = $1", number)
	return err
}

// purgeCommits deletes what some commits brought to a crawl, and returns how many.
func purgeCommits(ctx context.Context, tx pgx.Tx, number int32) (commits int, err error) {
	rows, err := tx.Query(ctx, "SELECT base, first_page, pages FROM commits WHERE crawl = $1 ORDER BY base LIMIT $2", number, purgeRows)
	if err != nil {
		return 0, err
	}
	var base, first int64
	var pages, sum int32
	var bases, from, past []int64
	if _, err := pgx.ForEachRow(rows, []any{&base, &first, &pages}, func() error {
		if sum < purgeRows {
			bases, from, past = append(bases, base), append(from, first), append(past, first+int64(pages))
			sum += pages
		}
		return nil
	}); err != nil || len(bases) == 0 {
		return 0, err
	}
	const ranges = "unnest($1::bigint[], $2::bigint[]) AS c(first, past) "
	b := &pgx.Batch{}
	for _, table := range []string{"items", "rejects"} {
		b.Queue("DELETE FROM "+table+" AS i USING "+ranges+"WHERE i.page >= c.first AND i.page < c.past", from, past)
	}
	// The segments in the order of their numbers, as commits lock them.
	b.Queue("SELECT FROM segments WHERE segment IN (SELECT p.segment FROM "+ranges+"JOIN pages p ON p.id >= c.first AND p.id < c.past) ORDER BY segment FOR UPDATE", from, past)
	b.Queue("UPDATE segments s SET records = s.records - gone.n FROM (SELECT p.segment, count(*) AS n FROM "+ranges+
		"JOIN pages p ON p.id >= c.first AND p.id < c.past GROUP BY p.segment) AS gone WHERE s.segment = gone.segment", from, past)
	b.Queue("DELETE FROM pages AS p USING "+ranges+"WHERE p.id >= c.first AND p.id < c.past", from, past)
	b.Queue("DELETE FROM commits WHERE crawl = $1 AND base = ANY ($2::bigint[])", number, bases)
	return len(bases), tx.SendBatch(ctx, b).Close()
}
