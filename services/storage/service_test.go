package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const crawlID = "0123456789abcdefghijklmnop"

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)

// bundle is a running service with everything round it.
type bundle struct {
	svc     *Service
	bus     *bus.Bus
	client  storagev1.StorageServiceClient
	results chan *crawlv1.Result
	lease   atomic.Uint64
}

func setup(t *testing.T, change func(*Config)) *bundle {
	t.Helper()
	b := &bundle{bus: natstest.Bus(t), results: make(chan *crawlv1.Result, 10_000)}
	cfg := DefaultConfig()
	cfg.Dir, cfg.MinFree = t.TempDir(), 0
	if change != nil {
		change(&cfg)
	}
	var err error
	b.svc, err = New(cfg, Deps{Bus: b.bus, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	srv := rpc.NewInProcess(rpc.Deps{})
	b.svc.RegisterGRPC(srv)
	conn, err := srv.Dial()
	if err != nil {
		t.Fatal(err)
	}
	b.client = storagev1.NewStorageServiceClient(conn)
	for name, run := range map[string]func() error{
		"grpc": func() error { return srv.Serve(ctx) },
		"run":  func() error { return b.svc.Run(ctx) },
		"results": func() error {
			return b.bus.Consume(ctx, bus.ResultConsumer(0), bus.Options{Concurrency: 1}, func(_ context.Context, d bus.Delivery) error {
				r := &crawlv1.Result{}
				if err := proto.Unmarshal(d.Data, r); err != nil {
					return err
				}
				b.results <- r
				return nil
			})
		},
	} {
		wg.Go(func() {
			if err := run(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		wg.Wait()
		if err := b.svc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// publish sends records and returns as many results, by URL. Each record gets a
// lease of its own: the server drops a second result of the same one.
func (b *bundle) publish(t *testing.T, recs ...*crawlv1.Record) map[string]*crawlv1.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	msgs := make([]bus.Message, len(recs))
	for i, r := range recs {
		r = proto.CloneOf(r)
		r.Ref.Lease = b.lease.Add(1)
		msgs[i] = bus.Record(r)
	}
	if err := b.bus.PublishAll(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	got := map[string]*crawlv1.Result{}
	for range recs {
		select {
		case r := <-b.results:
			if r.Ref.Lease == 0 {
				t.Errorf("a result without its lease: %v", r)
			}
			r.Ref.Lease = 0
			got[r.GetRef().GetUrl()] = r
		case <-ctx.Done():
			t.Fatalf("%d results of %d", len(got), len(recs))
		}
	}
	return got
}

func (b *bundle) body(t *testing.T, req *storagev1.GetBodyRequest) (string, error) {
	t.Helper()
	stream, err := b.client.GetBody(t.Context(), req)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		out.Write(m.GetData())
	}
}

func (b *bundle) items(t *testing.T, req *storagev1.ListItemsRequest) []*storagev1.StoredItem {
	t.Helper()
	stream, err := b.client.ListItems(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var all []*storagev1.StoredItem
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.GetItems()...)
	}
}

func pageBody(crawlID, url string) *storagev1.GetBodyRequest {
	return &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Page{Page: &storagev1.GetPageRequest{CrawlId: crawlID, Url: url}}}
}

// deflated compresses as a fetcher does.
func deflated(text string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 1)
	_, _ = io.WriteString(w, text)
	_, _ = w.Flush(), w.Close()
	return b.Bytes()
}

func bodyOf(text string) *crawlv1.Body {
	sum := sha256.Sum256([]byte(text))
	return &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: deflated(text)}, Size: uint64(len(text)), Sha256: sum[:], Crc32: crc32.ChecksumIEEE([]byte(text))}
}

// record is a fetched and parsed page with one item.
func record(n int, text string) *crawlv1.Record { return recordOf(n, bodyOf(text)) }

func recordOf(n int, body *crawlv1.Body) *crawlv1.Record {
	url := fmt.Sprintf("http://example.com/page/%d", n)
	key := weburl.KeyOf(url)
	return &crawlv1.Record{
		Ref: &crawlv1.TaskRef{
			CrawlId: crawlID, Revision: 1, Host: 7, UrlKey: key[:], Generation: 1, Url: url, Depth: 2, Attempt: 1, Kind: crawlv1.TaskKind_TASK_KIND_PAGE,
		},
		Fetch: &crawlv1.FetchResult{
			StartedAt: timestamppb.New(when), Duration: durationpb.New(12345 * time.Microsecond), Status: 200, Protocol: "HTTP/1.1", RemoteAddr: "192.0.2.1:80",
			RequestHeaders: []*crawlv1.Header{
				{Name: "User-Agent", Value: []byte("Weir/0.1 (+https://github.com/weircrawl/weir)")}, {Name: "Accept", Value: []byte("text/html,*/*;q=0.8")},
				{Name: "Accept-Encoding", Value: []byte("gzip, deflate, br, zstd")},
			},
			ResponseHeaders: []*crawlv1.Header{
				{Name: "Content-Type", Value: []byte("text/html; charset=utf-8")}, {Name: "Date", Value: []byte("Sun, 22 Nov 2026 10:11:12 GMT")},
				{Name: "Server", Value: []byte("nginx")}, {Name: "Content-Encoding", Value: []byte("gzip")},
			},
		},
		Body: body,
		Parsed: &crawlv1.ParseResult{
			Title: fmt.Sprintf("Page %d", n), ContentType: "text/html", Charset: "utf-8", RejectedItems: 1,
			Outlinks: []*crawlv1.Outlink{{Url: "http://example.com/next", Depth: 3, Priority: -5}},
			Items:    []*crawlv1.Item{{Rule: "page", Json: fmt.Appendf(nil, `{"n":%d}`, n)}},
		},
	}
}

func TestRecordToResult(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	page := record(1, "<p>hello</p>")
	failed := record(2, "")
	failed.Body, failed.Parsed = nil, nil
	failed.Fetch = &crawlv1.FetchResult{StartedAt: timestamppb.New(when), Duration: durationpb.New(time.Second), Error: crawlv1.ErrorClass_ERROR_CLASS_DNS_TEMPORARY, ErrorDetail: "no answer"}
	redirect := record(3, "")
	redirect.Body, redirect.Parsed = nil, nil
	redirect.Fetch.Status, redirect.Fetch.RedirectUrl, redirect.Fetch.RetryAfter = 302, "http://example.com/to", durationpb.New(time.Minute)
	// What the frontier alone needs goes through as it is.
	set := []*crawlv1.Cookie{{Name: "a", Value: []byte("1"), Domain: "example.com", Path: "/"}}
	refresh := record(4, "<meta>")
	refresh.Parsed.RefreshUrl, refresh.Parsed.WantsRender, refresh.Fetch.SetCookies, refresh.Fetch.Rendered = "http://example.com/on", true, set, true
	got := b.publish(t, page, failed, redirect, refresh)
	want := map[string]*crawlv1.Result{
		page.Ref.Url: {
			Ref: page.Ref, EndedAt: timestamppb.New(when.Add(12345 * time.Microsecond)), Duration: page.Fetch.Duration, Status: 200, Outlinks: page.Parsed.Outlinks, Items: 1, RejectedItems: 1, Bytes: 12,
			Sha256: page.Body.Sha256, RemoteAddr: "192.0.2.1:80",
		},
		failed.Ref.Url: {
			Ref: failed.Ref, EndedAt: timestamppb.New(when.Add(time.Second)), Duration: failed.Fetch.Duration, Error: crawlv1.ErrorClass_ERROR_CLASS_DNS_TEMPORARY, ErrorDetail: "no answer",
		},
		redirect.Ref.Url: {
			Ref: redirect.Ref, EndedAt: timestamppb.New(when.Add(12345 * time.Microsecond)), Duration: redirect.Fetch.Duration, Status: 302, RedirectUrl: "http://example.com/to", RetryAfter: durationpb.New(time.Minute),
			RemoteAddr: "192.0.2.1:80",
		},
		refresh.Ref.Url: {
			Ref: refresh.Ref, EndedAt: timestamppb.New(when.Add(12345 * time.Microsecond)), Duration: refresh.Fetch.Duration, Status: 200, Outlinks: refresh.Parsed.Outlinks, Items: 1, RejectedItems: 1, Bytes: 6,
			Sha256: refresh.Body.Sha256, RemoteAddr: "192.0.2.1:80", RedirectUrl: "http://example.com/on", WantsRender: true, SetCookies: set, Rendered: true,
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}

	p, err := b.client.GetPage(t.Context(), &storagev1.GetPageRequest{CrawlId: crawlID, Url: page.Ref.Url})
	if err != nil {
		t.Fatal(err)
	}
	info := p.GetPage()
	wantInfo := &storagev1.PageInfo{
		Url: page.Ref.Url, Depth: 2, Attempt: 1, FetchedAt: timestamppb.New(when), DurationMicros: 12345, Status: 200, ContentType: "text/html", Title: "Page 1",
		Size: 12, Sha256: page.Body.Sha256, Outlinks: 1, Items: 1, Kind: crawlv1.TaskKind_TASK_KIND_PAGE, Generation: 1, Lease: 1,
		Cursor: info.GetCursor(), WarcFile: info.GetWarcFile(), WarcOffset: info.GetWarcOffset(),
	}
	if diff := cmp.Diff(wantInfo, info, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if info.GetCursor() == 0 || info.GetWarcFile() == "" || info.GetWarcOffset() == 0 {
		t.Errorf("no place: %v", info)
	}
	if body, err := b.body(t, pageBody(crawlID, page.Ref.Url)); body != "<p>hello</p>" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
	if body, err := b.body(t, pageBody(crawlID, redirect.Ref.Url)); body != "" || err != nil {
		t.Errorf("body of a redirect %q, %v", body, err)
	}
	st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
	if err != nil || st.GetAttempts() != 4 || st.GetPages() != 2 || st.GetItems() != 2 || st.GetArchiveBytes() == 0 {
		t.Errorf("stats %v, %v", st, err)
	}
	if err := b.svc.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestRedeliveryStoresNothingTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := record(1, "once")
	first := b.publish(t, rec)
	// The same visit under other leases, several times in one batch too.
	for range 3 {
		second := b.publish(t, rec, rec, rec, record(2, "other"))
		if diff := cmp.Diff(first[rec.Ref.Url], second[rec.Ref.Url], protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
	if err != nil || st.GetAttempts() != 2 || st.GetItems() != 2 {
		t.Errorf("stats %v, %v", st, err)
	}
	if items := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID}); len(items) != 2 {
		t.Errorf("items %v", items)
	}
	if n := testutil.ToFloat64(b.svc.m.records.WithLabelValues("stored")); n != 2 {
		t.Errorf("%v stored", n)
	}
	checkArchive(t, b.svc.cfg.Dir, 2)
}

func TestBadRecordHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	bad := map[string]func(*crawlv1.Record){
		"no key":       func(r *crawlv1.Record) { r.Ref.UrlKey = nil },
		"no fetch":     func(r *crawlv1.Record) { r.Fetch = nil },
		"no kind":      func(r *crawlv1.Record) { r.Ref.Kind = 0 },
		"not a stream": func(r *crawlv1.Record) { r.Body.Data = &crawlv1.Body_Deflate{Deflate: []byte{0xff, 0xff}} },
		"other sum":    func(r *crawlv1.Record) { r.Body.Data = &crawlv1.Body_Deflate{Deflate: closedOnly("other")} },
		"no body":      func(r *crawlv1.Record) { r.Body.Data = nil },
		"body is gone": func(r *crawlv1.Record) { r.Body.Data = &crawlv1.Body_Ref{Ref: strings.Repeat("0", 32)} },
		"item twice":   func(r *crawlv1.Record) { r.Parsed.Items = append(r.Parsed.Items, r.Parsed.Items[0]) },
		"broken robots": func(r *crawlv1.Record) {
			r.Ref.Kind = crawlv1.TaskKind_TASK_KIND_ROBOTS
			r.Body = bodyOf("x")
			cutBody(r)
		},
	}
	var msgs []bus.Message
	n := 0
	for _, change := range bad {
		r := record(1000+n, "bad")
		change(r)
		msgs = append(msgs, bus.Record(r))
		n++
	}
	garbage := bus.Record(record(5000, "x"))
	garbage.Body = &crawlv1.Crawl{Id: "\x01", Stats: &crawlv1.CrawlStats{Pages: 1}}
	msgs = append(msgs, garbage)
	if err := b.bus.PublishAll(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	var good []*crawlv1.Record
	for i := range 50 {
		good = append(good, record(i, fmt.Sprint("good ", i)))
	}
	if got := b.publish(t, good...); len(got) != len(good) {
		t.Errorf("%d results for %d good records", len(got), len(good))
	}
	st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
	if err != nil || st.GetAttempts() < 50 {
		t.Errorf("stats %v, %v", st, err)
	}
}

// closedOnly compresses without a flush, as another compressor might.
func closedOnly(text string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 1)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

func cutBody(r *crawlv1.Record) {
	d := r.Body.GetDeflate()
	r.Body.Data = &crawlv1.Body_Deflate{Deflate: d[:len(d)/2]}
}

func TestBodyWithoutMarker(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := record(1, strings.Repeat("text ", 1000))
	rec.Body.Data = &crawlv1.Body_Deflate{Deflate: closedOnly(strings.Repeat("text ", 1000))}
	b.publish(t, rec)
	if body, err := b.body(t, pageBody(crawlID, rec.Ref.Url)); body != strings.Repeat("text ", 1000) || err != nil {
		t.Errorf("body of %d bytes, %v", len(body), err)
	}
	if n := testutil.ToFloat64(b.svc.m.resync); n != 1 {
		t.Errorf("%v recompressed", n)
	}
	checkArchive(t, b.svc.cfg.Dir, 1)
}

func TestRobots(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	long := "User-agent: *\nDisallow: /x\n" + strings.Repeat("# padding\n", 100_000)
	robots := func(n int, status uint32, body *crawlv1.Body) *crawlv1.Record {
		r := record(n, "")
		r.Ref.Kind, r.Fetch.Status, r.Body, r.Parsed = crawlv1.TaskKind_TASK_KIND_ROBOTS, status, body, nil
		return r
	}
	short, cut, gone, empty := robots(1, 200, bodyOf("User-agent: *\n")), robots(2, 200, bodyOf(long)), robots(3, 404, bodyOf("no")), robots(4, 200, nil)
	spooled := robots(5, 200, bodyOf(long))
	spooled.Body.Data = &crawlv1.Body_Ref{Ref: b.put(t, deflated(long))}
	for range 2 { // the second time the spooled body is in the archive only
		got := b.publish(t, short, cut, gone, empty, spooled)
		for url, want := range map[string]string{short.Ref.Url: "User-agent: *\n", cut.Ref.Url: long[:maxRobots], gone.Ref.Url: "", empty.Ref.Url: "", spooled.Ref.Url: long[:maxRobots]} {
			if string(got[url].GetRobots()) != want {
				t.Errorf("%s: %d bytes, want %d", url, len(got[url].GetRobots()), len(want))
			}
		}
	}
}

func (b *bundle) put(t *testing.T, deflate []byte) string {
	t.Helper()
	stream, err := b.client.PutBody(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(deflate); i += 1000 {
		if err := stream.Send(&storagev1.PutBodyRequest{CrawlId: crawlID, Data: deflate[i:min(i+1000, len(deflate))]}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	return r.GetRef()
}

func TestLongBody(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	text := strings.Repeat("a long body, ", 200_000)
	rec := record(1, text)
	ref := b.put(t, rec.Body.GetDeflate())
	raw, err := b.body(t, &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Ref{Ref: ref}})
	if err != nil || raw != string(rec.Body.GetDeflate()) {
		t.Errorf("%d bytes by reference, %v", len(raw), err)
	}
	rec.Body.Data = &crawlv1.Body_Ref{Ref: ref}
	b.publish(t, rec)
	if body, err := b.body(t, pageBody(crawlID, rec.Ref.Url)); body != text || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if _, err := b.body(t, &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Ref{Ref: ref}}); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("the body is still spooled: %v", err)
	}
	b.publish(t, rec, record(2, "more")) // redelivered: its file is gone, and need not be there
	checkArchive(t, b.svc.cfg.Dir, 2)
}

func TestListing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var recs []*crawlv1.Record
	for n := range 700 {
		recs = append(recs, record(n, "x"))
	}
	b.publish(t, recs...)
	seen := map[string]bool{}
	var after uint64
	for _, limit := range []uint64{300, 1, 0} {
		for _, it := range b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID, After: after, Limit: limit}) {
			if it.GetCursor() <= after || seen[it.GetUrl()] {
				t.Fatalf("item %v behind cursor %d", it, after)
			}
			after, seen[it.GetUrl()] = it.GetCursor(), true
		}
		if limit > 0 && len(seen) != int(limit) && len(seen) != 301 {
			t.Errorf("%d items after a limit of %d", len(seen), limit)
		}
	}
	if len(seen) != len(recs) {
		t.Errorf("%d items of %d", len(seen), len(recs))
	}
	if items := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID, Rule: "other"}); len(items) != 0 {
		t.Errorf("items of another rule: %v", items)
	}
	stream, err := b.client.ListPages(t.Context(), &storagev1.ListPagesRequest{CrawlId: crawlID, Limit: 600})
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		pages += len(m.GetPages())
	}
	if pages != 600 {
		t.Errorf("%d pages", pages)
	}
	if stream, err = b.client.ListPages(t.Context(), &storagev1.ListPagesRequest{CrawlId: crawlID, Url: recs[3].Ref.Url}); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || len(m.GetPages()) != 1 || m.GetPages()[0].GetUrl() != recs[3].Ref.Url {
		t.Errorf("attempts at one URL: %v, %v", m, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, call := range map[string]func() error{
		"page without a crawl": func() error {
			_, err := b.client.GetPage(t.Context(), &storagev1.GetPageRequest{Url: "http://example.com/"})
			return err
		},
		"stats without a crawl": func() error {
			_, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{})
			return err
		},
		"body of nothing": func() error {
			_, err := b.body(t, &storagev1.GetBodyRequest{})
			return err
		},
		"upload without a crawl": func() error {
			s, err := b.client.PutBody(t.Context())
			if err != nil {
				return err
			}
			_, err = s.CloseAndRecv()
			return err
		},
	} {
		if err := call(); crawl.KindOf(err) != crawl.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.body(t, pageBody(crawlID, "http://example.com/none")); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("unknown page: %v", err)
	}
}

func TestDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if _, err := New(b.svc.cfg, b.svc.deps); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("error %v", err)
	}
}

func TestFreeSpaceGuard(t *testing.T) {
	t.Parallel()
	s := newStore(t, t.TempDir())
	defer s.Close()
	s.space.min = 1 << 62
	err := s.handle(t.Context(), []bus.Delivery{{Data: marshal(t, record(1, "x")), Number: 1}})
	if crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "no space left in "+s.cfg.Dir+": free space; nothing is lost") {
		t.Errorf("error %v", err)
	}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// newStore opens a service that is not run and has no bus.
func newStore(t testing.TB, dir string, change ...func(*Config)) *Service {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Dir, cfg.MinFree = dir, 0
	for _, c := range change {
		c(&cfg)
	}
	s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	good := DefaultConfig()
	good.Dir = "x"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	err := Config{MinFree: -1, Replica: "x"}.Validate()
	for _, want := range []string{"storage.dir", "storage.replica", "storage.batch:", "storage.segment-size", "storage.segment-age", "storage.min-free", "storage.body-age", "storage.max-body"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
}
