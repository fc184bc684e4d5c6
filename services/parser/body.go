package parser

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/parser/internal/inflate"
)

// deflateRatio is the most that DEFLATE can shrink: compressed bytes beyond
// 1/deflateRatio of a body's length are not needed to know that it is too long.
const deflateRatio = 1032

// bodyPiece is how much of a body goes into one message to storage.
const bodyPiece = 256 << 10

// inflater inflates bodies one after the other and reuses its memory.
type inflater struct {
	decoder inflate.Decoder
	buf     []byte
}

// inflate returns at most limit bytes of a body, and whether there is more. They
// are valid until the next call.
func (f *inflater) inflate(deflated []byte, size uint64, limit int64) (body []byte, cut bool, err error) {
	// The size is the sender's word: it says how much to make ready, not how much
	// to read.
	want := min(int64(min(size, uint64(limit))), int64(len(deflated))*deflateRatio) + inflate.Room
	if int64(cap(f.buf)) < want {
		f.buf = make([]byte, 0, want)
	}
	body, cut, err = f.decoder.Decode(f.buf, deflated, int(limit))
	f.buf = body[:0]
	return body, cut, err
}

// shrink lets go of memory that only an unusual page needed.
func (f *inflater) shrink(keep int) {
	if cap(f.buf) > keep {
		f.buf = nil
	}
}

// deflated returns the compressed body of a page, from storage where the message
// has a reference. The caller calls release when it is done with the bytes.
func (s *Service) deflated(ctx context.Context, b *crawlv1.Body) (data []byte, release func(), err error) {
	ref := b.GetRef()
	if ref == "" {
		return b.GetDeflate(), func() {}, nil
	}
	if s.deps.Storage == nil {
		return nil, nil, crawl.Errorf(crawl.Unavailable, "body %s is in storage, and this parser has none", ref)
	}
	// Nobody knows the compressed size before it is here; the size of the body is
	// more than that, but for garbage.
	weight := min(max(int64(min(b.GetSize(), uint64(s.cfg.MaxBody))), 1), s.cfg.MaxStored)
	if err := s.stored.Acquire(ctx, weight); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	release = func() { s.stored.Release(weight) }
	data, err = s.getBody(ctx, ref)
	if err != nil {
		release()
		return nil, nil, err
	}
	return data, release, nil
}

func (s *Service) getBody(ctx context.Context, ref string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when it is left early
	stream, err := s.deps.Storage.GetBody(ctx, &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Ref{Ref: ref}})
	if err != nil {
		return nil, fmt.Errorf("get body %s: %w", ref, rpcError(err))
	}
	var data []byte
	// Twice what is read of a body: stored blocks are longer than what they hold.
	for int64(len(data)) <= 2*s.cfg.MaxBody {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, fmt.Errorf("get body %s: %w", ref, rpcError(err))
		}
		data = append(data, piece.GetData()...)
	}
	return data, nil
}

// putBody moves a body that no longer fits its message to storage.
func (s *Service) putBody(ctx context.Context, crawlID string, data []byte) (ref string, err error) {
	stream, err := s.deps.Storage.PutBody(ctx)
	if err != nil {
		return "", fmt.Errorf("put body: %w", rpcError(err))
	}
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), bodyPiece)
		if err := stream.Send(&storagev1.PutBodyRequest{CrawlId: crawlID, Data: data[:n]}); err != nil {
			break // CloseAndRecv has the reason
		}
		data = data[n:]
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return "", fmt.Errorf("put body: %w", rpcError(err))
	}
	return resp.GetRef(), nil
}

// rpcError gives an error of a call its kind; the clients of package rpc have
// done so already.
func rpcError(err error) error {
	if _, ok := errors.AsType[*crawl.Error](err); ok {
		return err
	}
	return rpc.FromStatus(err)
}
