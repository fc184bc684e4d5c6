package pebblestore

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// Apply makes a batch visible to all other methods and begins to make it
// durable; batches become durable in order. It does not keep b. It writes all of a
// batch or nothing.
func (s *Store) Apply(b *frontier.Batch) (frontier.Commit, error) {
	for _, p := range s.touched.Of(b) {
		if p >= s.cfg.Partitions || !s.held[p].Load() {
			return nil, crawl.Errorf(crawl.Conflict, "frontier store %s: partition %d: %w", s.cfg.Dir, p, frontier.ErrFenced)
		}
	}
	w := writer{b: s.db.NewBatchWithSize(256 * (len(b.URLs) + len(b.Queue) + 4))}
	w.write(b)
	if w.err != nil {
		return nil, errors.Join(s.fatal.wrap("encode", w.err), w.b.Close())
	}
	s.applies.Add(1)
	err := s.fatal.guard(func() error {
		defer s.applies.Done()
		if !b.Sync {
			return errors.Join(s.db.Apply(w.b, pebble.NoSync), w.b.Close())
		}
		return s.db.ApplyNoSyncWait(w.b, pebble.Sync)
	})
	if err != nil {
		s.fatal.fail(err) // the frontier is ahead of the store now, so this is the end
		return nil, s.fatal.wrap("write", err)
	}
	s.remember(b)
	if !b.Sync {
		return noWait{}, nil
	}
	return &commit{s: s, b: w.b}, nil
}

// remember keeps the caches in step with what was applied.
func (s *Store) remember(b *frontier.Batch) {
	s.seen.Wrote(b.URLs)
	s.due.Wrote(b.Due)
}

// noWait is a commit that need not be durable.
type noWait struct{}

// Wait returns at once.
func (noWait) Wait() error { return nil }

// commit is a batch whose fsync is under way.
type commit struct {
	s    *Store
	b    *pebble.Batch
	once sync.Once
	err  error
}

// Wait returns when the batch and all before it are durable.
func (c *commit) Wait() error {
	c.once.Do(func() {
		err := c.s.fatal.guard(func() error { return errors.Join(c.b.SyncWait(), c.b.Close()) })
		if err != nil {
			c.s.fatal.fail(err)
		}
		c.err = c.s.fatal.wrap("sync", err)
	})
	return c.err
}

// writer encodes rows into a Pebble batch, reusing two buffers.
type writer struct {
	b        *pebble.Batch
	key, val []byte
	err      error
}

// write adds all rows of a batch.
func (w *writer) write(b *frontier.Batch) {
	for i := range b.URLs {
		r := &b.URLs[i]
		w.set(urlKey(w.key[:0], &r.Ref), rows.AppendRecord(w.val[:0], &r.Record))
	}
	for i := range b.Queue {
		r := &b.Queue[i]
		k := queueKey(w.key[:0], r.Ref.Partition, r.Ref.Crawl, r.Ref.Host, r.Item.QKey)
		if r.Delete {
			w.del(k)
		} else {
			w.set(k, rows.AppendItem(w.val[:0], &r.Item))
		}
	}
	for i := range b.Due {
		r := &b.Due[i]
		k := dueKey(w.key[:0], rows.Millis(r.At), &r.Ref)
		if r.Delete {
			w.del(k)
		} else {
			w.set(k, w.val[:0])
		}
	}
	for i := range b.Ready {
		w.ready(&b.Ready[i])
	}
	for i := range b.Leases {
		w.lease(&b.Leases[i])
	}
	w.writeRare(b)
}

// writeRare adds the rows that are few.
func (w *writer) writeRare(b *frontier.Batch) {
	for i := range b.Hosts {
		r := &b.Hosts[i]
		w.set(plainKey(w.key[:0], r.Partition, kindHost, r.Host), rows.AppendHost(w.val[:0], r))
	}
	for i := range b.Robots {
		r := &b.Robots[i]
		k := plainKey(w.key[:0], r.Partition, kindRobots, r.Host)
		if len(r.Text) == 0 {
			w.del(k)
		} else {
			w.set(k, append(w.val[:0], r.Text...))
		}
	}
	for i := range b.Jars {
		r := &b.Jars[i]
		w.set(hostKey(w.key[:0], kindJar, r.Partition, r.Crawl, r.Site), rows.AppendJar(w.val[:0], r))
	}
	for i := range b.Crawls {
		v, err := rows.AppendCrawl(w.val[:0], &b.Crawls[i])
		if err != nil {
			w.err = errors.Join(w.err, err)
			continue
		}
		w.set(crawlKey(w.key[:0], global, kindCrawl, b.Crawls[i].No), v)
	}
	for i := range b.Stats {
		r := &b.Stats[i]
		w.set(crawlKey(w.key[:0], r.Partition, kindStats, r.No), rows.AppendStats(w.val[:0], r))
	}
	for i := range b.Outbox {
		w.outbox(&b.Outbox[i])
	}
	if b.Seq > 0 {
		w.err = errors.Join(w.err, setNumber(w.b, metaKey(metaSeq), b.Seq))
	}
}

// ready writes the counters of a host in a crawl among those with work or those
// without, and takes them out of the other.
func (w *writer) ready(r *frontier.ReadyRow) {
	put, drop := byte(kindReady), byte(kindIdle)
	if r.Rows == 0 {
		put, drop = drop, put
	}
	w.set(hostKey(w.key[:0], put, r.Partition, r.Crawl, r.Host), rows.AppendReady(w.val[:0], r))
	if r.Moved {
		w.del(hostKey(w.key[:0], drop, r.Partition, r.Crawl, r.Host))
	}
}

// lease writes or deletes a lease.
func (w *writer) lease(r *frontier.LeaseRow) {
	k := plainKey(w.key[:0], r.Partition, kindLease, uint64(r.ID))
	if r.Delete {
		w.del(k)
	} else {
		w.set(k, rows.AppendLease(w.val[:0], r))
	}
}

// outbox writes or deletes links for another partition.
func (w *writer) outbox(r *frontier.OutboxRow) {
	k := plainKey(w.key[:0], r.Partition, kindOutbox, r.Seq)
	if r.Delete {
		w.del(k)
	} else {
		w.set(k, rows.AppendOutbox(w.val[:0], r))
	}
}

// set adds a row; k and v are the buffers, which may have grown.
func (w *writer) set(k, v []byte) {
	w.key, w.val = k, v
	if err := w.b.Set(k, v, nil); err != nil {
		w.err = errors.Join(w.err, err)
	}
}

// del adds a deletion.
func (w *writer) del(k []byte) {
	w.key = k
	if err := w.b.Delete(k, nil); err != nil {
		w.err = errors.Join(w.err, err)
	}
}
