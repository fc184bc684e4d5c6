package bus

import (
	"context"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// DeadLetters calls h for every dead letter until ctx ends.
func (b *Bus) DeadLetters(ctx context.Context, h func(context.Context, *crawlv1.DeadLetter) error) error {
	return crawl.Errorf(crawl.Unavailable, "dead letters: not yet written")
}
