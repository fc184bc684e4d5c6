package bus

import (
	"context"

	"github.com/weircrawl/weir/internal/crawl"
)

// InFlight returns the leases of all messages in the ring.
func (b *Bus) InFlight(ctx context.Context) (map[uint64]struct{}, error) {
	return nil, crawl.Errorf(crawl.Unavailable, "in flight: not yet written")
}
