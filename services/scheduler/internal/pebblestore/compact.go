package pebblestore

import "context"

// Compact rewrites everything into the lowest level, which is as small as the store
// gets. It reads and writes the whole store: for measurements, and to give back the
// space of deleted crawls at once.
func (s *Store) Compact(ctx context.Context) error {
	return s.fatal.wrap("compact", s.fatal.guard(func() error {
		return s.db.Compact(ctx, []byte{0}, []byte{0xff, 0xff, 0xff, 0xff}, true)
	}))
}
