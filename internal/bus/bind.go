package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/crawl"
)

// apiPrefix begins the subjects of all calls to JetStream.
const apiPrefix = "$JS.API."

// topologyBackoff is between two looks for what somebody else is to declare.
var topologyBackoff = backoff{100 * time.Millisecond, 2 * time.Second}

// errUndeclared: a part of the topology is not there.
var errUndeclared = errors.New("it is not there, and this NATS user may not make it: run weir topology apply, with the same settings")

// declare makes a part of the topology, or waits for it where the user may not: until
// find returns nil, or ctx ends.
func (b *Bus) declare(ctx context.Context, declare, find func(context.Context) error) error {
	if !b.bound.Load() {
		b.asking.Store(true)
		err := declare(ctx)
		b.asking.Store(false)
		if !errors.Is(err, errForbidden) {
			return err
		}
		b.bound.Store(true)
		b.log.Info("this NATS user may not declare the topology: using what is there")
	}
	for n := 0; ; n++ {
		err := b.unlessRefused(ctx, apiPrefix, find)
		if err == nil {
			if n > 3 {
				b.log.Info("the topology is there")
			}
			return nil
		}
		if n%30 == 3 {
			b.log.Warn("waiting for the topology", "err", err)
		}
		if !sleep(ctx, topologyBackoff.Delay(n, random)) {
			return crawl.Errorf(crawl.Unavailable, "wait for the topology: %w", err)
		}
	}
}

// findBuckets returns nil when the buckets are there.
func (b *Bus) findBuckets(ctx context.Context) error {
	for _, kv := range b.buckets() {
		_, err := b.js.KeyValue(ctx, kv.Bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			err = errUndeclared
		}
		if err != nil {
			return unavailable("find bucket "+kv.Bucket, err)
		}
	}
	return nil
}

// findTopology returns nil when all is there that EnsureTopology makes. Whether it has
// the same settings it does not say.
func (b *Bus) findTopology(ctx context.Context, partitions uint32) error {
	if err := b.findBuckets(ctx); err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, s := range b.streams() {
		h, err := b.js.Stream(ctx, s.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = errUndeclared
		}
		if err != nil {
			return unavailable("find stream "+s.Name, err)
		}
		names := h.ConsumerNames(ctx)
		for name := range names.Name() {
			there[s.Name+"/"+name] = true
		}
		if err := names.Err(); err != nil {
			return unavailable("list consumers of "+s.Name, err)
		}
	}
	for _, d := range b.consumers(partitions) {
		if !there[d.consumer.String()] {
			return unavailable("find consumer "+d.consumer.String(), errUndeclared)
		}
	}
	return nil
}
