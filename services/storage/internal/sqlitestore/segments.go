package sqlitestore

import (
	"context"
	"fmt"

	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// Segments returns all WARC files in the order of their numbers.
func (s *Store) Segments(ctx context.Context) ([]archive.Segment, error) {
	return s.segments(ctx, "list segments", "")
}

// Unused returns the finished WARC files that no page is in any more.
func (s *Store) Unused(ctx context.Context) ([]archive.Segment, error) {
	return s.segments(ctx, "list unused segments", "WHERE sealed = 1 AND records = 0")
}

// SegmentsOf returns the WARC files of a crawl in the order of their numbers.
func (s *Store) SegmentsOf(ctx context.Context, crawlID string) ([]archive.Segment, error) {
	return s.segments(ctx, "list segments of "+crawlID, "WHERE substr(file, 1, length(?1)) = ?1", archive.PrefixOf(crawlID))
}

func (s *Store) segments(ctx context.Context, doing, where string, args ...any) ([]archive.Segment, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT segment, file, size, opened_at, sealed FROM segments "+where+" ORDER BY segment", args...)
	if err != nil {
		return nil, s.wrap(doing, err)
	}
	defer rows.Close()
	var all []archive.Segment
	for rows.Next() {
		var seg archive.Segment
		var opened string
		if err := rows.Scan(&seg.ID, &seg.File, &seg.Size, &opened, &seg.Sealed); err != nil {
			return nil, s.wrap(doing, err)
		}
		seg.OpenedAt = parseTime(opened)
		all = append(all, seg)
	}
	return all, s.wrap(doing, rows.Err())
}

// AddSegment makes a new file known, before it is created: a file that the
// catalogue does not know is never one of ours. It sets seg.ID.
func (s *Store) AddSegment(ctx context.Context, seg *archive.Segment) error {
	row := s.write.QueryRowContext(ctx, "INSERT INTO segments (file, size, opened_at) VALUES (?, ?, ?) RETURNING segment", seg.File, seg.Size, formatTime(seg.OpenedAt))
	return s.wrap("add segment "+seg.File, row.Scan(&seg.ID))
}

// SealSegment marks a file as finished.
func (s *Store) SealSegment(ctx context.Context, id int64) error {
	_, err := s.write.ExecContext(ctx, "UPDATE segments SET sealed = 1 WHERE segment = ?", id)
	return s.wrap(fmt.Sprintf("seal segment %d", id), err)
}

// DropSegment forgets a WARC file that is unused.
func (s *Store) DropSegment(ctx context.Context, id int64) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM segments WHERE segment = ? AND sealed = 1 AND records = 0", id)
	return s.wrap(fmt.Sprintf("drop segment %d", id), err)
}
