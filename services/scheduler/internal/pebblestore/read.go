package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// Known reports for each ref whether the store has a record of it. The result
// is exact and counts everything applied.
func (s *Store) Known(ctx context.Context, refs []frontier.Ref, known []bool) error {
	var ask []int32
	s.seen.mu.Lock()
	for i := range refs {
		if known[i] = s.seen.has(&refs[i]); !known[i] {
			ask = append(ask, int32(i))
		}
	}
	s.seen.mu.Unlock()
	// In the order of keys, questions about one host find their blocks warm.
	slices.SortFunc(ask, func(a, b int32) int { return compareRefs(&refs[a], &refs[b]) })
	var key []byte
	for n, i := range ask {
		if n > 0 && refs[i] == refs[ask[n-1]] {
			known[i] = known[ask[n-1]]
			continue
		}
		key = urlKey(key[:0], &refs[i])
		_, closer, err := s.db.Get(key)
		switch {
		case err == nil:
			known[i] = true
			if err := closer.Close(); err != nil {
				return s.fatal.wrap("look up", err)
			}
		case !errors.Is(err, pebble.ErrNotFound):
			return s.fatal.wrap("look up", err)
		}
	}
	s.seen.mu.Lock()
	for _, i := range ask {
		if known[i] {
			s.seen.put(&refs[i])
		}
	}
	s.seen.mu.Unlock()
	return ctx.Err()
}

// compareRefs orders refs as their keys are.
func compareRefs(a, b *frontier.Ref) int {
	switch {
	case a.Partition != b.Partition:
		return int(a.Partition) - int(b.Partition)
	case a.Crawl != b.Crawl:
		return int(int64(a.Crawl) - int64(b.Crawl))
	case a.Host != b.Host:
		if a.Host < b.Host {
			return -1
		}
		return 1
	}
	return bytes.Compare(a.Key[:], b.Key[:])
}

// Lookup reads the record of each ref, the zero Record where there is none.
func (s *Store) Lookup(ctx context.Context, refs []frontier.Ref, recs []frontier.Record) error {
	var key []byte
	for i := range refs {
		key = urlKey(key[:0], &refs[i])
		v, err := get(s.db, key, func(v []byte) (frontier.Record, error) { return decodeRecord(v, true) })
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
func (s *Store) Hosts(ctx context.Context, refs []frontier.HostRef) ([]frontier.HostState, error) {
	out := make([]frontier.HostState, len(refs))
	for i, r := range refs {
		st := &out[i]
		var err error
		if st.Ready, err = s.readyRow(r); err == nil {
			st.Host, err = s.hostRow(s.db, r.Partition, r.Host)
		}
		if err != nil {
			return nil, s.fatal.wrap(fmt.Sprintf("read host %x", r.Host), err)
		}
	}
	return out, ctx.Err()
}

// readyRow reads the counters of a host in a crawl.
func (s *Store) readyRow(r frontier.HostRef) (frontier.ReadyRow, error) {
	decode := func(v []byte) (frontier.ReadyRow, error) { return decodeReady(r, v) }
	for _, kind := range []byte{kindReady, kindIdle} {
		row, err := get(s.db, hostKey(nil, kind, r.Partition, r.Crawl, r.Host), decode)
		if err != nil || row.HostRef == r {
			return row, err
		}
	}
	return frontier.ReadyRow{HostRef: r}, nil
}

// hostRow reads a host's politeness.
func (s *Store) hostRow(r pebble.Reader, partition uint32, h frontier.HostID) (frontier.HostRow, error) {
	row, err := get(r, plainHostKey(nil, partition, kindHost, h), decodeHost)
	row.Partition, row.Host = partition, h
	return row, err
}

// Window reads what a frontier wants.
func (s *Store) Window(ctx context.Context, w frontier.Want) (frontier.Filling, error) {
	var f frontier.Filling
	var err error
	if w.Robots {
		f.Robots, err = get(s.db, plainHostKey(nil, w.Partition, kindRobots, w.Host),
			func(v []byte) ([]byte, error) { return slices.Clone(v), nil })
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
			return errCorrupt
		}
		item, err := decodeItem(k, it.Value())
		if err != nil {
			return err
		}
		f.Items = append(f.Items, item)
	}
	f.More = ok
	return nil
}

// Scan reads at most n records of a crawl in the order of Ref, beginning after
// ref (zero: at the start). A queued URL's record has its URL here too.
func (s *Store) Scan(ctx context.Context, from frontier.Ref, n int) ([]frontier.URLRow, error) {
	var out []frontier.URLRow
	for p := from.Partition; p < s.cfg.Partitions && len(out) < n; p++ {
		lower := binary.BigEndian.AppendUint32(prefix(nil, p, kindURL), uint32(from.Crawl))
		opts := bounds(lower)
		if p == from.Partition && (from.Host != 0 || from.Key != frontier.Key{}) {
			opts.LowerBound = append(urlKey(nil, &from), 0)
		}
		var err error
		if out, err = s.scan(opts, out, n); err != nil {
			return nil, s.fatal.wrap("scan", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// scan appends the records of one partition.
func (s *Store) scan(opts *pebble.IterOptions, out []frontier.URLRow, n int) (_ []frontier.URLRow, err error) {
	it, err := s.db.NewIter(opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(out) < n; ok = it.Next() {
		ref, valid := parseURLKey(it.Key())
		rec, err := decodeRecord(it.Value(), true)
		if !valid || err != nil {
			return nil, errors.Join(errCorrupt, err)
		}
		if rec.State == frontier.URLQueued {
			item, err := get(s.db, queueKey(nil, ref.Partition, ref.Crawl, ref.Host, rec.QKey),
				func(v []byte) (frontier.Item, error) { return decodeItem(rec.QKey, v) })
			if err != nil {
				return nil, err
			}
			rec.URL = item.URL.String()
		}
		out = append(out, frontier.URLRow{Ref: ref, Record: rec})
	}
	return out, nil
}
