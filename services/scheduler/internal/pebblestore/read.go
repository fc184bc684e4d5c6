package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// Known reports for each ref whether the store has a record of it. The result
// is exact and counts everything applied.
func (s *Store) Known(ctx context.Context, refs []frontier.Ref, known []bool) error {
	ask := s.seen.Ask(refs, known)
	if err := s.lookUp(refs, ask, known); err != nil {
		return s.fatal.wrap("look up", err)
	}
	s.seen.Learn(refs, known, ask)
	return ctx.Err()
}

// lookUp asks the database about the refs with the indices ask, which it sorts: in the
// order of keys, questions about one host find their blocks warm.
func (s *Store) lookUp(refs []frontier.Ref, ask []int32, known []bool) (err error) {
	if len(ask) == 0 {
		return nil
	}
	slices.SortFunc(ask, func(a, b int32) int { return rows.CompareRefs(&refs[a], &refs[b]) })
	f, err := s.finder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var key []byte
	for n, i := range ask {
		if n > 0 && refs[i] == refs[ask[n-1]] {
			known[i] = known[ask[n-1]]
			continue
		}
		key = urlKey(key[:0], &refs[i])
		if known[i] = f.SeekPrefixGE(key); !known[i] && f.Error() != nil {
			return f.Error()
		}
	}
	return nil
}

// finder answers many questions about single keys, of which it looks at the whole: a
// key's prefix is all of it. Get would do for few; it opens an iterator each time, and
// does not use the filters of the lowest level, where nearly all tables are, so that it
// reads a block for each key that is not there.
type finder struct{ *pebble.Iterator }

func (s *Store) finder() (finder, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	return finder{it}, err
}

// find reads and decodes one value, the zero one where there is none.
func find[T any](f finder, key []byte, decode func([]byte) (T, error)) (T, error) {
	var zero T
	if !f.SeekPrefixGE(key) {
		return zero, f.Error()
	}
	v, err := f.ValueAndErr()
	if err != nil {
		return zero, err
	}
	return decode(v)
}

// Lookup reads the record of each ref, the zero Record where there is none.
func (s *Store) Lookup(ctx context.Context, refs []frontier.Ref, recs []frontier.Record) error {
	var key []byte
	for i := range refs {
		key = urlKey(key[:0], &refs[i])
		v, err := get(s.db, key, func(v []byte) (frontier.Record, error) { return rows.DecodeRecord(v, true) })
		if err != nil {
			return s.fatal.wrap(fmt.Sprintf("look up %s", refs[i].Key), err)
		}
		recs[i] = v
	}
	return ctx.Err()
}

// get reads and decodes one value, the zero one where there is none.
func get[T any](r pebble.Reader, key []byte, decode func([]byte) (T, error)) (T, error) {
	var zero T
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return zero, nil
	}
	if err != nil {
		return zero, err
	}
	t, err := decode(v)
	return t, errors.Join(err, closer.Close())
}

// Hosts reads the rows of each ref, in order; a missing row comes back with
// zero counters and no origin.
func (s *Store) Hosts(ctx context.Context, refs []frontier.HostRef) (_ []frontier.HostState, err error) {
	out := make([]frontier.HostState, len(refs))
	f, err := s.finder()
	if err != nil {
		return nil, s.fatal.wrap("read hosts", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = s.fatal.wrap("read hosts", cerr)
		}
	}()
	for i, r := range refs {
		st := &out[i]
		if st.Ready, err = f.readyRow(r); err == nil {
			st.Host, err = f.hostRow(r.Partition, r.Host)
		}
		if err != nil {
			return nil, s.fatal.wrap(fmt.Sprintf("read host %x", r.Host), err)
		}
	}
	return out, ctx.Err()
}

// readyRow reads the counters of a host in a crawl.
func (f finder) readyRow(r frontier.HostRef) (frontier.ReadyRow, error) {
	decode := func(v []byte) (frontier.ReadyRow, error) { return rows.DecodeReady(r, v) }
	for _, kind := range []byte{kindReady, kindIdle} {
		row, err := find(f, hostKey(nil, kind, r.Partition, r.Crawl, r.Host), decode)
		if err != nil || row.HostRef == r {
			return row, err
		}
	}
	return frontier.ReadyRow{HostRef: r}, nil
}

// hostRow reads a host's politeness.
func (f finder) hostRow(partition uint32, h frontier.HostID) (frontier.HostRow, error) {
	row, err := find(f, plainKey(nil, partition, kindHost, h), rows.DecodeHost)
	row.Partition, row.Host = partition, h
	return row, err
}

// Window reads what a frontier wants.
func (s *Store) Window(ctx context.Context, w frontier.Want) (frontier.Filling, error) {
	var f frontier.Filling
	var err error
	if w.Robots {
		f.Robots, err = get(s.db, plainKey(nil, w.Partition, kindRobots, w.Host),
			func(v []byte) ([]byte, error) { return slices.Clone(v), nil })
	}
	if err == nil && w.Jar {
		f.Jar, err = get(s.db, hostKey(nil, kindJar, w.Partition, w.Crawl, w.Site), rows.DecodeJar)
		f.Jar.Partition, f.Jar.Crawl, f.Jar.Site = w.Partition, w.Crawl, w.Site
	}
	if err == nil && w.N > 0 {
		err = s.window(w, &f)
	}
	if err != nil {
		return frontier.Filling{}, s.fatal.wrap(fmt.Sprintf("read queue of host %x", w.Host), err)
	}
	return f, ctx.Err()
}

// window reads a range of a host queue.
func (s *Store) window(w frontier.Want, f *frontier.Filling) (err error) {
	opts := bounds(hostKey(nil, kindQueue, w.Partition, w.Crawl, w.Host))
	if !w.FromStart {
		// The key with a zero byte more is the next one possible.
		opts.LowerBound = append(queueKey(nil, w.Partition, w.Crawl, w.Host, w.After), 0)
	}
	it, err := s.db.NewIter(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	f.Items = make([]frontier.Item, 0, w.N)
	ok := it.First()
	for ; ok && len(f.Items) < w.N; ok = it.Next() {
		k, valid := parseQueueKey(it.Key())
		if !valid {
			return rows.ErrCorrupt
		}
		item, err := rows.DecodeItem(k, it.Value())
		if err != nil {
			return err
		}
		f.Items = append(f.Items, item)
	}
	f.More = ok
	return nil
}

// Due reads at most n delayed URLs of the partitions held whose time has come, and
// a time before which no other is due, zero when there is no other.
func (s *Store) Due(ctx context.Context, now time.Time, n int) ([]frontier.DueItem, time.Time, error) {
	var out []frontier.DueItem
	next, err := s.due.Read(now, func(p uint32) (uint64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return s.dueIn(p, rows.Millis(now), n-len(out), &out)
	})
	if err != nil {
		return nil, time.Time{}, s.fatal.wrap("read delayed URLs", err)
	}
	return out, next, nil
}
