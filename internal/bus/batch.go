package bus

import (
	"context"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// BatchOptions of ConsumeBatch.
type BatchOptions struct {
	// Max is the number of messages in a batch. At least 1.
	Max int
	// Bytes ends a batch when its messages are as long together. 0 for no bound.
	Bytes int
	// Age ends a batch when its first message has waited so long. 0 hands over
	// what is there whenever the handler is free.
	Age time.Duration
	// SoftStop is how long the handler may go on after ctx ended. Default 10 s.
	SoftStop time.Duration
}

// ConsumeBatch calls h with batches.
func (b *Bus) ConsumeBatch(ctx context.Context, cs []Consumer, opt BatchOptions, h func(context.Context, []Delivery) error) error {
	return crawl.Errorf(crawl.Unavailable, "consume: not yet written")
}
