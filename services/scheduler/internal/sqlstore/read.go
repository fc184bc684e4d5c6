package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/due"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// Questions about many rows; i is the place in the arrays, from 1.
const (
	askKnown = `SELECT t.i FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS t(part, crawl, host, key, i)
		JOIN url AS u ON u.part = t.part AND u.crawl = t.crawl AND u.host = t.host AND u.key = t.key`
	askRecords = `SELECT t.i, u.body FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS t(part, crawl, host, key, i)
		JOIN url AS u ON u.part = t.part AND u.crawl = t.crawl AND u.host = t.host AND u.key = t.key`
	askHosts = `SELECT t.i, r.body, h.body FROM unnest($1::int[], $2::int[], $3::bigint[]) WITH ORDINALITY AS t(part, crawl, host, i)
		LEFT JOIN ready AS r ON r.part = t.part AND r.crawl = t.crawl AND r.host = t.host
		LEFT JOIN host AS h ON h.part = t.part AND h.host = t.host`
	askReady = `SELECT r.crawl, r.host, r.body, h.body FROM ready AS r LEFT JOIN host AS h ON h.part = r.part AND h.host = r.host
		WHERE r.part = $1 AND r.work`
	askQueue = `SELECT priority, seq, body FROM queue WHERE part = $1 AND crawl = $2 AND host = $3
		ORDER BY priority, seq LIMIT $4`
	askQueueAfter = `SELECT priority, seq, body FROM queue WHERE part = $1 AND crawl = $2 AND host = $3
		AND (priority, seq) > ($5, $6) ORDER BY priority, seq LIMIT $4`
	askJar = `SELECT body FROM jar WHERE part = $1 AND crawl = $2 AND site = $3`
	askDue = `SELECT d.at, d.crawl, d.host, d.key, u.body FROM due AS d
		LEFT JOIN url AS u ON u.part = d.part AND u.crawl = d.crawl AND u.host = d.host AND u.key = d.key
		WHERE d.part = $1 AND d.at <= $2 ORDER BY d.at, d.crawl, d.host, d.key LIMIT $3`
	askFirstDue = `SELECT at FROM due WHERE part = $1 AND at > $2 ORDER BY at LIMIT 1`
)

// Known reports for each ref whether the store has a record of it.
func (s *Store) Known(ctx context.Context, refs []frontier.Ref, known []bool) error {
	ask := s.seen.Ask(refs, known)
	if len(ask) == 0 {
		return nil
	}
	// In the order of keys, questions about one host find their pages warm.
	slices.SortFunc(ask, func(a, b int32) int { return rows.CompareRefs(&refs[a], &refs[b]) })
	var q hostRows
	at := make([]int32, 0, len(ask)) // the first of those that ask the same
	for n, i := range ask {
		if n == 0 || refs[i] != refs[ask[n-1]] {
			q.url(&refs[i])
			at = append(at, i)
		}
	}
	err := s.retry(ctx, "look up", func(ctx context.Context) error {
		rs, err := s.pool.Query(ctx, askKnown, q.part, q.crawl, q.host, q.key)
		if err != nil {
			return err
		}
		var i int64
		_, err = pgx.ForEachRow(rs, []any{&i}, func() error {
			known[at[i-1]] = true
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	for n, i := range ask[1:] {
		known[i] = known[i] || refs[i] == refs[ask[n]] && known[ask[n]]
	}
	s.seen.Learn(refs, known, ask)
	return nil
}

// url appends the columns that find a URL.
func (r *hostRows) url(u *frontier.Ref) {
	r.at(u.Partition, u.Crawl, u.Host)
	r.key = append(r.key, u.Key[:])
}

// Lookup reads the record of each ref, the zero Record where there is none.
func (s *Store) Lookup(ctx context.Context, refs []frontier.Ref, recs []frontier.Record) error {
	if len(refs) == 0 {
		return nil
	}
	var q hostRows
	for i := range refs {
		q.url(&refs[i])
	}
	return s.retry(ctx, "look up", func(ctx context.Context) error {
		clear(recs[:len(refs)])
		rs, err := s.pool.Query(ctx, askRecords, q.part, q.crawl, q.host, q.key)
		if err != nil {
			return err
		}
		var i int64
		var body []byte
		_, err = pgx.ForEachRow(rs, []any{&i, &body}, func() (err error) {
			recs[i-1], err = rows.DecodeRecord(body, true)
			return err
		})
		return err
	})
}

// Hosts reads the rows of each ref, in order; a missing row comes back with zero
// counters and no origin.
func (s *Store) Hosts(ctx context.Context, refs []frontier.HostRef) (out []frontier.HostState, err error) {
	err = s.retry(ctx, "read hosts", func(ctx context.Context) (err error) {
		out, err = s.hosts(ctx, refs)
		return err
	})
	return out, err
}

// hosts reads hosts once.
func (s *Store) hosts(ctx context.Context, refs []frontier.HostRef) ([]frontier.HostState, error) {
	out := make([]frontier.HostState, len(refs))
	if len(refs) == 0 {
		return out, nil
	}
	var q hostRows
	for _, r := range refs {
		q.at(r.Partition, r.Crawl, r.Host)
	}
	rs, err := s.pool.Query(ctx, askHosts, q.part, q.crawl, q.host)
	if err != nil {
		return nil, err
	}
	var i int64
	var ready, politeness []byte
	_, err = pgx.ForEachRow(rs, []any{&i, &ready, &politeness}, func() (err error) {
		out[i-1], err = hostState(refs[i-1], ready, politeness)
		return err
	})
	return out, err
}

// Window reads what a frontier wants.
func (s *Store) Window(ctx context.Context, w frontier.Want) (f frontier.Filling, err error) {
	err = s.retry(ctx, fmt.Sprintf("read queue of host %x", w.Host), func(ctx context.Context) error {
		f = frontier.Filling{}
		b := &pgx.Batch{}
		if w.Robots {
			b.Queue("SELECT body FROM robots WHERE part = $1 AND host = $2", int32(w.Partition), signed(w.Host)).Query(func(rs pgx.Rows) error {
				_, err := pgx.ForEachRow(rs, []any{&f.Robots}, func() error { return nil })
				return err
			})
		}
		if w.Jar {
			b.Queue(askJar, int32(w.Partition), int32(w.Crawl), signed(w.Site)).Query(func(rs pgx.Rows) error {
				var body []byte
				_, err := pgx.ForEachRow(rs, []any{&body}, func() (err error) {
					f.Jar, err = rows.DecodeJar(body)
					return err
				})
				f.Jar.Partition, f.Jar.Crawl, f.Jar.Site = w.Partition, w.Crawl, w.Site
				return err
			})
		}
		if w.N > 0 {
			sql, args := askQueue, []any{int32(w.Partition), int32(w.Crawl), signed(w.Host), w.N + 1}
			if !w.FromStart {
				sql, args = askQueueAfter, append(args, w.After.Priority, signed(w.After.Seq))
			}
			b.Queue(sql, args...).Query(func(rs pgx.Rows) error { return readWindow(rs, w.N, &f) })
		}
		return s.pool.SendBatch(ctx, b).Close()
	})
	return f, err
}

// readWindow reads n items, and whether there is one more.
func readWindow(rs pgx.Rows, n int, f *frontier.Filling) error {
	f.Items = make([]frontier.Item, 0, n)
	var priority int32
	var seq int64
	var body []byte
	_, err := pgx.ForEachRow(rs, []any{&priority, &seq, &body}, func() error {
		if len(f.Items) == n {
			f.More = true
			return nil
		}
		it, err := rows.DecodeItem(frontier.QKey{Priority: priority, Seq: unsigned(seq)}, body)
		f.Items = append(f.Items, it)
		return err
	})
	return err
}

// Due reads at most n delayed URLs of the partitions held whose time has come, and
// a time before which no other is due, zero when there is no other.
func (s *Store) Due(ctx context.Context, now time.Time, n int) ([]frontier.DueItem, time.Time, error) {
	var out []frontier.DueItem
	next, err := s.due.Read(now, func(p uint32) (left uint64, err error) {
		had := len(out)
		err = s.retry(ctx, "read delayed URLs", func(ctx context.Context) (err error) {
			out = out[:had]
			left, err = s.dueIn(ctx, p, dueNow(now), n-had, &out)
			return err
		})
		return left, err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return out, next, nil
}

// dueIn appends delayed URLs of a partition to out, at most n and none after now,
// and returns the due time of the first that is left.
func (s *Store) dueIn(ctx context.Context, p uint32, now int64, n int, out *[]frontier.DueItem) (uint64, error) {
	left := uint64(due.None)
	b := &pgx.Batch{}
	b.Queue(askDue, int32(p), now, n+1).Query(func(rs pgx.Rows) error {
		var at, host int64
		var no int32
		var key, body []byte
		taken := 0
		_, err := pgx.ForEachRow(rs, []any{&at, &no, &host, &key, &body}, func() error {
			if taken++; taken > n {
				left = uint64(at)
				return nil
			}
			r, err := ref(int32(p), no, host, key)
			if err != nil {
				return err
			}
			item := frontier.DueItem{Ref: r, At: rows.FromMillis(uint64(at))}
			if body != nil {
				item.Record, err = rows.DecodeRecord(body, true)
			}
			*out = append(*out, item)
			return err
		})
		return err
	})
	b.Queue(askFirstDue, int32(p), now).Query(func(rs pgx.Rows) error {
		var at int64
		_, err := pgx.ForEachRow(rs, []any{&at}, func() error {
			left = min(left, uint64(at))
			return nil
		})
		return err
	})
	return left, s.pool.SendBatch(ctx, b).Close()
}
