package fetcher_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const crawlID = "0123456789abcdefghijklmnop"

// testBundle is a running fetcher with what is around it.
type testBundle struct {
	bus      *bus.Bus
	server   *natstest.Server
	storage  *storage
	site     *httptest.Server
	registry *prometheus.Registry
	pages    chan *crawlv1.Page
	records  chan *crawlv1.Record
	reports  chan *crawlv1.FetchReport
	pool     string
	stop     func() // ends the fetcher and waits for it
}

// spec is what the tests' crawl asks for.
func spec() *crawlv1.CrawlSpec {
	return &crawlv1.CrawlSpec{
		Seeds: &crawlv1.Seeds{Urls: []string{"http://site.example/"}},
		Fetch: &crawlv1.Fetch{
			Headers: map[string]string{"X-Team": "crawling"},
			Timeout: durationpb.New(30 * time.Second),
			MaxBody: proto.Int64(2 << 20),
			Retries: proto.Uint32(2),
		},
	}
}

// setup starts a fetcher against a site. The streams behind it are read unless
// the test says otherwise.
func setup(t *testing.T, handler http.HandlerFunc, change func(*fetcher.Config)) *testBundle {
	t.Helper()
	b := &testBundle{
		server:   natstest.Start(t),
		storage:  &storage{bodies: map[string][]byte{}},
		registry: prometheus.NewRegistry(),
		pages:    make(chan *crawlv1.Page, 64),
		records:  make(chan *crawlv1.Record, 64),
		reports:  make(chan *crawlv1.FetchReport, 64),
	}
	b.bus = b.server.Bus(bus.EmbeddedConfig())
	b.site = httptest.NewServer(handler)
	t.Cleanup(b.site.Close)
	if err := b.bus.PutCrawl(t.Context(), &crawlv1.Crawl{Id: crawlID, Spec: spec(), Revision: 1}); err != nil {
		t.Fatal(err)
	}
	cfg := config()
	if change != nil {
		change(&cfg)
	}
	b.pool = cfg.Pool
	s, err := fetcher.New(cfg, fetcher.Deps{
		Bus: b.bus, Storage: b.storage.serve(t), Registry: b.registry, Version: "1.2.3", Lookup: local,
		Secrets: func(name string) (string, bool) { return "p&w", name == "WEIR_SECRET_PASSWORD" },
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.stop = background(t, func(ctx context.Context) {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	b.listen(t)
	return b
}

// listen takes reports, and returns when it does: those that nobody takes are lost.
func (b *testBundle) listen(t *testing.T) {
	t.Helper()
	const trial = "a report of no crawl"
	came := make(chan struct{})
	first := sync.OnceFunc(func() { close(came) })
	background(t, func(ctx context.Context) {
		_ = b.bus.Reports(ctx, bus.NewPartitionSet(0), func(r *crawlv1.FetchReport) {
			if r.GetCrawlId() == trial {
				first()
				return
			}
			b.reports <- r
		})
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := b.bus.SendReport(0, &crawlv1.FetchReport{CrawlId: trial}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-came:
			return
		case <-tick.C:
		case <-t.Context().Done():
			return
		}
	}
}

func config() fetcher.Config {
	cfg := fetcher.DefaultConfig()
	cfg.Concurrency = 8
	_ = cfg.AllowNets.Set("127.0.0.0/8")
	return cfg
}

// local answers every name with the loopback address.
func local(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// background runs f until the test or the returned function ends it.
func background(t *testing.T, f func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

// readStreams takes pages and records as the next stages would.
func (b *testBundle) readStreams(t *testing.T) {
	t.Helper()
	background(t, func(ctx context.Context) {
		_ = b.bus.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			p := new(crawlv1.Page)
			if err := proto.Unmarshal(d.Data, p); err != nil {
				return err
			}
			b.pages <- p
			return nil
		})
	})
	background(t, func(ctx context.Context) {
		_ = b.bus.Consume(ctx, bus.StoreConsumer(), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
			r := new(crawlv1.Record)
			if err := proto.Unmarshal(d.Data, r); err != nil {
				return err
			}
			b.records <- r
			return nil
		})
	})
}

// lease numbers the tasks of all tests.
var lease atomic.Uint64

func task(url string, change func(*crawlv1.FetchTask)) *crawlv1.FetchTask {
	key := weburl.KeyOf(url)
	n := lease.Add(1)
	task := &crawlv1.FetchTask{
		Ref: &crawlv1.TaskRef{
			CrawlId: crawlID, Revision: 1, Host: 42, UrlKey: key[:], Generation: 1, Lease: n,
			Url: url, Attempt: 1, Kind: crawlv1.TaskKind_TASK_KIND_PAGE,
		},
		StartBefore: timestamppb.New(time.Now().Add(time.Hour)),
	}
	if change != nil {
		change(task)
	}
	return task
}

func (b *testBundle) publish(t *testing.T, task *crawlv1.FetchTask) {
	t.Helper()
	if err := b.bus.PublishAll(t.Context(), bus.Task(b.pool, task)); err != nil {
		t.Fatal(err)
	}
}

// receive waits for one message, for as long as the test may take.
func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-t.Context().Done():
	case <-time.After(time.Minute): // far beyond anything but a hang
	}
	t.Fatalf("no %s came", what)
	panic("unreachable")
}

// storage keeps bodies in memory behind a real gRPC connection.
type storage struct {
	storagev1.UnimplementedStorageServiceServer

	mu      sync.Mutex
	bodies  map[string][]byte
	calls   int
	failing int // calls to refuse before the first that is taken
}

func (s *storage) PutBody(stream storagev1.StorageService_PutBodyServer) error {
	var data []byte
	var id string
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(m.GetData()) > 256<<10 {
			return status.Error(codes.InvalidArgument, "piece too long")
		}
		if id == "" {
			id = m.GetCrawlId()
		}
		data = append(data, m.GetData()...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.calls <= s.failing {
		return status.Error(codes.Unavailable, "not now")
	}
	ref := fmt.Sprintf("%s/%d", id, s.calls)
	s.bodies[ref] = data
	return stream.SendAndClose(&storagev1.PutBodyResponse{Ref: ref})
}

func (s *storage) serve(t *testing.T) storagev1.StorageServiceClient {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer()
	storagev1.RegisterStorageServiceServer(srv, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(lis) })
	conn, err := grpc.NewClient("passthrough:storage", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		wg.Wait()
	})
	return storagev1.NewStorageServiceClient(conn)
}

// noneLeft waits until no task is left: the server hears of the last ack a little after
// what it is for has gone on.
func (b *testBundle) noneLeft(t *testing.T) {
	t.Helper()
	limit, tick := time.NewTimer(time.Minute), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		lag, err := b.bus.Lag(t.Context())
		if err == nil && lag["WEIR_TASKS/fetch-http"] == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("left on the streams: %v %v", lag, err)
		}
	}
}
