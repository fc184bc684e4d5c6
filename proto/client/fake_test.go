package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/proto/client"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// weir is a server that makes an item of every URL that it is given. What it does wrong
// is said by its fields.
type weir struct {
	schedulerv1.UnimplementedCrawlServiceServer

	mu     sync.Mutex
	urls   []string
	seen   map[string]bool
	closed bool
	tokens []string
	// refuse counts the batches that are refused for a quota, vanish those after which
	// the stream breaks although they are durable, breaks the items after which Tail does.
	refuse, vanish, breaks int
}

// serve starts the server and returns its address.
func serve(w *weir) (addr string, stop func()) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // an example has no testing.T
	}
	w.seen = map[string]bool{}
	s := grpc.NewServer()
	schedulerv1.RegisterCrawlServiceServer(s, w)
	storagev1.RegisterStorageServiceServer(s, kept{w: w})
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	return lis.Addr().String(), func() { s.Stop(); <-done }
}

// connect starts the server for a test.
func connect(t *testing.T, w *weir) *client.Client {
	t.Helper()
	addr, stop := serve(w)
	c, err := client.Dial(client.Config{Server: addr, Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); stop() })
	return c
}

func (w *weir) add(urls []string) (added uint64) {
	for _, u := range urls {
		if !w.seen[u] {
			w.seen[u] = true
			w.urls = append(w.urls, u)
			added++
		}
	}
	return added
}

func (w *weir) CreateCrawl(ctx context.Context, req *schedulerv1.CreateCrawlRequest) (*schedulerv1.CreateCrawlResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	md, _ := metadata.FromIncomingContext(ctx)
	w.tokens = append(w.tokens, md.Get("authorization")...)
	w.add(req.GetSpec().GetSeeds().GetUrls())
	w.closed = req.GetClose()
	return &schedulerv1.CreateCrawlResponse{Crawl: &crawlv1.Crawl{Id: "c1"}}, nil
}

func (w *weir) CloseCrawl(context.Context, *schedulerv1.CloseCrawlRequest) (*schedulerv1.CloseCrawlResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return &schedulerv1.CloseCrawlResponse{}, nil
}

func (w *weir) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *weir) WaitCrawl(_ context.Context, req *schedulerv1.WaitCrawlRequest) (*schedulerv1.WaitCrawlResponse, error) {
	if req.GetCrawl() != "c1" {
		return nil, status.Error(codes.NotFound, "no such crawl")
	}
	return &schedulerv1.WaitCrawlResponse{Crawl: &crawlv1.Crawl{Id: "c1", State: crawlv1.CrawlState_CRAWL_STATE_FINISHED}, Done: w.over()}, nil
}

func (w *weir) AddURLs(stream grpc.BidiStreamingServer[schedulerv1.AddURLsRequest, schedulerv1.AddURLsResponse]) error {
	for ack := (&schedulerv1.AddURLsResponse{}); ; {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.take(req, ack); err != nil {
			return err
		}
		if err := stream.Send(ack); err != nil {
			return err
		}
	}
}

func (w *weir) take(req *schedulerv1.AddURLsRequest, ack *schedulerv1.AddURLsResponse) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse > 0 {
		w.refuse--
		s, err := status.New(codes.ResourceExhausted, "too many").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
		if err != nil {
			return err
		}
		return s.Err()
	}
	added := w.add(req.GetUrls())
	if w.vanish > 0 {
		w.vanish--
		return status.Error(codes.Unavailable, "the server stops")
	}
	ack.Batches++
	ack.Added += added
	ack.Known += uint64(len(req.GetUrls())) - added
	return nil
}

// kept is the storage of such a server.
type kept struct {
	storagev1.UnimplementedStorageServiceServer
	w *weir
}

func (k kept) Tail(req *storagev1.TailRequest, stream grpc.ServerStreamingServer[storagev1.TailResponse]) error {
	w := k.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := req.GetAfter(); n < uint64(len(w.urls)); n++ {
		if w.breaks > 0 && int(n) >= w.breaks {
			w.breaks = 0
			return status.Error(codes.Unavailable, "the server stops")
		}
		item := &storagev1.StoredItem{Cursor: n + 1, Url: w.urls[n], Json: []byte(`{"url":"` + w.urls[n] + `"}`)}
		if err := stream.Send(&storagev1.TailResponse{Items: []*storagev1.StoredItem{item}, Cursor: n + 1}); err != nil {
			return err
		}
	}
	return nil
}
