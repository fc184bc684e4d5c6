package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Stats returns a crawl's sums; all zero for a crawl that nothing is stored of.
func (s *Store) Stats(ctx context.Context, crawlID string) (st catalogue.Stats, err error) {
	err = s.retry(ctx, "read stats", func(ctx context.Context) error {
		var err error
		st, err = stats(ctx, s.pool, crawlID)
		return err
	})
	return st, err
}

func stats(ctx context.Context, db querier, crawlID string) (catalogue.Stats, error) {
	var st catalogue.Stats
	var number int32
	err := db.QueryRow(ctx, "SELECT crawl, attempts, pages, items, archive_bytes FROM crawls WHERE crawl_id = $1 AND NOT deleted", crawlID).
		Scan(&number, &st.Attempts, &st.Pages, &st.Items, &st.ArchiveBytes)
	if errors.Is(err, pgx.ErrNoRows) {
		return catalogue.Stats{}, nil
	}
	if err != nil {
		return catalogue.Stats{}, err
	}
	rows, err := db.Query(ctx, "SELECT kind, name, n FROM counts WHERE crawl = $1", number)
	if err != nil {
		return catalogue.Stats{}, err
	}
	var c catalogue.Count
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&c.Of, &c.Name, &n}, func() error {
		st.Set(c, n)
		return nil
	})
	return st, err
}
