package console

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/rpc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const crawlID = "06fooooooooooooooooooooo01"

// services stand for a cluster: they answer with what they are told to, and remember
// what they were asked.
type services struct {
	schedulerv1.UnimplementedCrawlServiceServer
	parserv1.UnimplementedParserServiceServer

	// text is put in the place of every text of every answer, where it is not empty.
	text string
	// roles are the tokens that are known, with the methods that each may call ("*": all);
	// nil wants no tokens.
	roles map[string]string
	// tailed are what Tail sends; it goes on until its call ends where hold is set.
	tailed []*storagev1.TailResponse
	hold   bool
	// broken has Export end with an error after its first piece.
	broken bool

	mu    sync.Mutex
	calls []string
	last  map[string]proto.Message
}

// stored are the services as storage: both have a DeleteCrawl.
type stored struct {
	storagev1.UnimplementedStorageServiceServer
	*services
}

// say fills the texts of an answer.
func (s *services) say(m proto.Message) {
	if s.text != "" {
		fill(m.ProtoReflect(), s.text)
	}
}

// fill puts a text in the place of every text of a message.
func fill(m protoreflect.Message, text string) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			values := v.Map()
			if fd.MapKey().Kind() == protoreflect.StringKind {
				values.Set(protoreflect.ValueOfString(text).MapKey(), fd.MapValue().Default())
			}
		case fd.IsList():
			for i := range v.List().Len() {
				switch fd.Kind() {
				case protoreflect.StringKind:
					v.List().Set(i, protoreflect.ValueOfString(text))
				case protoreflect.MessageKind:
					fill(v.List().Get(i).Message(), text)
				}
			}
		case fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString(text))
		case fd.Kind() == protoreflect.MessageKind:
			fill(v.Message(), text)
		}
		return true
	})
}

// admit decides on a call and remembers it.
func (s *services) admit(ctx context.Context, method string, req any) error {
	name := method[strings.LastIndex(method, "/")+1:]
	s.mu.Lock()
	s.calls = append(s.calls, name)
	if m, ok := req.(proto.Message); ok {
		s.last[name] = m
	}
	s.mu.Unlock()
	if s.roles == nil {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	token := ""
	if v := md.Get("authorization"); len(v) == 1 {
		token = strings.TrimPrefix(v[0], "Bearer ")
	}
	may, ok := s.roles[token]
	switch {
	case !ok:
		return status.Error(codes.Unauthenticated, "this server wants a token")
	case may != "*" && !strings.Contains(may, name):
		return status.Error(codes.PermissionDenied, name+" needs the role submit; you have read")
	}
	return nil
}

func (s *services) called(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c == name {
			n++
		}
	}
	return n
}

func (s *services) asked(name string) proto.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[name]
}

func (s *services) aCrawl() *crawlv1.Crawl {
	c := &crawlv1.Crawl{
		Id: crawlID, Spec: &crawlv1.CrawlSpec{Name: "shop", Seeds: &crawlv1.Seeds{Urls: []string{"https://shop.example/"}}, Extract: []*crawlv1.ExtractRule{{Name: "product"}}},
		State: crawlv1.CrawlState_CRAWL_STATE_RUNNING, Revision: 1, CreatedAt: timestamppb.Now(),
		Stats: &crawlv1.CrawlStats{
			Ledger: &crawlv1.Ledger{Discovered: 1234, Queued: 200, Leased: 4, Delayed: 30, Done: 900, Failed: 60, Dropped: map[string]uint64{"robots_denied": 40}},
			Pages:  890, Items: 700, Bytes: 1 << 20, Fetches: 1000, Statuses: map[uint32]uint64{200: 890, 404: 60},
			Errors: map[string]uint64{"status_4xx": 60}, Refused: map[string]uint64{"scope": 7},
		},
	}
	s.say(c)
	c.Id = crawlID // a path of the console, never a text
	return c
}

func (s *services) GetCrawl(_ context.Context, req *schedulerv1.GetCrawlRequest) (*schedulerv1.GetCrawlResponse, error) {
	if req.GetCrawl() != crawlID && req.GetCrawl() != "shop" {
		return nil, status.Error(codes.NotFound, "no crawl has the id or name "+req.GetCrawl())
	}
	return &schedulerv1.GetCrawlResponse{Crawl: s.aCrawl()}, nil
}

func (s *services) ListCrawls(context.Context, *schedulerv1.ListCrawlsRequest) (*schedulerv1.ListCrawlsResponse, error) {
	return &schedulerv1.ListCrawlsResponse{Crawls: []*crawlv1.Crawl{s.aCrawl()}}, nil
}

func (s *services) CreateCrawl(context.Context, *schedulerv1.CreateCrawlRequest) (*schedulerv1.CreateCrawlResponse, error) {
	return &schedulerv1.CreateCrawlResponse{Crawl: s.aCrawl()}, nil
}

func (s *services) PauseCrawl(context.Context, *schedulerv1.PauseCrawlRequest) (*schedulerv1.PauseCrawlResponse, error) {
	return &schedulerv1.PauseCrawlResponse{Crawl: s.aCrawl()}, nil
}

func (s *services) CancelCrawl(context.Context, *schedulerv1.CancelCrawlRequest) (*schedulerv1.CancelCrawlResponse, error) {
	return &schedulerv1.CancelCrawlResponse{Crawl: s.aCrawl()}, nil
}

func (s *services) WatchCrawl(req *schedulerv1.WatchCrawlRequest, out grpc.ServerStreamingServer[schedulerv1.WatchCrawlResponse]) error {
	if req.GetCrawl() != crawlID {
		return status.Error(codes.NotFound, "no crawl has the id or name "+req.GetCrawl())
	}
	resp := &schedulerv1.WatchCrawlResponse{BusiestHosts: []*schedulerv1.HostActivity{{Host: "https://shop.example", Leased: 2, Queued: 190}}}
	s.say(resp)
	resp.Crawl = s.aCrawl()
	if err := out.Send(resp); err != nil {
		return err
	}
	<-out.Context().Done()
	return nil
}

func (s *services) AddURLs(stream grpc.BidiStreamingServer[schedulerv1.AddURLsRequest, schedulerv1.AddURLsResponse]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil
		}
		resp := &schedulerv1.AddURLsResponse{Added: uint64(len(m.GetUrls())), Refused: []*schedulerv1.RefusedURL{{Url: "ftp://x/", Reason: "scheme"}}}
		s.say(resp)
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

func (s *services) ExplainURL(context.Context, *schedulerv1.ExplainURLRequest) (*schedulerv1.ExplainURLResponse, error) {
	resp := &schedulerv1.ExplainURLResponse{
		CanonicalUrl: "https://shop.example/p/1", InScope: true, ScopeRule: "hosts", RobotsRule: "Disallow: /x", RobotsVerdict: "allowed", State: schedulerv1.URLState_URL_STATE_DONE,
		Reason: "a reason", Attempts: 2, Status: 200, FetchedAt: timestamppb.Now(), Generation: 1, Lease: 1 << 41, Replica: "one", Via: "https://shop.example/old", Host: aHost(),
	}
	s.say(resp)
	return resp, nil
}

func aHost() *schedulerv1.HostInfo {
	return &schedulerv1.HostInfo{
		Host: "https://shop.example", State: "delay", Queued: 9, Leased: 1, Pages: 80, Delay: durationpb.New(time.Second), Concurrency: 1, BackoffLevel: 2, Failures: 1,
		NextAt: timestamppb.Now(), Robots: "ok", RobotsUntil: timestamppb.Now(), Address: "192.0.2.1", Policy: &schedulerv1.HostPolicy{Note: "gently", Blocked: true},
	}
}

func (s *services) GetHost(context.Context, *schedulerv1.GetHostRequest) (*schedulerv1.GetHostResponse, error) {
	resp := &schedulerv1.GetHostResponse{Host: aHost()}
	s.say(resp)
	return resp, nil
}

func (s *services) SetHostPolicy(context.Context, *schedulerv1.SetHostPolicyRequest) (*schedulerv1.SetHostPolicyResponse, error) {
	return &schedulerv1.SetHostPolicyResponse{Host: aHost()}, nil
}

func (s *services) ListHosts(context.Context, *schedulerv1.ListHostsRequest) (*schedulerv1.ListHostsResponse, error) {
	resp := &schedulerv1.ListHostsResponse{Hosts: []*schedulerv1.HostInfo{aHost()}, NextPageToken: "more"}
	s.say(resp)
	return resp, nil
}

func (s *services) ListURLs(context.Context, *schedulerv1.ListURLsRequest) (*schedulerv1.ListURLsResponse, error) {
	resp := &schedulerv1.ListURLsResponse{NextPageToken: "more", Urls: []*schedulerv1.URLInfo{
		{Url: "https://shop.example/p/1", State: schedulerv1.URLState_URL_STATE_DONE, Status: 200},
		{Url: "https://shop.example/p/2", State: schedulerv1.URLState_URL_STATE_DROPPED, Reason: "robots_denied"},
	}}
	s.say(resp)
	return resp, nil
}

func (s *services) ListDeadLetters(context.Context, *schedulerv1.ListDeadLettersRequest) (*schedulerv1.ListDeadLettersResponse, error) {
	resp := &schedulerv1.ListDeadLettersResponse{Letters: []*schedulerv1.DeadLetterInfo{{Id: 7, Stream: "WEIR_PAGES", Reason: "not a page", At: timestamppb.Now(), CrawlId: crawlID, Url: "https://shop.example/p/9"}}}
	s.say(resp)
	return resp, nil
}

func (s *services) RetryDeadLetters(context.Context, *schedulerv1.RetryDeadLettersRequest) (*schedulerv1.RetryDeadLettersResponse, error) {
	return &schedulerv1.RetryDeadLettersResponse{Retried: 1}, nil
}

func (s *services) ListStages(context.Context, *schedulerv1.ListStagesRequest) (*schedulerv1.ListStagesResponse, error) {
	resp := &schedulerv1.ListStagesResponse{
		Stages: []*schedulerv1.StageInfo{{Stage: "fetch-http", Queue: "WEIR_TASKS", Pending: 3, AckPending: 4, Delivered: 1000, WaitingPulls: 1}, {Stage: "parse", Queue: "WEIR_PAGES", Pending: 5}},
		Queues: []*schedulerv1.QueueInfo{{Queue: "WEIR_TASKS", Messages: 7, Bytes: 1000, MaxBytes: 2000, OldestAt: timestamppb.Now()}},
	}
	s.say(resp)
	return resp, nil
}

func (s *services) ListFields(context.Context, *parserv1.ListFieldsRequest) (*parserv1.ListFieldsResponse, error) {
	resp := &parserv1.ListFieldsResponse{Fields: []*parserv1.FieldState{{Rule: "product", Field: "price", Filled: 9, Fallen: true}}}
	s.say(resp)
	return resp, nil
}

func (s stored) GetStats(context.Context, *storagev1.GetStatsRequest) (*storagev1.GetStatsResponse, error) {
	resp := &storagev1.GetStatsResponse{ArchiveBytes: 4096, Media: 2, Rules: map[string]uint64{"product": 700}, Warnings: []string{"the disk is nearly full"}}
	s.say(resp)
	return resp, nil
}

func (s *services) anItem(n uint64) *storagev1.StoredItem {
	json := `{"title":"A thing","price":3.5,"tags":["a","b"],"_url":"https://shop.example/p/1"}`
	if s.text != "" {
		json = `{"title":` + quoted(s.text) + `,` + quoted(s.text) + `:{"x":` + quoted(s.text) + `}}`
	}
	it := &storagev1.StoredItem{Cursor: n, Url: "https://shop.example/p/1", Rule: "product"}
	s.say(it)
	it.Json = []byte(json)
	return it
}

func (s stored) ListItems(_ *storagev1.ListItemsRequest, out grpc.ServerStreamingServer[storagev1.ListItemsResponse]) error {
	return out.Send(&storagev1.ListItemsResponse{Items: []*storagev1.StoredItem{s.anItem(41), s.anItem(42)}})
}

func (s stored) ListPages(_ *storagev1.ListPagesRequest, out grpc.ServerStreamingServer[storagev1.ListPagesResponse]) error {
	resp := &storagev1.ListPagesResponse{Pages: []*storagev1.PageInfo{{
		Url: "https://shop.example/p/1", Status: 404, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX, ErrorDetail: "404 Not Found", Title: "Not here", FetchedAt: timestamppb.Now(),
		RedirectUrl: "https://shop.example/other", WarcFile: "a.warc.gz", DuplicateOf: "https://shop.example/p/2", ContentType: "text/html",
	}}}
	s.say(resp)
	return out.Send(resp)
}

func (s stored) ListMedia(_ *storagev1.ListMediaRequest, out grpc.ServerStreamingServer[storagev1.ListMediaResponse]) error {
	resp := &storagev1.ListMediaResponse{Media: []*storagev1.MediaInfo{
		{Url: "https://shop.example/a.png", Sha256: make([]byte, 32), ContentType: "image/png", Size: 10}, {Url: "https://shop.example/b.svg", Sha256: make([]byte, 32), ContentType: "image/svg+xml", Size: 10},
	}}
	s.say(resp)
	return out.Send(resp)
}

func (s stored) GetMedia(_ *storagev1.GetMediaRequest, out grpc.ServerStreamingServer[storagev1.GetMediaResponse]) error {
	if err := out.Send(&storagev1.GetMediaResponse{Info: &storagev1.MediaInfo{ContentType: "text/html"}, Data: []byte("<script>")}); err != nil {
		return err
	}
	return out.Send(&storagev1.GetMediaResponse{Data: []byte("alert(1)</script>")})
}

func (s stored) GetBody(_ *storagev1.GetBodyRequest, out grpc.ServerStreamingServer[storagev1.GetBodyResponse]) error {
	return out.Send(&storagev1.GetBodyResponse{Data: []byte("<script>alert(1)</script>")})
}

func (s stored) Export(_ *storagev1.ExportRequest, out grpc.ServerStreamingServer[storagev1.ExportResponse]) error {
	if err := out.Send(&storagev1.ExportResponse{Data: []byte(strings.Repeat("x", 64<<10))}); err != nil {
		return err
	}
	if s.broken {
		return status.Error(codes.Unavailable, "the store is away")
	}
	return out.Send(&storagev1.ExportResponse{Data: []byte("end\n")})
}

func (s stored) Tail(_ *storagev1.TailRequest, out grpc.ServerStreamingServer[storagev1.TailResponse]) error {
	for _, m := range s.tailed {
		if err := out.Send(m); err != nil {
			return err
		}
	}
	if s.hold {
		<-out.Context().Done()
	}
	return nil
}

// bundle is a console over services.
type bundle struct {
	*services
	console *Server
	url     string
	http    *http.Client
}

// setup serves a console over services until the test ends.
func setup(t testing.TB, s *services, change ...func(*Config)) *bundle {
	t.Helper()
	s.last = map[string]proto.Message{}
	listener := rpc.NewInProcess(rpc.Deps{})
	// In front of the services, as the guard of a real server is.
	front := &gate{listener, s}
	schedulerv1.RegisterCrawlServiceServer(front, s)
	storagev1.RegisterStorageServiceServer(front, stored{services: s})
	parserv1.RegisterParserServiceServer(front, s)
	conn, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	for _, f := range change {
		f(&cfg)
	}
	console, err := New(cfg, Deps{Client: client.Over(conn), Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	console.extraTime = time.Minute // a slow machine's pages have all that they ask for
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = listener.Serve(ctx) })
	running, stop := context.WithCancel(context.Background())
	wg.Go(func() {
		if err := console.Run(running); err != nil {
			t.Errorf("console: %v", err)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{services: s, console: console, url: strings.TrimSuffix(console.URL(), "/"), http: &http.Client{
		Transport: &http.Transport{}, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		b.http.CloseIdleConnections()
		stop()
		_ = conn.Close()
		cancel()
		wg.Wait()
	})
	return b
}

// gate asks services whether a call may go on.
type gate struct {
	grpc.ServiceRegistrar
	s *services
}

// RegisterService implements grpc.ServiceRegistrar.
func (g *gate) RegisterService(desc *grpc.ServiceDesc, impl any) {
	d := *desc
	d.Methods, d.Streams = nil, nil
	for _, m := range desc.Methods {
		h := m.Handler
		m.Handler = func(srv any, ctx context.Context, dec func(any) error, next grpc.UnaryServerInterceptor) (any, error) {
			return h(srv, ctx, dec, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				if err := g.s.admit(ctx, info.FullMethod, req); err != nil {
					return nil, err
				}
				if next != nil {
					return next(ctx, req, info, handle)
				}
				return handle(ctx, req)
			})
		}
		d.Methods = append(d.Methods, m)
	}
	for _, m := range desc.Streams {
		h, name := m.Handler, m.StreamName
		m.Handler = func(srv any, stream grpc.ServerStream) error {
			if err := g.s.admit(stream.Context(), "/"+name, nil); err != nil {
				return err
			}
			return h(srv, stream)
		}
		d.Streams = append(d.Streams, m)
	}
	g.ServiceRegistrar.RegisterService(&d, impl)
}

// answer is what a browser got.
type answer struct {
	code   int
	header http.Header
	body   string
}

// get asks for a page as a browser does.
func (b *bundle) get(t testing.TB, path string) answer {
	t.Helper()
	return b.do(t, http.MethodGet, path, nil, nil)
}

// post sends a form as a browser does.
func (b *bundle) post(t testing.TB, path string, form url.Values) answer {
	t.Helper()
	return b.do(t, http.MethodPost, path, form, map[string]string{"Sec-Fetch-Site": "same-origin"})
}

func (b *bundle) do(t testing.TB, method, path string, form url.Values, header map[string]string) answer {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(context.Background(), method, b.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
		}
		req.Header.Set(k, v)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// seen waits until the console has looked at the services.
func (b *bundle) seen(t testing.TB) {
	t.Helper()
	news, stop := b.console.events.listen()
	defer stop()
	for len(b.console.history.View(time.Now(), window).Samples) == 0 {
		select {
		case <-news:
		case <-time.After(30 * time.Second):
			t.Fatal("the console never looked")
		}
	}
}
