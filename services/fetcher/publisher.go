package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

const (
	// headroom is what a message may hold besides its body: headers of up to
	// 128 KiB, and the rest.
	headroom = 192 << 10
	// putPiece is the longest piece of a stored body.
	putPiece = 256 << 10
)

// report frees the host's slot. It may be lost, which costs only time.
func (s *Service) report(ref *crawlv1.TaskRef, r *client.Result) {
	msg := &crawlv1.FetchReport{
		CrawlId:    ref.GetCrawlId(),
		Host:       ref.GetHost(),
		Lease:      ref.GetLease(),
		Status:     uint32(r.Status),
		Error:      crawlv1.ErrorClass(r.Class),
		Duration:   durationpb.New(r.Duration),
		RemoteAddr: r.RemoteAddr,
	}
	if r.RetryAfter > 0 {
		msg.RetryAfter = durationpb.New(r.RetryAfter)
	}
	if err := s.deps.Bus.SendReport(ref.GetPartition(), msg); err != nil {
		s.m.reportsLost.Inc()
	}
}

// publish hands the outcome to the next stage and returns when its stream has it.
// It waits for as long as ctx lasts rather than let the exchange be done again.
func (s *Service) publish(ctx context.Context, ref *crawlv1.TaskRef, f *crawlv1.FetchResult, r *client.Result, more []*crawlv1.Attachment, place string) error {
	b := bodyMessage(r.Status, &r.Body)
	if r.Body.Compressed > 0 {
		room := s.deps.Bus.MaxPayload() - headroom
		for _, a := range more {
			room -= len(a.GetData())
		}
		if r.Body.Compressed <= int64(min(s.cfg.InlineLimit, room)) {
			b.Data = &crawlv1.Body_Deflate{Deflate: r.Body.Bytes()}
		} else {
			stored, err := s.store(ctx, ref.GetCrawlId(), &r.Body)
			if err != nil {
				return fmt.Errorf("store body of %s: %w", ref.GetUrl(), err)
			}
			b.Data = &crawlv1.Body_Ref{Ref: stored}
		}
	}
	msg := bus.Record(&crawlv1.Record{Ref: ref, Fetch: f, Body: b, Attachments: more})
	if parseable(ref.GetKind(), r) {
		msg = bus.Page(&crawlv1.Page{Ref: ref, Fetch: f, Body: b, Attachments: more})
	}
	msg.Trace = place
	if err := s.deps.Bus.PublishBundled(ctx, msg); err != nil {
		return fmt.Errorf("outcome of %s: %w", ref.GetUrl(), err)
	}
	return nil
}

// store puts a long body into storage, again and again while storage is away.
func (s *Service) store(ctx context.Context, crawlID string, b *body.Body) (string, error) {
	wait := crawl.Backoff{Base: 100 * time.Millisecond, Max: 5 * time.Second, Factor: 2, Jitter: 0.5}
	for n := 1; ; n++ {
		ref, err := s.put(ctx, crawlID, b)
		if err == nil {
			s.m.stored.Inc()
			return ref, nil
		}
		if k := crawl.KindOf(err); k == crawl.Invalid || k == crawl.NotFound {
			return "", err
		}
		if n == 1 {
			s.log.WarnContext(ctx, "waiting for storage to take a body", "crawl_id", crawlID, "err", err)
		}
		timer := time.NewTimer(wait.Delay(n, rand.Float64))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", crawl.Errorf(crawl.Unavailable, "%w (%w)", err, context.Cause(ctx))
		}
	}
}

// put streams a body once.
func (s *Service) put(ctx context.Context, crawlID string, b *body.Body) (string, error) {
	// A stream that is left early is ended by its context.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.deps.Storage.PutBody(ctx)
	if err != nil {
		return "", err
	}
	// EOF means that storage has given up; the answer says why.
	if err := sendAll(stream, crawlID, b); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return "", err
	}
	return resp.GetRef(), nil
}

func sendAll(stream storagev1.StorageService_PutBodyClient, crawlID string, b *body.Body) error {
	msg := &storagev1.PutBodyRequest{CrawlId: crawlID}
	for _, segment := range b.Segments {
		for len(segment) > 0 {
			n := min(len(segment), putPiece)
			msg.Data, segment = segment[:n], segment[n:]
			if err := stream.Send(msg); err != nil {
				return err
			}
			msg = &storagev1.PutBodyRequest{}
		}
	}
	return nil
}
