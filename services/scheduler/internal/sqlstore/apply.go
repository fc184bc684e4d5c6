package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// durable is a commit that is over: Apply waits for it.
type durable struct{}

// Wait returns at once.
func (durable) Wait() error { return nil }

// errRun is a run that the store does not know any more.
var errRun = errors.New("the run was taken out of the store")

// Apply writes a batch in one transaction, and returns when it is committed. It
// writes all of a batch or nothing: ErrFenced when a partition of it is not this
// store's. After another error the store takes no batch any more, since it cannot
// know what a later one builds on.
func (s *Store) Apply(b *frontier.Batch) (frontier.Commit, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	f, err := s.fence(s.writer.touched.Of(b))
	if err != nil {
		return nil, wrap("write", err)
	}
	if err := s.writer.encode(b); err != nil {
		return nil, wrap("encode", err)
	}
	t := transaction{s: s, fence: f, sync: b.Sync, n: s.applied + 1}
	if b.Seq > 0 {
		t.seq, t.all = int64(b.Seq), s.allHeld()
	}
	// Not the caller's context: a batch is not given up half way.
	if err := s.retry(context.Background(), "write", t.try); err != nil {
		if !errors.Is(err, frontier.ErrFenced) {
			s.broken = err
		}
		return nil, err
	}
	s.applied++
	s.seen.Wrote(b.URLs)
	s.due.Wrote(b.Due)
	return durable{}, nil
}

// fence is the epochs under which partitions are written.
type fence struct {
	parts  []int32
	epochs []int64
}

// fence returns the epochs of partitions, which must be held.
func (s *Store) fence(parts []uint32) (fence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := fence{parts: make([]int32, 0, len(parts)), epochs: make([]int64, 0, len(parts))}
	slices.Sort(parts)
	for _, p := range parts {
		epoch, ok := s.held[p]
		if !ok {
			return f, fmt.Errorf("partition %d: %w", p, frontier.ErrFenced)
		}
		f.parts, f.epochs = append(f.parts, int32(p)), append(f.epochs, epoch)
	}
	return f, nil
}

// allHeld returns the epochs of all partitions held.
func (s *Store) allHeld() fence {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f fence
	for p, epoch := range s.held {
		f.parts, f.epochs = append(f.parts, int32(p)), append(f.epochs, epoch)
	}
	return f
}

// Statements that begin a transaction.
const (
	// lockParts keeps others from acquiring the partitions until the end, and finds
	// those that they acquired before.
	lockParts = `SELECT p.id FROM unnest($1::int[], $2::bigint[]) AS t(id, epoch)
		JOIN part p ON p.id = t.id AND p.epoch = t.epoch ORDER BY p.id FOR SHARE OF p`
	countRun = `UPDATE run SET applied = $2 WHERE id = $1 AND applied = $2 - 1`
	raiseSeq = `UPDATE part SET seq = $3 FROM unnest($1::int[], $2::bigint[]) AS t(id, epoch)
		WHERE part.id = t.id AND part.epoch = t.epoch AND part.seq < $3`
)

// transaction is the writing of a batch, tried until it is known to be committed.
type transaction struct {
	s     *Store
	fence fence
	all   fence // of all partitions held, with seq
	seq   int64
	sync  bool
	n     int64 // number of the batch in its run
	// sent says that a commit was sent whose answer did not come.
	sent bool
}

// try writes the batch once.
func (t *transaction) try(ctx context.Context) error {
	conn, err := t.s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // a connection with an open transaction is closed by the pool
	if t.sent {
		if done, err := t.committed(ctx, conn); err != nil || done {
			return err
		}
		t.sent = false
	}
	if err := t.write(ctx, conn); err != nil {
		return errors.Join(err, undo(conn))
	}
	tag, err := conn.Exec(ctx, "COMMIT")
	if err != nil {
		t.sent = true // even a server that says why may have said it too late
		return err
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("the server answered %s to a commit", tag)
	}
	return nil
}

// committed finds out whether the try before was committed. It waits for the
// transaction to end if the server still works at it, because that has locked the
// row of the run.
func (t *transaction) committed(ctx context.Context, conn *pgxpool.Conn) (bool, error) {
	var applied int64
	err := conn.QueryRow(ctx, "SELECT applied FROM run WHERE id = $1 FOR UPDATE", t.s.run).Scan(&applied)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("%w: %w", frontier.ErrFenced, errRun)
	}
	return applied == t.n, err
}

// write sends everything but the commit.
func (t *transaction) write(ctx context.Context, conn *pgxpool.Conn) (err error) {
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	if !t.sync && postgres.Genuine(conn.Conn()) {
		b.Queue("SET LOCAL synchronous_commit = off")
	}
	missing := -1
	b.Queue(lockParts, t.fence.parts, t.fence.epochs).Query(func(rs pgx.Rows) error {
		ids, err := pgx.CollectRows(rs, pgx.RowTo[int32])
		missing = len(t.fence.parts) - len(ids)
		return err
	})
	counted := false
	b.Queue(countRun, t.s.run, t.n).Exec(func(tag pgconn.CommandTag) error {
		counted = tag.RowsAffected() == 1
		return nil
	})
	if t.seq > 0 {
		b.Queue(raiseSeq, t.all.parts, t.all.epochs, t.seq)
	}
	t.s.writer.queue(b)
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	switch {
	case missing != 0:
		return fmt.Errorf("%d of %d partitions: %w", missing, len(t.fence.parts), frontier.ErrFenced)
	case !counted:
		return fmt.Errorf("%w: %w", frontier.ErrFenced, errRun)
	}
	return nil
}

// undo ends a transaction that is not to be committed.
func undo(conn *pgxpool.Conn) error {
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), postgres.MaxPause)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		return conn.Conn().Close(ctx)
	}
	return nil
}
