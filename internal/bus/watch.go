package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// follow watches a bucket until ctx ends, anew after the server was away and with
// back-off while the bucket does not exist. begin is called before each watch; what
// it returns gets every key that is there, then nil, then every change. An error of
// it has the watch begin anew, too.
func (b *Bus) follow(ctx context.Context, bucket string, begin func() func(jetstream.KeyValueEntry) error) {
	for n := 0; ; n++ {
		began, err := b.watch(ctx, bucket, begin())
		if began {
			n = 0
		}
		if n == 3 {
			b.log.Warn("cannot follow a bucket", "bucket", bucket, "err", err)
		}
		if ctx.Err() != nil || !sleep(ctx, bindBackoff.Delay(n, random)) {
			return
		}
	}
}

// watch watches until the watch ends, and reports whether it read all that was there
// and no error of take was what ended it.
func (b *Bus) watch(ctx context.Context, bucket string, take func(jetstream.KeyValueEntry) error) (began bool, err error) {
	kv, err := b.bucket(ctx, bucket)
	if err != nil {
		return false, err
	}
	// A watch takes 20 s to notice that the server has come back; a new one reads
	// all that is there at once.
	status := b.nc.StatusChanged(nats.CONNECTED)
	defer b.nc.RemoveStatusListener(status)
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return false, unavailable("watch "+bucket, err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return began, nil
		case <-status:
			return began, errors.New("the server was away")
		case e, ok := <-w.Updates():
			if !ok {
				return began, errors.New("the watch ended")
			}
			began = began || e == nil // nil separates what was there from what changes
			if err := take(e); err != nil {
				return false, err
			}
		}
	}
}

func (b *Bus) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, name)
	return kv, unavailable("open bucket "+name, err)
}
