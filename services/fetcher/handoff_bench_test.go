package fetcher_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// BenchmarkHandOff is what a body of some length, compressed, costs from the fetcher to
// the storage's file: inside the messages, which takes it through two streams, or by
// reference, which takes it through gRPC to storage, from there to the parser, and out
// of a file into the archive's. Everything runs in this process over TCP, the
// server of the bus included, so that cpu-ns/op is the cost to a machine that does it
// all. Config.InlineLimit follows from it (ADR-0021).
func BenchmarkHandOff(b *testing.B) {
	for _, kib := range []int{4, 16, 32, 64, 128, 256, 448} {
		data := random(kib << 10)
		b.Run(fmt.Sprintf("inline/%dKiB", kib), func(b *testing.B) { handOff(b, data, false) })
		b.Run(fmt.Sprintf("reference/%dKiB", kib), func(b *testing.B) { handOff(b, data, true) })
	}
}

// handOffWindow is how many bodies are under way.
const handOffWindow = 16

func handOff(b *testing.B, data []byte, byRef bool) {
	server := natstest.Start(b)
	bs := server.Bus(bus.EmbeddedConfig())
	store := newFileStore(b)
	client := store.serve(b)
	room := make(chan struct{}, handOffWindow)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = bs.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 4}, func(ctx context.Context, d bus.Delivery) error {
			return parse(ctx, bs, client, d.Data)
		})
	})
	wg.Go(func() {
		_ = bs.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 32}, func(_ context.Context, ds []bus.Delivery) error {
			for _, d := range ds {
				if err := store.keep(d.Data); err != nil {
					return err
				}
				<-room
			}
			return nil
		})
	})
	work := make(chan struct{})
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range work {
				if err := sendBody(b.Context(), bs, client, data, byRef); err != nil {
					b.Error(err)
				}
			}
		})
	}
	n := 0
	begin := processorTime(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		n++
		room <- struct{}{}
		work <- struct{}{}
	}
	close(work)
	senders.Wait()
	for range handOffWindow {
		room <- struct{}{} // all are kept
	}
	b.ReportMetric(float64(processorTime(b)-begin)/float64(n), "cpu-ns/op")
	cancel()
	wg.Wait()
}

// sendBody is the fetcher's part.
func sendBody(ctx context.Context, bs *bus.Bus, client storagev1.StorageServiceClient, data []byte, byRef bool) error {
	body := &crawlv1.Body{Size: uint64(4 * len(data)), Data: &crawlv1.Body_Deflate{Deflate: data}}
	if byRef {
		stream, err := client.PutBody(ctx)
		if err != nil {
			return err
		}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 256<<10)
			if err := stream.Send(&storagev1.PutBodyRequest{CrawlId: crawlID, Data: rest[:n]}); err != nil {
				return err
			}
			rest = rest[n:]
		}
		resp, err := stream.CloseAndRecv()
		if err != nil {
			return err
		}
		body.Data = &crawlv1.Body_Ref{Ref: resp.GetRef()}
	}
	page := &crawlv1.Page{Ref: task("http://site.example/", nil).GetRef(), Fetch: &crawlv1.FetchResult{Status: 200}, Body: body}
	return bs.PublishAll(ctx, bus.Page(page))
}

// parse is the parser's part, without reading the page.
func parse(ctx context.Context, bs *bus.Bus, client storagev1.StorageServiceClient, data []byte) error {
	var page crawlv1.Page
	if err := proto.Unmarshal(data, &page); err != nil {
		return err
	}
	if ref := page.GetBody().GetRef(); ref != "" {
		stream, err := client.GetBody(ctx, &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Ref{Ref: ref}})
		if err != nil {
			return err
		}
		for {
			if _, err := stream.Recv(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return bs.PublishAll(ctx, bus.Record(&crawlv1.Record{Ref: page.GetRef(), Fetch: page.GetFetch(), Body: page.GetBody(), Parsed: &crawlv1.ParseResult{}}))
}

// fileStore keeps bodies in files, an archive and those put by reference.
type fileStore struct {
	storagev1.UnimplementedStorageServiceServer

	dir     string
	archive *os.File
	n       atomic.Uint64
}

func newFileStore(b *testing.B) *fileStore {
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "archive"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return &fileStore{dir: dir, archive: f}
}

// keep is storage's part.
func (s *fileStore) keep(data []byte) error {
	var r crawlv1.Record
	if err := proto.Unmarshal(data, &r); err != nil {
		return err
	}
	body := r.GetBody().GetDeflate()
	if ref := r.GetBody().GetRef(); ref != "" {
		var err error
		if body, err = os.ReadFile(filepath.Join(s.dir, ref)); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(s.dir, ref)); err != nil {
			return err
		}
	}
	_, err := s.archive.WriteAt(body, 0)
	return err
}

func (s *fileStore) PutBody(stream storagev1.StorageService_PutBodyServer) error {
	ref := fmt.Sprintf("body-%d", s.n.Add(1))
	f, err := os.Create(filepath.Join(s.dir, ref))
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&storagev1.PutBodyResponse{Ref: ref})
		}
		if err != nil {
			return err
		}
		if _, err := f.Write(m.GetData()); err != nil {
			return err
		}
	}
}

func (s *fileStore) GetBody(req *storagev1.GetBodyRequest, stream storagev1.StorageService_GetBodyServer) error {
	data, err := os.ReadFile(filepath.Join(s.dir, req.GetRef()))
	for len(data) > 0 && err == nil {
		n := min(len(data), 256<<10)
		err = stream.Send(&storagev1.GetBodyResponse{Data: data[:n]})
		data = data[n:]
	}
	return err
}

func (s *fileStore) serve(b *testing.B) storagev1.StorageServiceClient {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := grpc.NewServer()
	storagev1.RegisterStorageServiceServer(srv, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(lis) })
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		wg.Wait()
	})
	return storagev1.NewStorageServiceClient(conn)
}

// processorTime is that of the process so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
