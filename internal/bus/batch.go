package bus

import (
	"context"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// BatchOptions of ConsumeBatch.
type BatchOptions struct {
	// Max is the number of messages in a batch, unless a bundle has more. At least 1.
	Max int
	// Bytes ends a batch when its messages are as long together; a single message
	// may be longer. 0 for no bound.
	Bytes int
	// Age is the least time between the beginnings of two batches, unless the second is
	// full. After a rest the first message waits only a twentieth of it for others: then
	// nobody gains by a longer one. 0 hands over what is there whenever the handler is free.
	Age time.Duration
	// SoftStop is how long the handler may go on after ctx ended. Default 10 s.
	SoftStop time.Duration
}

// ConsumeBatch calls h with the messages of a set of consumers in batches, one
// call at a time, until ctx ends. The set may change meanwhile and be empty; one call
// at a time works on it. While h works the next batch is gathered; no
// more than two batches are in hand (with several consumers their open pulls may
// bring two more). Messages of one consumer keep their order unless they are
// delivered again.
//
// What h returns decides about the whole batch as in Consume, save that after
// Invalid, NotFound, Conflict or Internal from a batch of several h is called again with
// each message alone, so that one bad message does not take others with it. The
// slice is h's only until it returns.
func (b *Bus) ConsumeBatch(ctx context.Context, set *ConsumerSet, opt BatchOptions, h func(context.Context, []Delivery) error) error {
	if opt.Max < 1 {
		return crawl.Errorf(crawl.Internal, "consume batches of %d", opt.Max)
	}
	s := b.newSession()
	s.workers = 1
	s.softStop = opt.SoftStop
	s.target = 2 * opt.Max
	s.bytesLimit = 2 * opt.Bytes
	s.unit = func(now time.Time, _ int) int { return s.batch(opt, now) }
	s.wake = func() time.Time { return s.batchAt(opt) }
	s.handle = func(hctx context.Context, u []*delivery) { s.many(hctx, u, h) }
	return s.run(ctx, set)
}

// batch returns how many of the waiting make a batch now, 0 for none yet.
func (s *session) batch(opt BatchOptions, now time.Time) int {
	n, units, bytes := 0, 0, 0
	for _, d := range s.waiting {
		bytes += len(d.Data)
		units += d.units()
		if n > 0 && (units > opt.Max || opt.Bytes > 0 && bytes > opt.Bytes) {
			return n // full
		}
		n++
	}
	if units >= opt.Max || !now.Before(s.batchAt(opt)) || opt.Bytes > 0 && bytes >= opt.Bytes {
		return n
	}
	return 0
}

// batchAt is when those that wait are a batch, full or not.
func (s *session) batchAt(opt BatchOptions) time.Time {
	soonest, next := s.waiting[0].arrived.Add(opt.Age/20), s.begun.Add(opt.Age)
	if next.After(soonest) {
		return next
	}
	return soonest
}

// many handles and settles a batch.
func (s *session) many(ctx context.Context, u []*delivery, h func(context.Context, []Delivery) error) {
	ds := make([]Delivery, 0, len(u))
	for _, d := range u {
		ds = append(ds, d.each()...)
	}
	what, err := s.call(ctx, u[0].src.consumer.label, func(ctx context.Context) error { return h(ctx, ds) })
	if len(ds) == 1 || err == nil || what == release {
		for _, d := range u {
			s.settle(ctx, d, what, err)
		}
		return
	}
	s.log.Debug("batch failed, handling its messages one by one", "consumer", u[0].src.consumer.label, "messages", len(ds), "err", err)
	alone := func(ctx context.Context, d Delivery) error { return h(ctx, []Delivery{d}) }
	for _, d := range u {
		switch {
		case s.stop.Err() != nil:
			s.settle(ctx, d, release, nil) // the rest can be somebody else's
		case len(d.parts) > 0:
			s.handleBundle(ctx, d, false, alone)
		default:
			s.one(ctx, d, func(ctx context.Context) error { return alone(ctx, d.Delivery) })
		}
	}
}
