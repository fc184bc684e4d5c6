package fetcher

import (
	"bytes"
	"context"
	"io"

	"github.com/klauspost/compress/flate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// maxAnswer is how much of a body an answer holds.
const maxAnswer = 1 << 20

// Fetch does one exchange outside any crawl.
func (s *Service) Fetch(ctx context.Context, req *fetcherv1.FetchRequest) (*fetcherv1.FetchResponse, error) {
	compiled, err := spec.Compile(&crawlv1.Crawl{Spec: &crawlv1.CrawlSpec{
		Seeds: &crawlv1.Seeds{Urls: []string{req.GetUrl()}},
		Fetch: req.GetOptions(),
	}})
	if err != nil {
		return nil, err
	}
	u, err := compiled.Canon.Parse(req.GetUrl())
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "url %q: %w", req.GetUrl(), err)
	}
	// What is bound to the hosts of the seeds is for this one.
	compiled.SeedHosts = []string{u.HostPort()}
	if u, err = u.WithRequest(weburl.Request{Method: req.GetMethod(), ContentType: req.GetContentType(), Body: string(req.GetBody())}); err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "request for %s: %w", req.GetUrl(), err)
	}
	if err := s.calls.Acquire(ctx, 1); err != nil {
		return nil, crawl.Errorf(crawl.Throttled, "wait for one of %d calls to end: %w", maxCalls, err)
	}
	defer s.calls.Release(1)
	acc, err := s.budget.Open(ctx, client.BaseWeight)
	if err != nil {
		return nil, crawl.Errorf(crawl.Throttled, "fetch %s: %w", u, err)
	}
	defer acc.Close()
	p := newPrepared(compiled, s.deps.Version, s.deps.Secrets)
	res, o, err := s.fetch(ctx, p, nil, u, acc)
	if err != nil {
		return nil, crawl.Errorf(crawl.Unavailable, "%w", err)
	}
	data, err := inflated(&res.Body, maxAnswer)
	if err != nil {
		return nil, crawl.Errorf(crawl.Internal, "inflate body of %s: %w", u, err)
	}
	return &fetcherv1.FetchResponse{
		Fetch: p.fetchResult(u, &res, o.sent), Body: data, Size: uint64(res.Body.Size), WireSize: uint64(res.WireSize),
		Url: u.String(), At: timestamppb.New(res.Start.Add(res.Duration)),
	}, nil
}

// inflated returns the beginning of a body as the site meant it.
func inflated(b *body.Body, limit int64) ([]byte, error) {
	if b.Size == 0 {
		return nil, nil
	}
	pieces := make([]io.Reader, len(b.Segments))
	for i, s := range b.Segments {
		pieces[i] = bytes.NewReader(s)
	}
	return io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(pieces...)), limit))
}
