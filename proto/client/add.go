package client

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// addBatch is how many URLs travel in a message, as many as a server takes.
const addBatch = 1000

// Added counts what became of URLs.
type Added struct {
	// Added URLs were new to the crawl, Known ones were not, Refused ones do not belong
	// to it.
	Added, Known, Refused uint64
	// Examples are the first refused URLs, at most 10, with the reasons.
	Examples []*schedulerv1.RefusedURL
}

// Add adds URLs to the crawl and returns when all are durable. It reads them a thousand at
// a time, each when the one before is acknowledged, so that memory does not depend on their
// number. A quota that is used up and a server that goes away are waited for; adding a URL
// twice changes nothing.
func (cr *Crawl) Add(ctx context.Context, urls iter.Seq[string]) (Added, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also ends the stream
	a := &adder{cr: cr}
	batch := make([]string, 0, addBatch)
	for u := range urls {
		if batch = append(batch, u); len(batch) < addBatch {
			continue
		}
		if err := a.send(ctx, batch); err != nil {
			return a.total, err
		}
		batch = batch[:0]
	}
	// The last one, perhaps empty: it finds out whether there is such a crawl.
	err := a.send(ctx, batch)
	if err == nil {
		err = a.end()
	}
	return a.total, err
}

// adder is a stream and what it said.
type adder struct {
	cr     *Crawl
	stream schedulerv1.CrawlService_AddURLsClient
	sent   uint64 // messages of the stream
	added  uint64 // of the stream, as are known
	known  uint64
	total  Added
}

// send sends a batch until it is acknowledged.
func (a *adder) send(ctx context.Context, urls []string) error {
	for tries := 0; ; tries++ {
		err := a.try(ctx, urls)
		if err == nil {
			return nil
		}
		a.stream = nil
		wait, throttled := RetryAfter(err)
		switch {
		case throttled:
			tries = 0 // it said when to come again
		case status.Code(err) == codes.Unavailable && tries < maxTries:
			wait = pause
		default:
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// try sends a batch once and waits for its acknowledgement.
func (a *adder) try(ctx context.Context, urls []string) error {
	if a.stream == nil {
		stream, err := a.cr.c.Crawls.AddURLs(ctx)
		if err != nil {
			return err
		}
		a.stream, a.sent, a.added, a.known = stream, 0, 0, 0
	}
	if err := a.stream.Send(&schedulerv1.AddURLsRequest{Crawl: a.cr.ID, Urls: urls}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for a.sent++; ; {
		resp, err := a.stream.Recv()
		if err != nil {
			return err // also the reason of a Send that found the stream gone
		}
		a.take(resp)
		if resp.GetBatches() >= a.sent {
			return nil
		}
	}
}

// take counts an acknowledgement, whose sums are those of the stream.
func (a *adder) take(resp *schedulerv1.AddURLsResponse) {
	a.total.Added += resp.GetAdded() - a.added
	a.total.Known += resp.GetKnown() - a.known
	a.added, a.known = resp.GetAdded(), resp.GetKnown()
	a.total.Refused += uint64(len(resp.GetRefused()))
	room := max(10-len(a.total.Examples), 0)
	a.total.Examples = append(a.total.Examples, resp.GetRefused()[:min(room, len(resp.GetRefused()))]...)
}

// end ends the stream in order.
func (a *adder) end() error {
	if err := a.stream.CloseSend(); err != nil {
		return err
	}
	for {
		resp, err := a.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.take(resp)
	}
}
