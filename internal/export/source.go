package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// Source has a crawl's items, in the order of their commit.
type Source interface {
	// Each calls f for the items after a cursor that are there now, at most limit of them
	// (0: all), and returns the cursor of the last. An error of f ends it and is returned
	// as it is.
	Each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error)
}

// Remote reads items from a storage service.
type Remote struct {
	// Client of the service.
	Client storagev1.StorageServiceClient
	// Request to send; its After and Limit do not matter.
	Request *storagev1.ListItemsRequest
}

// resumeTries is how often in a row a reading that broke off is taken up again, and
// resumePause the time before: a storage that restarts is back by then, or another one
// has taken over.
const (
	resumeTries = 60
	resumePause = 500 * time.Millisecond
)

// Each implements Source. A reading that breaks off in the middle since the storage
// stops goes on behind the last item, at another replica if there is one.
func (r Remote) Each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	begin, read := after, uint64(0)
	for tries := 0; ; tries++ {
		left := limit
		if limit > 0 {
			left = limit - read
		}
		var failed bool // f
		last, err := r.each(ctx, after, left, func(item *storagev1.StoredItem) error {
			tries = 0
			if err := f(item); err != nil {
				failed = true
				return err
			}
			read++
			return nil
		})
		after = last
		if err == nil || failed || crawl.KindOf(err) != crawl.Unavailable || last == begin || tries >= resumeTries {
			return after, err
		}
		if limit > 0 && read == limit {
			return after, nil
		}
		pause := time.NewTimer(resumePause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return after, context.Cause(ctx)
		case <-pause.C:
		}
	}
}

// each is one reading.
func (r Remote) each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := r.Request
	req := &storagev1.ListItemsRequest{
		CrawlId: q.GetCrawlId(), Rule: q.GetRule(), Rejected: q.GetRejected(), Filter: q.GetFilter(), After: after, Limit: limit,
	}
	stream, err := r.Client.ListItems(ctx, req)
	if err != nil {
		return after, fmt.Errorf("read items: %w", err)
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return after, nil
		}
		if err != nil {
			return after, fmt.Errorf("read items: %w", err)
		}
		for _, item := range resp.GetItems() {
			if err := f(item); err != nil {
				return after, err
			}
			after = item.GetCursor()
		}
	}
}

// errEnd ends a reading that has come to its end before the source has.
var errEnd = errors.New("end of the range")

// upTo calls f for the items in (after, end]; end 0 is what is there now.
func upTo(ctx context.Context, src Source, after, end uint64, f func(*storagev1.StoredItem) error) error {
	_, err := src.Each(ctx, after, 0, func(item *storagev1.StoredItem) error {
		if end > 0 && item.GetCursor() > end {
			return errEnd
		}
		if err := f(item); err != nil {
			return err
		}
		if item.GetCursor() == end {
			return errEnd // spares the source the rest
		}
		return nil
	})
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}
