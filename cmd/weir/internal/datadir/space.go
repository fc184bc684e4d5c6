package datadir

import (
	"context"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
)

// CheckSpace fails with crawl.Unavailable when the directory's disk has less than
// least bytes free; 0 checks nothing.
func (d *Dir) CheckSpace(least uint64) error {
	if least == 0 {
		return nil
	}
	free, err := freeBytes(d.path)
	if err != nil {
		return err
	}
	if free < least {
		return crawl.Errorf(crawl.Unavailable,
			"the disk of %s has %s left, less than --storage.min-free %s: make room, or choose another disk with --data",
			d.path, summary.Bytes(free), summary.Bytes(least))
	}
	return nil
}

// WatchSpace checks every interval until ctx ends, which is no error. It exists
// so that a crawl stops in good order before its stores meet a full disk.
func (d *Dir) WatchSpace(ctx context.Context, least uint64, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.CheckSpace(least); err != nil {
				return err
			}
		}
	}
}
