package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/due"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

const (
	// maxRun is the highest number of a run, which leases have 24 bits for.
	maxRun = 1<<24 - 1
	// runsKept bounds the rows of runs. A run that is older than so many others and
	// still goes on is told that it was taken out, and begins another.
	runsKept = 1000
	// maxCrawl is the highest number of a crawl that the tables hold.
	maxCrawl = 1<<31 - 1
)

// Shared reports that other processes may own partitions of the same store.
func (s *Store) Shared() bool { return true }

// within runs a transaction. It is tried again when nothing can have been
// committed; when that is not known, the call fails.
func (s *Store) within(ctx context.Context, doing string, do func(context.Context, pgx.Tx) error) error {
	return s.retry(ctx, doing, func(ctx context.Context) error {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer rollback(tx)
		if err := do(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(ctx); err != nil {
			return crawl.Errorf(crawl.Unavailable, "frontier store: %s: commit: %w", doing, err)
		}
		return nil
	})
}

// Begin starts a run, with no partition held, also after an error that ended the
// run before.
func (s *Store) Begin(ctx context.Context) (*frontier.Start, error) {
	start := &frontier.Start{Partitions: s.cfg.Partitions}
	var run int64
	err := s.within(ctx, "begin a run", func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "UPDATE fact SET value = value + 1 WHERE name = 'run' RETURNING value").Scan(&run); err != nil {
			return err
		}
		if run > maxRun {
			return crawl.Errorf(crawl.Precondition, "frontier store: run %d is one too many: begin a new store", run)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO run (id, applied) VALUES ($1, 0)", run); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM run WHERE id < $1", run-runsKept); err != nil {
			return err
		}
		var err error
		start.Crawls, err = readCrawls(tx.Query(ctx, "SELECT body FROM crawl ORDER BY crawl"))
		return err
	})
	if err != nil {
		return nil, err
	}
	start.Run = uint32(run)
	s.due.Clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.held)
	s.run, s.applied, s.broken = int32(run), 0, nil
	return start, nil
}

// readCrawls reads the bodies of crawls.
func readCrawls(rs pgx.Rows, err error) ([]frontier.Crawl, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rs, func(r pgx.CollectableRow) (frontier.Crawl, error) {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return frontier.Crawl{}, err
		}
		return rows.DecodeCrawl(body)
	})
}

// Acquire makes this store the only writer of a partition and reads what a frontier
// takes it up with. It waits for a transaction that writes the partition.
func (s *Store) Acquire(ctx context.Context, p uint32) (*frontier.Snapshot, error) {
	if p >= s.cfg.Partitions {
		return nil, crawl.Errorf(crawl.Invalid, "frontier store has %d partitions, not number %d", s.cfg.Partitions, p)
	}
	doing := fmt.Sprintf("acquire partition %d", p)
	var epoch, seq int64
	// Twice does no harm, and a transaction of its own keeps no lock while others wait.
	err := s.retry(ctx, doing, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "UPDATE part SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch, seq", int32(p)).Scan(&epoch, &seq)
	})
	if err != nil {
		return nil, err
	}
	var snap *frontier.Snapshot
	err = s.retry(ctx, doing, func(ctx context.Context) error {
		snap = &frontier.Snapshot{Partition: p, Epoch: uint64(epoch), Seq: uint64(seq)}
		return s.load(ctx, snap)
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.held[p] = epoch
	s.mu.Unlock()
	// Only now, since a note of a row that was written before is for who holds it.
	snap.DueAt, err = s.due.Hold(p, func() (uint64, error) {
		first := uint64(due.None)
		err := s.retry(ctx, doing, func(ctx context.Context) (err error) {
			first, err = s.dueIn(ctx, p, 0, 0, nil)
			return err
		})
		return first, err
	})
	return snap, err
}

// Release gives a partition up. The next owner's epoch fences what may still be
// under way.
func (s *Store) Release(_ context.Context, p uint32) error {
	s.mu.Lock()
	delete(s.held, p)
	s.mu.Unlock()
	s.due.Drop(p)
	return nil
}

// Grant moves pages of a crawl's limit to a partition or back. When it fails with an
// error that leaves open whether it was done, Acquire tells.
func (s *Store) Grant(ctx context.Context, p uint32, no frontier.CrawlNo, n int64) (int64, error) {
	doing := fmt.Sprintf("grant pages of crawl %d to partition %d", no, p)
	f, err := s.fence([]uint32{p})
	if err != nil {
		return 0, wrap(doing, err)
	}
	var moved int64
	err = s.within(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		rs, err := tx.Query(ctx, lockParts, f.parts, f.epochs)
		if err != nil {
			return err
		}
		if ids, err := pgx.CollectRows(rs, pgx.RowTo[int32]); err != nil {
			return err
		} else if len(ids) == 0 {
			return frontier.ErrFenced
		}
		moved, err = grant(ctx, tx, int32(p), no, n)
		return err
	})
	return moved, err
}

// grant moves pages inside a transaction.
func grant(ctx context.Context, tx pgx.Tx, p int32, no frontier.CrawlNo, n int64) (int64, error) {
	var body []byte
	var granted, quota int64
	// The crawl's row is locked first, so that all grants of a crawl wait in one line.
	err := tx.QueryRow(ctx, "SELECT body, granted FROM crawl WHERE crawl = $1 FOR UPDATE", int32(no)).Scan(&body, &granted)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, crawl.Errorf(crawl.NotFound, "frontier store: there is no crawl with number %d", no)
	}
	if err != nil {
		return 0, err
	}
	c, err := rows.DecodeCrawl(body)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, "SELECT quota FROM stats WHERE crawl = $1 AND part = $2", int32(no), p).Scan(&quota)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, err
	}
	if limit := c.Limits.Pages; n > 0 && limit > 0 {
		n = max(0, min(n, int64(limit)-granted))
	}
	if n = max(n, -quota); n == 0 {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, "UPDATE crawl SET granted = granted + $2 WHERE crawl = $1", int32(no), n); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO stats (crawl, part, quota, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (crawl, part) DO UPDATE SET quota = stats.quota + excluded.quota`,
		int32(no), p, n, rows.AppendStats(nil, &frontier.StatsRow{}))
	return n, err
}

// NextCrawl gives a crawl its number.
func (s *Store) NextCrawl(ctx context.Context, request, id string) (frontier.CrawlNo, string, error) {
	var no int64
	got := id
	err := s.within(ctx, "number a crawl", func(ctx context.Context, tx pgx.Tx) error {
		// Whoever numbers a crawl holds this row, so that the same request waits for
		// itself here.
		if err := tx.QueryRow(ctx, "UPDATE fact SET value = value + 1 WHERE name = 'crawl' RETURNING value").Scan(&no); err != nil {
			return err
		}
		if no > maxCrawl {
			return crawl.Errorf(crawl.Precondition, "frontier store: crawl %d is one too many: begin a new store", no)
		}
		if request == "" {
			return nil
		}
		var had int64
		err := tx.QueryRow(ctx, "SELECT crawl, id FROM request WHERE request = $1", request).Scan(&had, &got)
		if err == nil {
			_, err = tx.Exec(ctx, "UPDATE fact SET value = value - 1 WHERE name = 'crawl'")
			no = had
			return err
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO request (request, crawl, id) VALUES ($1, $2, $3)", request, int32(no), id)
		return err
	})
	return frontier.CrawlNo(no), got, err
}

// dueNow is a time as in table due.
func dueNow(t time.Time) int64 { return int64(rows.Millis(t)) }
