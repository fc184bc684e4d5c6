package sqlstore

import (
	"context"
	"errors"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// piece is the number of rows that one deletion takes, so that no transaction is
// long.
const piece = 2000

// Deletions by ranges of the primary key: the row at which a piece ends is found
// first, since DELETE has no LIMIT.
const (
	endOfURLs = `SELECT host, key FROM url WHERE part = $1 AND crawl = $2 ORDER BY host, key OFFSET $3 LIMIT 1`
	someURLs  = `DELETE FROM url WHERE part = $1 AND crawl = $2 AND (host, key) < ($3, $4)`
	allURLs   = `DELETE FROM url WHERE part = $1 AND crawl = $2`

	endOfQueue = `SELECT host, priority, seq FROM queue WHERE part = $1 AND crawl = $2 ORDER BY host, priority, seq OFFSET $3 LIMIT 1`
	someQueue  = `DELETE FROM queue WHERE part = $1 AND crawl = $2 AND (host, priority, seq) < ($3, $4, $5)`
	allQueue   = `DELETE FROM queue WHERE part = $1 AND crawl = $2`

	endOfReady = `SELECT host FROM ready WHERE part = $1 AND crawl = $2 ORDER BY host OFFSET $3 LIMIT 1`
	someReady  = `DELETE FROM ready WHERE part = $1 AND crawl = $2 AND host < $3`
	allReady   = `DELETE FROM ready WHERE part = $1 AND crawl = $2`

	endOfDue = `SELECT at FROM due WHERE part = $1 AND at > $2 ORDER BY at OFFSET $3 LIMIT 1`
	someDue  = `DELETE FROM due WHERE part = $1 AND at > $2 AND at <= $3 AND crawl = $4`

	allLeases = `DELETE FROM lease WHERE part = $1 AND crawl = $2`
	allOutbox = `DELETE FROM outbox WHERE part = $1 AND crawl = $2`
)

// DeleteCrawl removes all rows of a crawl from all partitions, the crawl itself
// last.
func (s *Store) DeleteCrawl(ctx context.Context, no frontier.CrawlNo) error {
	for p := range int32(s.cfg.Partitions) {
		if err := s.deletePart(ctx, p, int32(no)); err != nil {
			return wrap("delete crawl", err)
		}
	}
	for _, sql := range []string{
		"DELETE FROM stats WHERE crawl = $1", "DELETE FROM request WHERE crawl = $1", "DELETE FROM crawl WHERE crawl = $1",
	} {
		if err := s.exec(ctx, sql, int32(no)); err != nil {
			return err
		}
	}
	return nil
}

// exec runs a deletion, which does no harm when it is run again.
func (s *Store) exec(ctx context.Context, sql string, args ...any) error {
	return s.retry(ctx, "delete crawl", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, args...)
		return err
	})
}

// deletePart removes the rows of one partition.
func (s *Store) deletePart(ctx context.Context, p, no int32) error {
	if err := s.deleteDue(ctx, p, no); err != nil {
		return err
	}
	for _, sql := range []string{allLeases, allOutbox} {
		if err := s.exec(ctx, sql, p, no); err != nil {
			return err
		}
	}
	var host, seq int64
	var priority int32
	var key []byte
	for _, of := range []struct {
		end, some, all string
		bound          []any // where the end is read to
		values         func() []any
	}{
		{endOfQueue, someQueue, allQueue, []any{&host, &priority, &seq}, func() []any { return []any{host, priority, seq} }},
		{endOfURLs, someURLs, allURLs, []any{&host, &key}, func() []any { return []any{host, key} }},
		{endOfReady, someReady, allReady, []any{&host}, func() []any { return []any{host} }},
	} {
		for more := true; more; {
			sql, args := of.some, []any{p, no}
			err := s.retry(ctx, "delete crawl", func(ctx context.Context) error {
				return s.pool.QueryRow(ctx, of.end, p, no, piece).Scan(of.bound...)
			})
			if more = !errors.Is(err, pgx.ErrNoRows); !more {
				sql = of.all
			} else if err != nil {
				return err
			} else {
				args = append(args, of.values()...)
			}
			if err := s.exec(ctx, sql, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteDue removes the entries of the due-time index, going through those of all
// crawls.
func (s *Store) deleteDue(ctx context.Context, p, no int32) error {
	for from := int64(math.MinInt64); from < math.MaxInt64; {
		to := int64(math.MaxInt64)
		err := s.retry(ctx, "delete crawl", func(ctx context.Context) error {
			return s.pool.QueryRow(ctx, endOfDue, p, from, piece).Scan(&to)
		})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := s.exec(ctx, someDue, p, from, to, no); err != nil {
			return err
		}
		from = to
	}
	return nil
}
