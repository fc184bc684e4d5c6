package bus

import (
	"context"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// Delivery is one message as a handler sees it.
type Delivery struct {
	// Subject it was published to.
	Subject string
	// Data is the message. The handler may keep it and must not change it.
	Data []byte
	// Number of this delivery, from 1.
	Number uint64
	// Failures are those that HoldPage was told of; 0 for what was never put aside.
	Failures int
	// Trace is Message.Trace, "" for none.
	Trace string
	// Stored is when the stream got the message, by the server's clock. Only with Trace.
	Stored time.Time
}

// Options of Consume.
type Options struct {
	// Concurrency is how many handlers run at once. At least 1.
	Concurrency int
	// Prefetch is how many messages wait in this process for a free handler, kept
	// alive meanwhile. 0 stands for half of Concurrency, from 1 to 16; -1 for none.
	Prefetch int
	// MaxBytes stops pulling while the messages in hand are longer than this. 0
	// for no bound.
	MaxBytes int
	// SoftStop is how long handlers may go on after ctx ended. Default 10 s.
	SoftStop time.Duration
	// Limit says how many handlers may run at the moment, at most Concurrency; asked
	// often, from one goroutine. What runs goes on when it falls. Nil: Concurrency.
	Limit func() int
	// Raised gets a value when Limit has risen, for what waits to begin at once and not
	// with the next message that comes or goes. Nil: it can wait.
	Raised <-chan struct{}
}

// prefetch returns the number that Prefetch stands for.
func (o Options) prefetch() int {
	switch {
	case o.Prefetch < 0:
		return 0
	case o.Prefetch > 0:
		return o.Prefetch
	default:
		return min(16, max(1, o.Concurrency/2))
	}
}

// Consume calls h for the messages of a consumer until ctx ends, with
// Options.Concurrency workers: a free one takes the next message at once, or all of a
// bundle, for which it calls h at the same time.
// Messages in hand are kept alive however long h takes. The consumer need not
// exist yet, and the server may go away and come back.
//
// What h returns decides about the message:
//
//	nil, Conflict, Precondition, Throttled   acked
//	ErrFenced                                given back at once
//	Invalid, NotFound                        moved to the dead letters
//	Unavailable                              h is called again with back-off; nothing is pulled meanwhile
//	Internal, any other error, a panic       delivered again, a dead letter at the MaxDeliver-th delivery
//
// When ctx ends, messages not started are given back at once; handlers go on
// under a context of their own for Options.SoftStop, after which that ends with
// cause run.ErrStopping and their messages are given back too. Consume returns
// nil then; an error only when the connection was closed for good.
func (b *Bus) Consume(ctx context.Context, c Consumer, opt Options, h func(context.Context, Delivery) error) error {
	if opt.Concurrency < 1 {
		return crawl.Errorf(crawl.Internal, "consume %s: concurrency is %d", c, opt.Concurrency)
	}
	s := b.newSession()
	s.workers, s.limit, s.raised = opt.Concurrency, opt.Limit, opt.Raised
	s.softStop = opt.SoftStop
	s.target = opt.Concurrency + opt.prefetch()
	s.bytesLimit = opt.MaxBytes
	s.unit = func(time.Time, int) int { return 1 }
	s.wake = time.Now
	s.handle = func(hctx context.Context, u []*delivery) {
		if len(u[0].parts) > 0 {
			s.handleBundle(hctx, u[0], true, h)
			return
		}
		s.one(hctx, u[0], func(ctx context.Context) error {
			if isBell(u[0].Subject) {
				return nil // somebody is here now
			}
			return h(ctx, u[0].Delivery)
		})
	}
	return s.run(ctx, NewConsumerSet(c))
}

// newSession fills what all sessions have.
func (b *Bus) newSession() *session {
	return &session{b: b, nc: b.nc, log: b.log}
}

// one handles and settles a message alone.
func (s *session) one(ctx context.Context, d *delivery, h func(context.Context) error) {
	what, err := s.call(ctx, d.src.consumer.label, h)
	s.settle(ctx, d, what, err)
}

// call calls a handler until a part that is down has come back, and returns what
// is to become of its messages. While it waits, the session pulls nothing.
func (s *session) call(ctx context.Context, label string, h func(context.Context) error) (disposition, error) {
	if s.stop.Err() != nil {
		return release, nil // nothing new is begun once the stop was asked for
	}
	for n := 0; ; n++ {
		begin := time.Now()
		err := guard(func() error { return h(ctx) })
		s.b.m.seconds.WithLabelValues(label).Observe(time.Since(begin).Seconds())
		what := dispositionOf(err)
		switch {
		case err != nil && what != ack && ctx.Err() != nil:
			return release, err // cancelled at a stop: no failure of the message
		case what != retry:
			return what, err
		}
		if n == 2 {
			s.log.Warn("a part is down, holding messages until it is back", "consumer", label, "err", err)
		}
		s.hold.Add(1)
		alive := sleep(s.stop, retryBackoff.Delay(n, random))
		s.hold.Add(-1)
		if !alive {
			return release, err
		}
	}
}
