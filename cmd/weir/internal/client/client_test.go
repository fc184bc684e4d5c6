package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a scheduler that takes all seeds but those that begin with "bad".
type desk struct {
	schedulerv1.UnimplementedCrawlServiceServer
	batches [][]string
	crawls  []string
	stop    error // AddURLs ends with it after the first batch
	breaks  int   // WatchCrawl breaks so often
	sizes   []uint32
	seeds   []*schedulerv1.SeedURL
	kept    bool // there is a storage beside it
}

func (d *desk) GetCrawl(_ context.Context, req *schedulerv1.GetCrawlRequest) (*schedulerv1.GetCrawlResponse, error) {
	if req.GetCrawl() != "shop" {
		return nil, crawl.Errorf(crawl.NotFound, "no crawl %q", req.GetCrawl())
	}
	return &schedulerv1.GetCrawlResponse{Crawl: &crawlv1.Crawl{Id: "id"}}, nil
}

func (d *desk) ListCrawls(_ context.Context, req *schedulerv1.ListCrawlsRequest) (*schedulerv1.ListCrawlsResponse, error) {
	if req.GetPageToken() == "" {
		return &schedulerv1.ListCrawlsResponse{Crawls: []*crawlv1.Crawl{{Id: "2"}}, NextPageToken: "t"}, nil
	}
	return &schedulerv1.ListCrawlsResponse{Crawls: []*crawlv1.Crawl{{Id: "1"}}}, nil
}

func (d *desk) AddURLs(s grpc.BidiStreamingServer[schedulerv1.AddURLsRequest, schedulerv1.AddURLsResponse]) error {
	var resp schedulerv1.AddURLsResponse
	for {
		req, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		d.seeds = append(d.seeds, req.GetSeeds()...)
		d.batches, d.crawls = append(d.batches, req.GetUrls()), append(d.crawls, req.GetCrawl())
		resp.Batches++
		resp.Refused = nil
		for _, u := range req.GetUrls() {
			if strings.HasPrefix(u, "bad") {
				resp.Refused = append(resp.Refused, &schedulerv1.RefusedURL{Url: u, Reason: "bad"})
			} else {
				resp.Added++
			}
		}
		if err := s.Send(&resp); err != nil {
			return err
		}
		if d.stop != nil {
			return d.stop
		}
	}
}

func (d *desk) WatchCrawl(_ *schedulerv1.WatchCrawlRequest, s grpc.ServerStreamingServer[schedulerv1.WatchCrawlResponse]) error {
	states := []crawlv1.CrawlState{crawlv1.CrawlState_CRAWL_STATE_RUNNING, crawlv1.CrawlState_CRAWL_STATE_FINISHED}
	for i, st := range states {
		if i == 1 && d.breaks > 0 {
			d.breaks--
			return crawl.Errorf(crawl.Unavailable, "restarting")
		}
		if err := s.Send(&schedulerv1.WatchCrawlResponse{Crawl: &crawlv1.Crawl{Id: "id", State: st}}); err != nil {
			return err
		}
	}
	return nil
}

func (d *desk) ListURLs(_ context.Context, req *schedulerv1.ListURLsRequest) (*schedulerv1.ListURLsResponse, error) {
	d.sizes = append(d.sizes, req.GetPageSize())
	switch req.GetPageToken() {
	case "":
		return &schedulerv1.ListURLsResponse{NextPageToken: "a"}, nil // all left out
	case "a":
		return &schedulerv1.ListURLsResponse{Urls: []*schedulerv1.URLInfo{{Url: "1"}, {Url: "2"}}, NextPageToken: "b"}, nil
	}
	return &schedulerv1.ListURLsResponse{Urls: []*schedulerv1.URLInfo{{Url: "3"}}}, nil
}

// serve answers over a real port and returns a client of it.
func serve(t *testing.T, d *desk) *Client {
	t.Helper()
	cfg := rpc.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	srv, err := rpc.NewServer(cfg, rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	schedulerv1.RegisterCrawlServiceServer(srv, d)
	if d.kept {
		storagev1.RegisterStorageServiceServer(srv, shed{})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	c, err := Dial(Config{Server: srv.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestGetAndList(t *testing.T) {
	t.Parallel()
	c := serve(t, &desk{})
	if id, err := c.ID(t.Context(), "shop"); id != "id" || err != nil {
		t.Errorf("got %s, %v", id, err)
	}
	if _, err := c.ID(t.Context(), "x"); crawl.KindOf(err) != crawl.NotFound || err.Error() != `no crawl "x"` {
		t.Errorf("got %v", err)
	}
	all, err := c.List(t.Context())
	if err != nil || len(all) != 2 || all[0].GetId() != "2" {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := c.Storage.GetStats(t.Context(), nil); crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "--server or WEIR_SERVER") {
		t.Errorf("a service that is not there: %v", err)
	}
}

func TestAddFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var many strings.Builder
	many.WriteString("\ufeff# seeds\n\n")
	for i := range 1201 {
		fmt.Fprintf(&many, "  https://a.example/%d \r\n", i)
	}
	for i := range 12 {
		fmt.Fprintf(&many, "bad%d\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(many.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &desk{}
	c := serve(t, d)
	got, err := c.AddFiles(t.Context(), "shop", dir, []string{"a.txt", "-"}, strings.NewReader("https://b.example/"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Added != 1202 || got.RefusedCount != 12 || len(got.Refused) != maxRefused {
		t.Errorf("got %+v", got)
	}
	all := slices.Concat(d.batches...)
	if len(all) != 1214 || all[0] != "https://a.example/0" || all[1213] != "https://b.example/" {
		t.Errorf("%d URLs, %s to %s", len(all), all[0], all[len(all)-1])
	}
	for i, b := range d.batches {
		if len(b) > batchSize || d.crawls[i] != "shop" {
			t.Errorf("batch %d of %d for %s", i, len(b), d.crawls[i])
		}
	}
}

// TestPages: empty pages are passed over, and no more is asked for than is wanted.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		limit uint64
		urls  string
		sizes []uint32
	}{
		{"all", 0, "1 2 3 ", []uint32{1000, 1000, 1000}},
		{"within a page", 1, "1 ", []uint32{1, 1}},
		{"a whole page", 2, "1 2 ", []uint32{2, 2}},
		{"more than there is", 9, "1 2 3 ", []uint32{9, 9, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &desk{}
			c := serve(t, d)
			got := ""
			err := c.URLs(t.Context(), &schedulerv1.ListURLsRequest{}, tt.limit, func(urls []*schedulerv1.URLInfo) error {
				for _, u := range urls {
					got += u.GetUrl() + " "
				}
				return nil
			})
			if err != nil || got != tt.urls || !slices.Equal(d.sizes, tt.sizes) {
				t.Errorf("got %q in pages of %v, %v", got, d.sizes, err)
			}
		})
	}
	t.Run("a reader that stops", func(t *testing.T) {
		t.Parallel()
		d := &desk{}
		stop := errors.New("stop")
		err := serve(t, d).URLs(t.Context(), &schedulerv1.ListURLsRequest{}, 0, func([]*schedulerv1.URLInfo) error { return stop })
		if !errors.Is(err, stop) || len(d.sizes) != 2 {
			t.Errorf("%d pages, %v", len(d.sizes), err)
		}
	})
}

// TestTerms: what is asked for seeds travels with each of them.
func TestTerms(t *testing.T) {
	t.Parallel()
	d := &desk{}
	c := serve(t, d)
	priority, at := int32(-3), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if _, err := c.AddURLs(t.Context(), "shop", []string{"https://a.example/1", "https://a.example/2"}, Terms{NotBefore: at, Priority: &priority}); err != nil {
		t.Fatal(err)
	}
	if len(d.seeds) != 2 || len(d.batches[0]) != 0 {
		t.Fatalf("seeds %v, URLs %v", d.seeds, d.batches)
	}
	for i, s := range d.seeds {
		if s.GetUrl() != fmt.Sprintf("https://a.example/%d", i+1) || s.GetPriority() != -3 || !s.GetNotBefore().AsTime().Equal(at) {
			t.Errorf("seed %v", s)
		}
	}
}

func TestAddFails(t *testing.T) {
	t.Parallel()
	t.Run("the crawl takes no more", func(t *testing.T) {
		t.Parallel()
		c := serve(t, &desk{stop: crawl.Errorf(crawl.Precondition, "closed")})
		_, err := c.AddURLs(t.Context(), "shop", []string{"https://a.example/"}, Terms{})
		if crawl.KindOf(err) != crawl.Precondition || err.Error() != "closed" {
			t.Error(err)
		}
	})
	t.Run("not a list of URLs", func(t *testing.T) {
		t.Parallel()
		c := serve(t, &desk{})
		_, err := c.AddFrom(t.Context(), "shop", strings.NewReader("https://a.example/\n"+strings.Repeat("x", maxLine+1)), Terms{})
		if want := "line 2 is over 65536 bytes long: the file must have one URL a line"; err == nil || err.Error() != want {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no file", func(t *testing.T) {
		t.Parallel()
		c := serve(t, &desk{})
		_, err := c.AddFiles(t.Context(), "shop", t.TempDir(), []string{"none.txt"}, nil)
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "add the seeds of none.txt: ") {
			t.Error(err)
		}
	})
}

// shed is a storage that has something of one crawl.
type shed struct {
	storagev1.UnimplementedStorageServiceServer
}

func (shed) GetStats(_ context.Context, req *storagev1.GetStatsRequest) (*storagev1.GetStatsResponse, error) {
	if req.GetCrawlId() == "kept" {
		return &storagev1.GetStatsResponse{Attempts: 3}, nil
	}
	return &storagev1.GetStatsResponse{}, nil
}

// What storage has of a crawl that the frontier has lost is found by its id, and by
// nothing else.
func TestKept(t *testing.T) {
	t.Parallel()
	c := serve(t, &desk{kept: true})
	for name, want := range map[string]string{"shop": "id", "kept": "kept", "never": ""} {
		id, err := c.ID(t.Context(), name)
		if id != want || (err == nil) != (want != "") || err != nil && crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("%s: %q, %v, want %q", name, id, err, want)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	var seen []crawlv1.CrawlState
	c := serve(t, &desk{breaks: 1})
	last, err := c.Watch(t.Context(), "shop", time.Second, func(w *schedulerv1.WatchCrawlResponse) {
		seen = append(seen, w.GetCrawl().GetState())
	})
	if err != nil || last.GetState() != crawlv1.CrawlState_CRAWL_STATE_FINISHED {
		t.Errorf("got %v, %v", last, err)
	}
	want := []crawlv1.CrawlState{crawlv1.CrawlState_CRAWL_STATE_RUNNING, crawlv1.CrawlState_CRAWL_STATE_RUNNING, crawlv1.CrawlState_CRAWL_STATE_FINISHED}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	const addr = "127.0.0.1:1" // a port that is given to nobody, unlike one that was free a moment ago
	c, err := Dial(Config{Server: addr, StorageServer: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	want := "no weir server at " + addr + " (connection refused): start one with `weir up`, or set --server or WEIR_SERVER"
	// Those who wait for a server that was there look at the code.
	if _, err := c.List(t.Context()); err == nil || err.Error() != want || status.Code(err) != codes.Unavailable {
		t.Errorf("got  %v (%v)\nwant %s", err, status.Code(err), want)
	}
	if _, err := c.AddURLs(t.Context(), "x", []string{"y"}, Terms{}); err == nil || err.Error() != want {
		t.Errorf("stream: got  %v\nwant %s", err, want)
	}
}
