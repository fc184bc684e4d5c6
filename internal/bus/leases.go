package bus

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/crawl"
)

// Leases are keys that vanish when their holder does not renew them within
// Config.LeaseTTL: who owns a partition, and which replicas there are. It is safe for
// concurrent use. No call takes longer than half of LeaseTTL.
//
// A key says who should own a partition; what keeps two from owning it are the fences
// of the bus and of the store. So a lease needs no clock that is right.
type Leases struct {
	b *Bus

	mu sync.Mutex
	kv jetstream.KeyValue // once it was there
}

// Leases returns the leases of the cluster.
func (b *Bus) Leases() *Leases { return &Leases{b: b} }

// Claim takes a key that nobody has, and returns the revision for Renew and Release.
// ErrTaken says that somebody has it, an error of kind Unavailable that it may have
// been taken or not.
//
// The value names the holder and is different for every one, down to the process: a
// key that has the same value is the caller's own, by a call whose answer was lost.
func (l *Leases) Claim(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := l.timely(ctx)
	defer cancel()
	kv, err := l.bucket(ctx)
	if err != nil {
		return 0, err
	}
	rev, err := kv.Create(ctx, key, value)
	switch {
	case err == nil:
		return rev, nil
	case errors.Is(err, jetstream.ErrInvalidKey):
		return 0, crawl.Errorf(crawl.Invalid, "claim %q: %w", key, err)
	case !errors.Is(err, jetstream.ErrKeyExists):
		return 0, unavailable("claim "+key, err)
	}
	own, err := l.own(ctx, kv, key, value)
	if err == nil && own == 0 {
		err = crawl.Errorf(crawl.Conflict, "claim %s: %w", key, ErrTaken)
	}
	return own, err
}

// Renew gives the key its full time again and returns its new revision. ErrLost says
// that the holder has lost it, an error of kind Unavailable that it may have been
// renewed or not: then the old revision is good for another try.
func (l *Leases) Renew(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	ctx, cancel := l.timely(ctx)
	defer cancel()
	kv, err := l.bucket(ctx)
	if err != nil {
		return 0, err
	}
	rev, err := kv.Update(ctx, key, value, revision)
	switch {
	case err == nil:
		return rev, nil
	case !errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return 0, unavailable("renew "+key, err)
	}
	own, err := l.own(ctx, kv, key, value)
	switch {
	case err != nil:
		return 0, err
	case own > revision: // by a call whose answer was lost
		return own, nil
	case own != 0:
		return 0, crawl.Errorf(crawl.Unavailable, "renew %s: another renewal is on its way", key)
	default:
		return 0, crawl.Errorf(crawl.Conflict, "renew %s: %w", key, ErrLost)
	}
}

// own returns the revision of a key whose value is the caller's, otherwise 0.
func (l *Leases) own(ctx context.Context, kv jetstream.KeyValue, key string, value []byte) (uint64, error) {
	e, err := kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return 0, nil
	case err != nil:
		return 0, unavailable("read "+key, err)
	case !bytes.Equal(e.Value(), value):
		return 0, nil
	default:
		return e.Revision(), nil
	}
}

// Release gives a key back at once. It is no error when it was lost already.
func (l *Leases) Release(ctx context.Context, key string, revision uint64) error {
	ctx, cancel := l.timely(ctx)
	defer cancel()
	kv, err := l.bucket(ctx)
	if err != nil {
		return err
	}
	err = kv.Delete(ctx, key, jetstream.LastRevision(revision))
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return nil
	}
	return unavailable("release "+key, err)
}

// timely bounds a call, so that one whose answer is lost can be made again before the
// key runs out.
func (l *Leases) timely(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, l.b.cfg.LeaseTTL/2)
}

// bucket opens the bucket; a call to a server that is away would wait in the
// connection's buffer and come too late.
func (l *Leases) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	if !l.b.nc.IsConnected() {
		return nil, unavailable("open bucket "+bucketPartitions, nats.ErrDisconnected)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kv == nil {
		kv, err := l.b.bucket(ctx, bucketPartitions)
		if err != nil {
			return nil, err
		}
		l.kv = kv
	}
	return l.kv, nil
}

// Watch calls change for every key that there is, then synced, then change for every
// key that is claimed, renewed, released or ran out, until ctx ends; then it returns
// nil. When the server was away it begins again: change hears of all keys anew and
// of those that have vanished meanwhile, before synced is called another time. All
// calls come one after the other. The value is nil when the key is not present, and
// change may keep it.
func (l *Leases) Watch(ctx context.Context, change func(key string, value []byte, present bool), synced func()) error {
	known := make(map[string]bool) // by key: whether this watch has seen it
	l.b.follow(ctx, bucketPartitions, func() func(jetstream.KeyValueEntry) error {
		for key := range known {
			known[key] = false
		}
		return func(e jetstream.KeyValueEntry) error {
			if e == nil {
				for key, seen := range known {
					if !seen {
						delete(known, key)
						change(key, nil, false)
					}
				}
				synced()
				return nil
			}
			if e.Operation() == jetstream.KeyValuePut {
				known[e.Key()] = true
				change(e.Key(), e.Value(), true)
			} else if _, ok := known[e.Key()]; ok {
				delete(known, e.Key())
				change(e.Key(), nil, false)
			}
			return nil
		}
	})
	return nil
}

// TTL is how long a key lives without being renewed.
func (l *Leases) TTL() time.Duration { return l.b.cfg.LeaseTTL }
