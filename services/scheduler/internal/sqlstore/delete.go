package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// piece is the number of rows that one deletion takes, so that no transaction is
// long.
const piece = 2000

// span is a table whose rows of a crawl in a partition are deleted in the order of
// its primary key, whose other columns are these, beginning at the least values.
type span struct {
	table string
	key   []string
	least []any
}

// spans of the large tables.
func spans() []span {
	return []span{
		{"queue", []string{"host", "priority", "seq"}, []any{int64(math.MinInt64), int32(math.MinInt32), int64(math.MinInt64)}},
		{"url", []string{"host", "key"}, []any{int64(math.MinInt64), []byte{}}},
		{"ready", []string{"host"}, []any{int64(math.MinInt64)}},
		{"jar", []string{"site"}, []any{int64(math.MinInt64)}},
	}
}

// params are n parameters from $first.
func params(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", first+i)
	}
	return b.String()
}

// Deletions of the small tables, and of the due-time index, which is gone through
// for all crawls.
const (
	endOfDue  = `SELECT at FROM due WHERE part = $1 AND at > $2 ORDER BY at OFFSET $3 LIMIT 1`
	someDue   = `DELETE FROM due WHERE part = $1 AND at > $2 AND at <= $3 AND crawl = $4`
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
	for _, sp := range spans() {
		if err := s.deleteSpan(ctx, sp, p, no); err != nil {
			return err
		}
	}
	return nil
}

// deleteSpan removes the rows of one table. The row at which a piece ends is found
// first, since DELETE has no LIMIT; the next piece begins there, and not at what was
// deleted, which the index still has.
func (s *Store) deleteSpan(ctx context.Context, sp span, p, no int32) error {
	key, n := strings.Join(sp.key, ", "), len(sp.key)
	here := fmt.Sprintf("FROM %s WHERE part = $1 AND crawl = $2 AND (%s) >= (%s)", sp.table, key, params(3, n))
	end := fmt.Sprintf("SELECT %s %s ORDER BY %s OFFSET %d LIMIT 1", key, here, key, piece)
	some := fmt.Sprintf("DELETE %s AND (%s) < (%s)", here, key, params(3+n, n))
	for from := sp.least; ; {
		var to []any
		err := s.retry(ctx, "delete crawl", func(ctx context.Context) error {
			rs, err := s.pool.Query(ctx, end, append([]any{p, no}, from...)...)
			if err != nil {
				return err
			}
			to = nil
			return each(rs, func(v []any) { to = v }, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
		})
		if err != nil {
			return err
		}
		if to == nil {
			return s.exec(ctx, "DELETE "+here, append([]any{p, no}, from...)...)
		}
		if err := s.exec(ctx, some, append(append([]any{p, no}, from...), to...)...); err != nil {
			return err
		}
		from = to
	}
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
