package datadir

import (
	"context"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/disk"
)

// fullDisk is the free space below which a disk counts as full whatever the
// settings say: no store could close in order.
const fullDisk = 1 << 20

// Enough is the free space that a whole ring wants: a quarter over what storage
// itself insists on, so that what is in hand can still be stored when it stops.
func Enough(minFree int64) uint64 {
	return max(uint64(max(minFree, 0))/4*5, fullDisk)
}

// CheckSpace fails with crawl.Unavailable when the directory's disk has less than
// least bytes free.
func (d *Dir) CheckSpace(least uint64) error {
	free, err := disk.Free(d.path)
	if err != nil {
		return err
	}
	if free < least {
		return crawl.Errorf(crawl.Unavailable,
			"the disk of %s is nearly full: %s left, %s needed (a quarter over --storage.min-free); nothing is lost: make room and go on with --resume, or choose another disk with --data",
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
