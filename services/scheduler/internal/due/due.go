// Package due remembers when the delayed URLs of partitions are due, so that 64
// partitions are not read to find the few delayed URLs of one.
package due

import (
	"math"
	"sync"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// None is the due time of a partition without delayed URLs, in milliseconds.
const None = math.MaxUint64

// Times has a lower bound of the first due time of each partition that is held. It
// is safe for concurrent use.
type Times struct {
	mu    sync.Mutex
	first map[uint32]uint64
}

// NewTimes returns one without partitions.
func NewTimes() *Times { return &Times{first: make(map[uint32]uint64)} }

// Hold takes a partition up and has first read its first due time.
func (d *Times) Hold(p uint32, first func() (uint64, error)) (time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ms, err := first()
	if err != nil {
		return time.Time{}, err
	}
	d.first[p] = ms
	return toTime(ms), nil
}

// Drop forgets a partition.
func (d *Times) Drop(p uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.first, p)
}

// Clear forgets all partitions.
func (d *Times) Clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.first)
}

// Wrote takes rows that were applied. It runs after they are visible: a read that
// missed them is over then, since reads hold mu, and cannot raise the bound again.
func (d *Times) Wrote(dues []frontier.DueRow) {
	if len(dues) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range dues {
		r := &dues[i]
		if ms, held := d.first[r.Ref.Partition]; held && !r.Delete {
			d.first[r.Ref.Partition] = min(ms, rows.Millis(r.At))
		}
	}
}

// Read calls read for each partition held that may have URLs due; read returns the
// due time of the first that it leaves. Read returns a time before which no
// other URL is due, zero when there is none.
func (d *Times) Read(now time.Time, read func(p uint32) (uint64, error)) (time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, next := rows.Millis(now), uint64(None)
	for p, ms := range d.first {
		if ms <= at {
			left, err := read(p)
			if err != nil {
				return time.Time{}, err
			}
			ms, d.first[p] = left, left
		}
		next = min(next, ms)
	}
	return toTime(next), nil
}

// toTime is a bound as a time.
func toTime(ms uint64) time.Time {
	if ms == None {
		return time.Time{}
	}
	return rows.FromMillis(max(ms, 1))
}
