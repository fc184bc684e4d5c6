package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/due"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// maxRun is the highest number of a run, which leases have 24 bits for.
const maxRun = 1<<24 - 1

// Shared reports that nobody else may own partitions: the lock of the directory
// keeps other processes out.
func (s *Store) Shared() bool { return false }

// Grant is for shared stores only.
func (s *Store) Grant(context.Context, uint32, frontier.CrawlNo, int64) (int64, error) {
	return 0, crawl.Errorf(crawl.Precondition, "frontier store %s: there are no quotas, since one process has all partitions", s.cfg.Dir)
}

// Begin starts a run, durably, with no partition held.
func (s *Store) Begin(ctx context.Context) (*frontier.Start, error) {
	for p := range s.held {
		s.held[p].Store(false)
	}
	s.due.Clear()
	run, err := s.next(metaRun)
	if err != nil {
		return nil, s.fatal.wrap("begin a run", err)
	}
	if run > maxRun {
		return nil, crawl.Errorf(crawl.Precondition, "frontier store %s: run %d is one too many: begin a new store", s.cfg.Dir, run)
	}
	st := &frontier.Start{Run: uint32(run), Partitions: s.cfg.Partitions}
	err = s.each(prefix(nil, global, kindCrawl), func(_, v []byte) error {
		c, err := rows.DecodeCrawl(v)
		st.Crawls = append(st.Crawls, c)
		return err
	})
	if err != nil {
		return nil, s.fatal.wrap("read crawls", err)
	}
	return st, ctx.Err()
}

// next counts a fact up, durably.
func (s *Store) next(name string) (uint64, error) {
	s.numbers.Lock()
	defer s.numbers.Unlock()
	n, err := s.number(metaKey(name))
	if err != nil {
		return 0, err
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := setNumber(b, metaKey(name), n+1); err != nil {
		return 0, err
	}
	return n + 1, s.write(b)
}

// Acquire begins a new epoch of a partition, durably, and reads what a frontier
// takes it up with.
func (s *Store) Acquire(ctx context.Context, p uint32) (*frontier.Snapshot, error) {
	if p >= s.cfg.Partitions {
		return nil, crawl.Errorf(crawl.Invalid, "frontier store %s has %d partitions, not number %d", s.cfg.Dir, s.cfg.Partitions, p)
	}
	snap, err := s.acquire(p)
	if err != nil {
		return nil, s.fatal.wrap(fmt.Sprintf("acquire partition %d", p), err)
	}
	s.held[p].Store(true)
	return snap, ctx.Err()
}

// acquire does it.
func (s *Store) acquire(p uint32) (*frontier.Snapshot, error) {
	epochKey := prefix(nil, p, kindEpoch)
	epoch, err := s.number(epochKey)
	if err != nil {
		return nil, err
	}
	snap := &frontier.Snapshot{Partition: p, Epoch: epoch + 1}
	if snap.Seq, err = s.number(metaKey(metaSeq)); err != nil {
		return nil, err
	}
	if err := s.loadPartition(snap); err != nil {
		return nil, err
	}
	snap.DueAt, err = s.due.Hold(p, func() (uint64, error) { return s.dueIn(p, 0, 0, nil) })
	if err != nil {
		return nil, fmt.Errorf("delayed URLs: %w", err)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := setNumber(b, epochKey, snap.Epoch); err != nil {
		return nil, err
	}
	return snap, s.write(b)
}

// Release gives a partition up.
func (s *Store) Release(_ context.Context, p uint32) error {
	if p < s.cfg.Partitions {
		s.held[p].Store(false)
		s.due.Drop(p)
	}
	return nil
}

// NextCrawl gives a crawl its number, durably.
func (s *Store) NextCrawl(ctx context.Context, request, id string) (frontier.CrawlNo, string, error) {
	no, id, err := s.nextCrawl(request, id)
	if err != nil {
		return 0, "", s.fatal.wrap("number a crawl", err)
	}
	return no, id, ctx.Err()
}

// nextCrawl does it.
func (s *Store) nextCrawl(request, id string) (frontier.CrawlNo, string, error) {
	s.numbers.Lock()
	defer s.numbers.Unlock()
	key := append(prefix(nil, global, kindNumber), request...)
	if request != "" {
		had, err := get(s.db, key, decodeNumber)
		if err != nil || had.no != 0 {
			return had.no, had.id, err
		}
	}
	last, err := s.number(metaKey(metaCrawl))
	if err != nil {
		return 0, "", err
	}
	no := frontier.CrawlNo(last + 1)
	b := s.db.NewBatch()
	defer b.Close()
	if err := setNumber(b, metaKey(metaCrawl), uint64(no)); err != nil {
		return 0, "", err
	}
	if request != "" {
		if err := b.Set(key, append(binary.BigEndian.AppendUint32(nil, uint32(no)), id...), nil); err != nil {
			return 0, "", err
		}
	}
	return no, id, s.write(b)
}

// numbered is the crawl that a request made.
type numbered struct {
	no frontier.CrawlNo
	id string
}

// decodeNumber reads a row of kindNumber.
func decodeNumber(v []byte) (numbered, error) {
	if len(v) < 4 {
		return numbered{}, rows.ErrCorrupt
	}
	return numbered{no: frontier.CrawlNo(binary.BigEndian.Uint32(v)), id: string(v[4:])}, nil
}

// dueIn appends delayed URLs of a partition to out, at most n and none after now,
// and returns the due time of the first that is left.
func (s *Store) dueIn(p uint32, now uint64, n int, out *[]frontier.DueItem) (uint64, error) {
	left := uint64(due.None)
	taken := 0
	err := s.each(prefix(nil, p, kindDue), func(k, _ []byte) error {
		ms, ref, valid := parseDueKey(k)
		if !valid {
			return rows.ErrCorrupt
		}
		if ms > now || taken >= n {
			left = ms
			return errStop
		}
		taken++
		rec, err := get(s.db, urlKey(nil, &ref), func(v []byte) (frontier.Record, error) { return rows.DecodeRecord(v, true) })
		if err != nil {
			return errors.Join(fmt.Errorf("record of %s", ref.Key), err)
		}
		*out = append(*out, frontier.DueItem{Ref: ref, At: rows.FromMillis(ms), Record: rec})
		return nil
	})
	return left, err
}
