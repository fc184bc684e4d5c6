package storage

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/disk"
	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// space guards the disk's last free bytes: with an object store too, since long bodies
// arrive on it. While it is short, intake pauses: records stay on their stream, which
// holds up the stages before, and what is stored can be read.
type space struct {
	dir string
	min int64
	m   *metrics
	log *slog.Logger

	paused atomic.Bool
	reason atomic.Pointer[string] // of the pause
}

// why returns why intake is paused; empty: it is not.
func (s *space) why() string {
	if r := s.reason.Load(); r != nil && s.paused.Load() {
		return *r
	}
	return ""
}

// pause notes whether intake is paused, and says so when that changes.
func (s *space) pause(why error) {
	if why != nil {
		text := why.Error()
		s.reason.Store(&text)
	}
	if now := why != nil; s.paused.Swap(now) == now {
		return
	}
	if why != nil {
		s.m.paused.Set(1)
		s.log.Error("intake is paused; it goes on by itself when there is space", "err", why)
		return
	}
	s.m.paused.Set(0)
	s.log.Info("there is space again: intake goes on")
}

// check returns an Unavailable error while there is too little free space.
func (s *space) check() error {
	if s.min == 0 {
		return nil
	}
	free, err := disk.Free(s.dir)
	if err != nil {
		return crawl.Errorf(crawl.Unavailable, "read the free space of %s: %w", s.dir, err)
	}
	s.m.free.Set(float64(free))
	if free >= uint64(s.min) {
		s.pause(nil)
		return nil
	}
	s.m.refused.Inc()
	err = crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%s free, storage.min-free is %s)",
		s.dir, mebibytes(int64(free)), mebibytes(s.min))
	s.pause(err)
	return err
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
