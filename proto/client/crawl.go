package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const (
	// waitSlice is how long one call of WaitCrawl lasts: below the time after which
	// servers move long-lived connections on.
	waitSlice = 5 * time.Minute
	// maxTries bounds how often a stream that broke is opened again without having got
	// any further, and pause is what is waited before: together what a scheduler that is
	// replaced needs at most.
	maxTries = 30
	pause    = time.Second
)

// ErrTimeout is what Wait's error is when the time was over before the crawl.
var ErrTimeout = errors.New("the crawl has not ended yet")

// Crawl is a crawl on the server. It is safe for concurrent use.
type Crawl struct {
	// ID of the crawl.
	ID string

	c *Client
}

// Submission says more about a crawl that is submitted; the zero value nothing.
type Submission struct {
	// Close takes no URLs after those of the spec: the crawl ends when its queue is empty.
	// Default: it takes more until Crawl.Close.
	Close bool
	// RequestID makes it safe to submit again after an error: the same id gives the same
	// crawl. At most 64 bytes.
	RequestID string
}

// Submit creates a crawl, which starts at once. The answer means that it is durable.
func (c *Client) Submit(ctx context.Context, spec *crawlv1.CrawlSpec, s Submission) (*Crawl, error) {
	resp, err := c.Crawls.CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: spec, Close: s.Close, RequestId: s.RequestID})
	if err != nil {
		return nil, err
	}
	return c.Crawl(resp.GetCrawl().GetId()), nil
}

// Crawl returns a crawl by its id, without asking whether there is one.
func (c *Client) Crawl(id string) *Crawl { return &Crawl{ID: id, c: c} }

// Status reads how the crawl stands.
func (cr *Crawl) Status(ctx context.Context) (*crawlv1.Crawl, error) { return cr.c.Get(ctx, cr.ID) }

// Close takes no more URLs; the crawl ends when its queue is empty.
func (cr *Crawl) Close(ctx context.Context) error {
	_, err := cr.c.Crawls.CloseCrawl(ctx, &schedulerv1.CloseCrawlRequest{Crawl: cr.ID})
	return err
}

// Cancel stops the crawl now. What it kept stays.
func (cr *Crawl) Cancel(ctx context.Context) error {
	_, err := cr.c.Crawls.CancelCrawl(ctx, &schedulerv1.CancelCrawlRequest{Crawl: cr.ID})
	return err
}

// Wait waits until the crawl has ended, at most for a time (0: as long as ctx lasts), and
// returns how it stands then. The error is ErrTimeout when the time was over.
func (cr *Crawl) Wait(ctx context.Context, timeout time.Duration) (*crawlv1.Crawl, error) {
	deadline := time.Now().Add(timeout)
	for tries := 0; ; {
		slice := waitSlice
		if timeout > 0 {
			slice = min(slice, max(time.Until(deadline), 0))
		}
		resp, err := cr.c.Crawls.WaitCrawl(ctx, &schedulerv1.WaitCrawlRequest{Crawl: cr.ID, Timeout: durationpb.New(slice)})
		switch {
		case status.Code(err) == codes.Unavailable && tries < maxTries && ctx.Err() == nil:
			// A replica that stops ends its waits; another one goes on.
			tries++
			if err := sleep(ctx, pause); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case resp.GetDone():
			return resp.GetCrawl(), nil
		case timeout > 0 && !time.Now().Before(deadline):
			return resp.GetCrawl(), fmt.Errorf("wait for crawl %s: %w after %s", cr.ID, ErrTimeout, timeout)
		}
		tries = 0
	}
}

// Item is an item that a crawl made.
type Item struct {
	// Cursor is its position: Items goes on after it.
	Cursor uint64
	// URL of its page, and Rule that made it.
	URL, Rule string
	// JSON is the item.
	JSON json.RawMessage
}

// Decode reads the item into v, as json.Unmarshal does.
func (i Item) Decode(v any) error {
	if err := json.Unmarshal(i.JSON, v); err != nil {
		return fmt.Errorf("read the item %d of %s: %w", i.Cursor, i.URL, err)
	}
	return nil
}

// Items are the items after a cursor (0: all) as they come, until the crawl has ended and
// all were seen. A stream that breaks is opened again where it was: no item is missed and
// none comes twice. The last pair has the error, if there is one.
func (cr *Crawl) Items(ctx context.Context, after uint64) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // also ends a stream that is left early
		for tries := 0; ; tries++ {
			began := after
			stopped, err := cr.tail(ctx, &after, yield)
			if stopped {
				return
			}
			if after > began {
				tries = 0
			}
			if err == nil {
				return
			}
			if status.Code(err) != codes.Unavailable || tries >= maxTries || sleep(ctx, pause) != nil {
				yield(Item{}, err)
				return
			}
		}
	}
}

// tail reads one stream to its end; stopped says that the reader wants no more.
func (cr *Crawl) tail(ctx context.Context, after *uint64, yield func(Item, error) bool) (stopped bool, err error) {
	stream, err := cr.c.Storage.Tail(ctx, &storagev1.TailRequest{CrawlId: cr.ID, After: *after})
	if err != nil {
		return false, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		for _, it := range m.GetItems() {
			*after = it.GetCursor()
			if !yield(Item{Cursor: it.GetCursor(), URL: it.GetUrl(), Rule: it.GetRule(), JSON: it.GetJson()}, nil) {
				return true, nil
			}
		}
		*after = max(*after, m.GetCursor())
	}
}

// Results waits until the crawl has ended and returns all its items. They are in memory
// all at once: for many, range over Items.
func (cr *Crawl) Results(ctx context.Context) ([]Item, error) {
	var all []Item
	for it, err := range cr.Items(ctx, 0) {
		if err != nil {
			return all, err
		}
		all = append(all, it)
	}
	return all, nil
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
