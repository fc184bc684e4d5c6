package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// Segments returns the WARC files of this storage in the order of their numbers.
func (s *Store) Segments(ctx context.Context) ([]archive.Segment, error) {
	return s.segments(ctx, "list segments", "owner = $1", s.cfg.Owner)
}

// Unused returns the finished WARC files of this storage that no page is in any more.
func (s *Store) Unused(ctx context.Context) ([]archive.Segment, error) {
	return s.segments(ctx, "list unused segments", "owner = $1 AND sealed AND records = 0", s.cfg.Owner)
}

// SegmentsOf returns the WARC files of a crawl, whichever storage has them, in the order
// of their numbers.
func (s *Store) SegmentsOf(ctx context.Context, crawlID string) ([]archive.Segment, error) {
	return s.segments(ctx, "list segments of "+crawlID, "starts_with(file, $1)", archive.PrefixOf(crawlID))
}

func (s *Store) segments(ctx context.Context, doing, where, arg string) (all []archive.Segment, err error) {
	err = s.retry(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT segment, file, size, opened_at, sealed FROM segments WHERE "+where+" ORDER BY segment", arg)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (archive.Segment, error) {
			var seg archive.Segment
			err := row.Scan(&seg.ID, &seg.File, &seg.Size, &seg.OpenedAt, &seg.Sealed)
			seg.OpenedAt = seg.OpenedAt.UTC()
			return seg, err
		})
		return err
	})
	return all, err
}

// AddSegment makes a new file known, before it is created, and sets seg.ID.
func (s *Store) AddSegment(ctx context.Context, seg *archive.Segment) error {
	return s.retry(ctx, "add segment "+seg.File, func(ctx context.Context) error {
		// A try whose answer was lost has added it already.
		return s.pool.QueryRow(ctx, "INSERT INTO segments (owner, file, size, opened_at) VALUES ($1, $2, $3, $4) "+
			"ON CONFLICT (file) DO UPDATE SET file = excluded.file RETURNING segment", s.cfg.Owner, seg.File, seg.Size, seg.OpenedAt).Scan(&seg.ID)
	})
}

// SealSegment marks a file as finished.
func (s *Store) SealSegment(ctx context.Context, id int64) error {
	return s.exec(ctx, fmt.Sprintf("seal segment %d", id), "UPDATE segments SET sealed = true WHERE segment = $1", id)
}

// DropSegment forgets a WARC file that is unused.
func (s *Store) DropSegment(ctx context.Context, id int64) error {
	return s.exec(ctx, fmt.Sprintf("drop segment %d", id), "DELETE FROM segments WHERE segment = $1 AND sealed AND records = 0", id)
}

// exec runs a statement that may be run twice.
func (s *Store) exec(ctx context.Context, doing, sql string, args ...any) error {
	return s.retry(ctx, doing, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, sql, args...)
		return err
	})
}
