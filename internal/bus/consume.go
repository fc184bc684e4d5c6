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
}

// Consume calls h for the messages of a consumer until ctx ends, with
// Options.Concurrency workers: a free one takes the next message at once.
func (b *Bus) Consume(ctx context.Context, c Consumer, opt Options, h func(context.Context, Delivery) error) error {
	return crawl.Errorf(crawl.Unavailable, "consume: not yet written")
}
