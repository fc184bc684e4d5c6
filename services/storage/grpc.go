package storage

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// chunk is the length of a piece of a body.
const chunk = 256 << 10

// GetPage reads the newest attempt at a URL.
func (s *Service) GetPage(ctx context.Context, req *storagev1.GetPageRequest) (*storagev1.GetPageResponse, error) {
	if err := named(req.GetCrawlId()); err != nil {
		return nil, err
	}
	p, err := s.cat.Newest(ctx, req.GetCrawlId(), req.GetUrl(), false)
	if err != nil {
		return nil, err
	}
	return &storagev1.GetPageResponse{Page: pageInfo(p)}, nil
}

// GetBody streams a page's newest body, inflated, or a long body as it was put.
func (s *Service) GetBody(req *storagev1.GetBodyRequest, out grpc.ServerStreamingServer[storagev1.GetBodyResponse]) error {
	body, err := s.openBody(out.Context(), req)
	if err != nil {
		return s.space.wrap(err)
	}
	return sendBody(body, func(data []byte) error { return out.Send(&storagev1.GetBodyResponse{Data: data}) })
}

// sendBody sends a body in pieces and closes it. An empty one has one piece.
func sendBody(body io.ReadCloser, send func([]byte) error) error {
	defer body.Close() // read only
	buf := make([]byte, chunk)
	for first := true; ; first = false {
		n, err := io.ReadFull(body, buf)
		if n > 0 || first {
			if err := send(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *Service) openBody(ctx context.Context, req *storagev1.GetBodyRequest) (io.ReadCloser, error) {
	switch b := req.GetBody().(type) {
	case *storagev1.GetBodyRequest_Ref:
		body, err := s.spool.Open(ctx, b.Ref)
		if err != nil {
			return nil, err
		}
		return body, nil
	case *storagev1.GetBodyRequest_Page:
		if err := named(b.Page.GetCrawlId()); err != nil {
			return nil, err
		}
		p, err := s.cat.Newest(ctx, b.Page.GetCrawlId(), b.Page.GetUrl(), true)
		if err != nil {
			return nil, err
		}
		return s.arch.Body(ctx, p.Place)
	default:
		return nil, crawl.Errorf(crawl.Invalid, "body: give page or ref")
	}
}

// PutBody keeps a long body until its record is committed.
func (s *Service) PutBody(in grpc.ClientStreamingServer[storagev1.PutBodyRequest, storagev1.PutBodyResponse]) error {
	if err := s.space.check(); err != nil {
		return err
	}
	r := &putReader{in: in}
	if err := r.fill(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := named(r.crawlID); err != nil {
		return err
	}
	ref, err := s.spool.Put(in.Context(), r)
	if r.err != nil {
		return r.err // the client's side, not the disk's
	}
	if err != nil {
		return s.space.wrap(err)
	}
	s.m.bodies.WithLabelValues("put").Inc()
	return in.SendAndClose(&storagev1.PutBodyResponse{Ref: ref})
}

// putReader reads the pieces of an upload as one stream.
type putReader struct {
	in      grpc.ClientStreamingServer[storagev1.PutBodyRequest, storagev1.PutBodyResponse]
	crawlID string
	data    []byte
	err     error // of the stream, its end aside
}

func (r *putReader) Read(p []byte) (int, error) {
	for len(r.data) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *putReader) fill() error {
	m, err := r.in.Recv()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = err
		}
		return err
	}
	if r.crawlID == "" {
		r.crawlID = m.GetCrawlId()
	}
	r.data = m.GetData()
	return nil
}

func named(crawlID string) error {
	if crawlID == "" {
		return crawl.Errorf(crawl.Invalid, "crawl_id: required")
	}
	return nil
}

// limitOf turns 0 into no limit.
func limitOf(n uint64) uint64 {
	if n == 0 {
		return 1<<64 - 1
	}
	return n
}
