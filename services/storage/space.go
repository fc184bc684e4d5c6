package storage

import (
	"fmt"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// space guards the disk's last free bytes.
type space struct {
	dir string
	min int64
	m   *metrics
}

// check returns an Unavailable error while there is too little free space.
func (s *space) check() error {
	if s.min == 0 {
		return nil
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		return crawl.Errorf(crawl.Unavailable, "read the free space of %s: %w", s.dir, err)
	}
	s.m.free.Set(float64(free))
	if free >= uint64(s.min) {
		return nil
	}
	s.m.refused.Inc()
	return crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%s free, storage.min-free is %s)",
		s.dir, mebibytes(int64(free)), mebibytes(s.min))
}

// wrap gives an error of the file system its kind; errors with a kind keep it.
func (s *space) wrap(err error) error {
	if err == nil || crawl.KindOf(err) != crawl.Internal {
		return err
	}
	if archive.NoSpace(err) {
		s.m.refused.Inc()
		return crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%w)", s.dir, err)
	}
	return crawl.Errorf(crawl.Unavailable, "storage in %s: %w", s.dir, err)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
