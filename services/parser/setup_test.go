package parser

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const crawlID = "06g2r5fvt9s40mk0000000000a"

// newService makes a parser without a bus. Pages have as long as the slowest machine
// takes, unless change has it otherwise.
func newService(tb testing.TB, change func(*Config, *Deps)) *Service {
	tb.Helper()
	cfg, deps := DefaultConfig(), Deps{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	cfg.PageTimeout = 2 * time.Minute
	if change != nil {
		change(&cfg, &deps)
	}
	s, err := New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.join(); s.Close() })
	return s
}

func testCrawl() *crawlv1.Crawl {
	return &crawlv1.Crawl{
		Id: crawlID, Revision: 1, SeedHosts: []string{"site.example"},
		Spec: &crawlv1.CrawlSpec{Name: "test", Seeds: &crawlv1.Seeds{Urls: []string{"https://site.example/"}}},
	}
}

// fixedSpecs knows the crawls it is given.
type fixedSpecs map[string]*spec.Compiled

func (f fixedSpecs) At(_ context.Context, id string, _ uint64) (*spec.Compiled, error) {
	if c := f[id]; c != nil {
		return c, nil
	}
	return nil, crawl.Errorf(crawl.NotFound, "no crawl %s", id)
}

func specsOf(tb testing.TB, crawls ...*crawlv1.Crawl) fixedSpecs {
	tb.Helper()
	f := fixedSpecs{}
	for _, c := range crawls {
		compiled, err := spec.Compile(c)
		if err != nil {
			tb.Fatal(err)
		}
		f[c.GetId()] = compiled
	}
	return f
}

func deflate(tb testing.TB, body []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 1)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// newPage makes a page message as a fetcher does.
func newPage(tb testing.TB, url, body string) *crawlv1.Page {
	tb.Helper()
	u, err := weburl.New(weburl.Options{}).Parse(url)
	if err != nil {
		tb.Fatal(err)
	}
	key := u.Key()
	sum := sha256.Sum256([]byte(body))
	return &crawlv1.Page{
		Ref: &crawlv1.TaskRef{
			CrawlId: crawlID, Revision: 1, Host: u.HostID(), UrlKey: key[:], Generation: 1, Lease: 7, Url: u.String(), Depth: 1, Attempt: 1,
			Kind: crawlv1.TaskKind_TASK_KIND_PAGE,
		},
		Fetch: &crawlv1.FetchResult{
			StartedAt: timestamppb.New(time.Unix(1_700_000_000, 0)), Status: 200,
			ResponseHeaders: []*crawlv1.Header{{Name: "Content-Type", Value: []byte("text/html; charset=utf-8")}},
		},
		Body: &crawlv1.Body{
			Data: &crawlv1.Body_Deflate{Deflate: deflate(tb, []byte(body))}, Size: uint64(len(body)), Sha256: sum[:], Crc32: crc32.ChecksumIEEE([]byte(body)),
		},
	}
}

// fakeStorage keeps bodies in memory.
type fakeStorage struct {
	storagev1.StorageServiceClient // what is not used here panics

	mu     sync.Mutex
	bodies map[string][]byte
	err    error
}

func (f *fakeStorage) GetBody(_ context.Context, req *storagev1.GetBodyRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[storagev1.GetBodyResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.bodies[req.GetRef()]
	if f.err != nil {
		return nil, f.err
	}
	if !ok {
		return nil, crawl.Errorf(crawl.NotFound, "no body %s", req.GetRef())
	}
	return &bodyStream{rest: data}, nil
}

func (f *fakeStorage) PutBody(context.Context, ...grpc.CallOption) (grpc.ClientStreamingClient[storagev1.PutBodyRequest, storagev1.PutBodyResponse], error) {
	if f.err != nil {
		return nil, f.err
	}
	return &putStream{f: f}, nil
}

type bodyStream struct {
	grpc.ClientStream
	rest []byte
}

func (s *bodyStream) Recv() (*storagev1.GetBodyResponse, error) {
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	n := min(len(s.rest), 100)
	data := s.rest[:n]
	s.rest = s.rest[n:]
	return &storagev1.GetBodyResponse{Data: data}, nil
}

type putStream struct {
	grpc.ClientStream
	f    *fakeStorage
	data []byte
}

func (s *putStream) Send(r *storagev1.PutBodyRequest) error {
	if len(r.GetData()) > bodyPiece {
		return errors.New("piece too long")
	}
	s.data = append(s.data, r.GetData()...)
	return nil
}

func (s *putStream) CloseAndRecv() (*storagev1.PutBodyResponse, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.bodies == nil {
		s.f.bodies = map[string][]byte{}
	}
	s.f.bodies["put"] = s.data
	return &storagev1.PutBodyResponse{Ref: "put"}, nil
}
