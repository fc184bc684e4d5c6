package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// noDue is the due time of a partition without delayed URLs.
const noDue = math.MaxUint64

// dueTimes has a lower bound of the first due time of each partition, so that 64
// partitions are not read to find the few delayed URLs of one.
type dueTimes struct {
	mu    sync.Mutex
	first []uint64
}

// init makes every partition be read once.
func (d *dueTimes) init(partitions uint32) { d.first = make([]uint64, partitions) }

// note takes rows that were applied. It runs after they are visible: a read that
// missed them is over then, since reads hold mu, and cannot raise the bound again.
func (d *dueTimes) note(rows []frontier.DueRow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range rows {
		if r := &rows[i]; !r.Delete && int(r.Ref.Partition) < len(d.first) {
			d.first[r.Ref.Partition] = min(d.first[r.Ref.Partition], millis(r.At))
		}
	}
}

// Due reads at most n delayed URLs whose time has come, and a time before which no
// other is due, zero when there is no other.
func (s *Store) Due(ctx context.Context, now time.Time, n int) ([]frontier.DueItem, time.Time, error) {
	s.due.mu.Lock()
	defer s.due.mu.Unlock()
	var out []frontier.DueItem
	next := uint64(noDue)
	for p := range s.cfg.Partitions {
		if s.due.first[p] <= millis(now) {
			if err := ctx.Err(); err != nil {
				return nil, time.Time{}, err
			}
			var err error
			if out, err = s.duePartition(p, millis(now), n, out); err != nil {
				return nil, time.Time{}, s.fatal.wrap("read delayed URLs", err)
			}
		}
		next = min(next, s.due.first[p])
	}
	return out, dueTime(next), nil
}

// dueTime is a bound as a time.
func dueTime(ms uint64) time.Time {
	if ms == noDue {
		return time.Time{}
	}
	return fromMillis(max(ms, 1))
}

// nextDue reads the due time of the first delayed URL.
func (s *Store) nextDue() (time.Time, error) {
	s.due.mu.Lock()
	defer s.due.mu.Unlock()
	next := uint64(noDue)
	for p := range s.cfg.Partitions {
		if _, err := s.duePartition(p, 0, 0, nil); err != nil {
			return time.Time{}, err
		}
		next = min(next, s.due.first[p])
	}
	return dueTime(next), nil
}

// duePartition appends the delayed URLs of a partition that are due, until out has
// n, and sets the bound to the first one that is left.
func (s *Store) duePartition(p uint32, now uint64, n int, out []frontier.DueItem) (_ []frontier.DueItem, err error) {
	it, err := s.db.NewIter(bounds(prefix(nil, p, kindDue)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	s.due.first[p] = noDue
	for ok := it.First(); ok; ok = it.Next() {
		ms, ref, valid := parseDueKey(it.Key())
		if !valid {
			return nil, errCorrupt
		}
		if ms > now || len(out) >= n {
			s.due.first[p] = ms
			break
		}
		rec, err := get(s.db, urlKey(nil, &ref), func(v []byte) (frontier.Record, error) { return decodeRecord(v, true) })
		if err != nil {
			return nil, fmt.Errorf("record of %s: %w", ref.Key, err)
		}
		out = append(out, frontier.DueItem{Ref: ref, At: fromMillis(ms), Record: rec})
	}
	return out, nil
}
