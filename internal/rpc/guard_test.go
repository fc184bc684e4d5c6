package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/rpc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// crawls is the part of a scheduler that tells who called it.
type crawls struct {
	schedulerv1.UnimplementedCrawlServiceServer

	mu      sync.Mutex
	callers []access.Caller
}

func (s *crawls) called(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callers = append(s.callers, access.From(ctx))
}

func (s *crawls) last() access.Caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callers[len(s.callers)-1]
}

func (s *crawls) CreateCrawl(ctx context.Context, req *schedulerv1.CreateCrawlRequest) (*schedulerv1.CreateCrawlResponse, error) {
	s.called(ctx)
	if req.GetSpec().GetName() == "panic" {
		panic("as asked")
	}
	return &schedulerv1.CreateCrawlResponse{Crawl: &crawlv1.Crawl{Id: "new", Spec: req.GetSpec(), Owner: access.From(ctx).Owner()}}, nil
}

func (s *crawls) AddURLs(stream grpc.BidiStreamingServer[schedulerv1.AddURLsRequest, schedulerv1.AddURLsResponse]) error {
	s.called(stream.Context())
	for n := uint64(1); ; n++ {
		if _, err := stream.Recv(); err != nil {
			return nil // a handler that makes nothing of errors
		}
		if err := stream.Send(&schedulerv1.AddURLsResponse{Batches: n}); err != nil {
			return err
		}
	}
}

// guarded is a server with a guard and all services.
type guarded struct {
	addr, dir string
	crawls    *crawls
	clock     *clock
	log       *logged
	audit     string
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// entry is a line of a file of tokens; the token is the name again.
func entry(name, role, more string) string {
	return fmt.Sprintf("  - {name: %s, sha256: %s, role: %s%s}\n", name, access.HashOf("token-of-"+name), role, more)
}

func startGuarded(t *testing.T, tokens string, specs access.Specs) *guarded {
	t.Helper()
	g := &guarded{crawls: &crawls{}, clock: &clock{now: time.Now()}, log: &logged{}}
	g.dir, _ = folder(t)
	g.audit = filepath.Join(g.dir, "audit.log")
	cfg := access.DefaultConfig()
	cfg.AuditFile = g.audit
	if tokens != "" {
		cfg.TokensFile = filepath.Join(g.dir, "tokens.yaml")
		if err := os.WriteFile(cfg.TokensFile, []byte("tokens:\n"+tokens), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewJSONHandler(g.log, nil))
	guard, err := access.New(cfg, access.Deps{Log: log, ClientCA: true, Specs: specs, Now: g.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close() })
	server, err := rpc.NewServer(configOf(g.dir, certs.Scheduler), rpc.Deps{Log: log, Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	schedulerv1.RegisterCrawlServiceServer(server, g.crawls)
	storagev1.RegisterStorageServiceServer(server, storagev1.UnimplementedStorageServiceServer{})
	fetcherv1.RegisterFetcherServiceServer(server, fetcherv1.UnimplementedFetcherServiceServer{})
	parserv1.RegisterParserServiceServer(server, parserv1.UnimplementedParserServiceServer{})
	extractorv1.RegisterExtractorServiceServer(server, extractorv1.UnimplementedExtractorServiceServer{})
	serve(t, server.Serve)
	g.addr = server.Addr()
	return g
}

// dial connects with the certificate of a service, or with none.
func (g *guarded) dial(t *testing.T, service string) *grpc.ClientConn {
	t.Helper()
	files := certs.Files{Authority: authority.Files(g.dir, certs.Admin).Authority}
	if service != "" {
		files = authority.Files(g.dir, service)
	}
	k, err := certs.Open(files, certs.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	cc, err := rpc.Dial(g.addr, grpc.WithTransportCredentials(rpc.Credentials(k, certs.Scheduler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func as(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer token-of-"+name)
}

// try calls any method with an empty message and returns the code. UNIMPLEMENTED and OK
// mean that the call was let in.
func try(ctx context.Context, t *testing.T, cc *grpc.ClientConn, method string) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return status.Code(err)
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err == nil {
		_ = stream.CloseSend()
	}
	return status.Code(stream.RecvMsg(&emptypb.Empty{}))
}

// TestEveryMethodByEveryCaller is the table of who may call what, over real connections.
func TestEveryMethodByEveryCaller(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, entry("reader", "read", "")+entry("submitter", "submit", "")+entry("boss", "admin", "")+
		entry("former", "admin", ", expires: 2020-01-01"), access.Specs{})
	const scheduler, storage = "/weir.scheduler.v1.CrawlService/", "/weir.storage.v1.StorageService/"
	submits := map[string]bool{
		scheduler + "CreateCrawl": true, scheduler + "UpdateCrawl": true, scheduler + "AddURLs": true, scheduler + "PauseCrawl": true,
		scheduler + "ResumeCrawl": true, scheduler + "CloseCrawl": true, scheduler + "CancelCrawl": true, storage + "Reparse": true,
		"/weir.fetcher.v1.FetcherService/Fetch": true, "/weir.parser.v1.ParserService/Parse": true,
	}
	admins := map[string]bool{
		scheduler + "DeleteCrawl": true, scheduler + "SetHostPolicy": true, scheduler + "RetryDeadLetters": true,
		storage + "DeleteCrawl": true, storage + "PutBody": true, "/weir.extractor.v1.ExtractorService/Extract": true,
	}
	none := func(string) bool { return false }
	reads := func(m string) bool { return !submits[m] && !admins[m] }
	for _, tc := range []struct {
		name, cert, token string
		may               func(method string) bool
		code              codes.Code // of what it may not
	}{
		{"nobody", "", "", none, codes.Unauthenticated},
		{"a token that nobody knows", "", "stranger", none, codes.Unauthenticated},
		{"an expired token", "", "former", none, codes.Unauthenticated},
		{"read", "", "reader", reads, codes.PermissionDenied},
		{"submit", "", "submitter", func(m string) bool { return !admins[m] }, codes.PermissionDenied},
		{"admin", "", "boss", func(string) bool { return true }, codes.OK},
		{"certificate of admin", certs.Admin, "", func(string) bool { return true }, codes.OK},
		{"fetcher", certs.Fetcher, "", func(m string) bool { return m == storage+"PutBody" }, codes.PermissionDenied},
		{"parser", certs.Parser, "", func(m string) bool { return m == storage+"GetBody" }, codes.PermissionDenied},
		{"scheduler", certs.Scheduler, "", func(m string) bool { return strings.HasPrefix(m, scheduler) }, codes.PermissionDenied},
		{"storage", certs.Storage, "", none, codes.PermissionDenied},
		{"console without a user", certs.Console, "", none, codes.PermissionDenied},
		{"console for a reader", certs.Console, "reader", reads, codes.PermissionDenied},
		{"console with a token that nobody knows", certs.Console, "stranger", none, codes.Unauthenticated},
		{"fetcher with a token counts as the user", certs.Fetcher, "reader", reads, codes.PermissionDenied},
		{"a certificate that is for something else", certs.Topology, "", none, codes.Unauthenticated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cc, ctx := g.dial(t, tc.cert), t.Context()
			if tc.token != "" {
				ctx = as(ctx, tc.token)
			}
			for method := range access.Rules() {
				if strings.HasSuffix(method, "Health/Watch") {
					continue // it does not end
				}
				got := try(ctx, t, cc, method)
				in := got == codes.OK || got == codes.Unimplemented || got == codes.NotFound || got == codes.InvalidArgument
				may := strings.HasPrefix(method, "/grpc.health.") || tc.may(method)
				if in != may || !in && got != tc.code {
					t.Errorf("%s: %s, may call it: %v", method, got, may)
				}
			}
		})
	}
}

// Only the certificate of a scheduler makes what is said of the user count.
func TestForwardedCaller(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, entry("reader", "read", ""), access.Specs{})
	boss := access.Caller{Name: "boss", Role: access.Admin, Quotas: access.Quotas{CrawlsRunning: 3}}
	forged := metadata.AppendToOutgoingContext(t.Context(), access.ForwardedKey, boss.Forward())
	const create = "/weir.scheduler.v1.CrawlService/CreateCrawl"
	for _, tc := range []struct {
		name, cert string
		ctx        context.Context
		want       codes.Code
	}{
		{"nobody", "", forged, codes.Unauthenticated},
		{"a fetcher", certs.Fetcher, forged, codes.PermissionDenied},
		{"a reader", "", as(forged, "reader"), codes.PermissionDenied},
		{"a scheduler", certs.Scheduler, forged, codes.OK},
		{"a scheduler for a reader", certs.Scheduler, metadata.AppendToOutgoingContext(t.Context(), access.ForwardedKey, access.Caller{Name: "r", Role: access.Read}.Forward()), codes.PermissionDenied},
		{"a scheduler that says nonsense", certs.Scheduler, metadata.AppendToOutgoingContext(t.Context(), access.ForwardedKey, "{}"), codes.PermissionDenied},
	} {
		if got := try(tc.ctx, t, g.dial(t, tc.cert), create); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	if got := g.crawls.last(); got.Name != "boss" || got.Role != access.Admin || got.Quotas.CrawlsRunning != 3 || got.Owner() != "boss" {
		t.Errorf("the caller came as %+v", got)
	}
	// The other direction: what a replica sends on.
	in := metadata.NewIncomingContext(access.With(t.Context(), boss), metadata.Pairs("authorization", "Bearer x", "cookie", "y"))
	out, _ := metadata.FromOutgoingContext(rpc.Forward(in))
	if out.Get(access.ForwardedKey)[0] != boss.Forward() || out.Get("authorization")[0] != "Bearer x" || len(out) != 2 {
		t.Errorf("passed on: %v", out)
	}
}

func TestQuotasOfCalls(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, entry("slow", "submit", ", quotas: {requests-per-second: 2, urls-per-minute: 100, pages-per-crawl: 50, weight: 3}")+
		entry("free", "submit", ""), access.Specs{})
	client := schedulerv1.NewCrawlServiceClient(g.dial(t, ""))
	create := func(name string, s *crawlv1.CrawlSpec) error {
		_, err := client.CreateCrawl(as(t.Context(), name), &schedulerv1.CreateCrawlRequest{Spec: s})
		return err
	}
	pages := func(n uint64) *crawlv1.CrawlSpec { return &crawlv1.CrawlSpec{Limits: &crawlv1.Limits{Pages: n}} }
	want := func(what string, err error, code codes.Code, text string) {
		t.Helper()
		if status.Code(err) != code || code != codes.OK && !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %s %q", what, err, code, text)
		}
	}
	want("without a limit", create("slow", &crawlv1.CrawlSpec{}), codes.PermissionDenied, "limits.pages: this caller's crawls may have at most 50 pages")
	want("above the limit", create("slow", pages(51)), codes.PermissionDenied, "limits.pages")
	err := create("slow", pages(1))
	want("third call of a second", err, codes.ResourceExhausted, "more than 2 requests a second")
	if wait, ok := access.RetryAfter(err); !ok || wait != 500*time.Millisecond {
		t.Errorf("come again in %s, %v", wait, ok)
	}
	want("another caller", create("free", &crawlv1.CrawlSpec{}), codes.OK, "")
	g.clock.pass(time.Second)
	weight := uint32(4)
	heavy := pages(1)
	heavy.Weight = &weight
	want("too heavy", create("slow", heavy), codes.PermissionDenied, "weight: at most 3")
	want("allowed", create("slow", pages(50)), codes.OK, "")
	g.clock.pass(time.Second)

	stream, err := client.AddURLs(as(t.Context(), "slow"))
	if err != nil {
		t.Fatal(err)
	}
	batch := &schedulerv1.AddURLsRequest{Crawl: "c", Urls: make([]string, 90), Seeds: make([]*schedulerv1.SeedURL, 30)}
	for i := range batch.Seeds {
		batch.Seeds[i] = &schedulerv1.SeedURL{Url: "http://x.test/"}
	}
	// 100 are there; the first batch takes more, and the second waits for it.
	_ = stream.Send(batch) // Recv has the error
	if ack, err := stream.Recv(); err != nil || ack.GetBatches() != 1 {
		t.Fatalf("first batch: %v, %v", ack, err)
	}
	_ = stream.Send(batch)
	_, err = stream.Recv()
	want("second batch", err, codes.ResourceExhausted, "more than 100 URLs a minute")
	if wait, ok := access.RetryAfter(err); !ok || wait != 72*time.Second { // 20 owed, 100 wanted
		t.Errorf("come again in %s, %v", wait, ok)
	}
}

// What an operator does not let specs use is refused where they come in.
func TestWhatSpecsMayUse(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, entry("shop", "submit", ", specs: {secrets: [WEIR_SECRET_SHOP_*], extractors: []}")+entry("any", "submit", ""),
		access.Specs{Secrets: []string{"WEIR_SECRET_*"}, Extractors: []string{"dns:///extractor:9000"}, Proxies: []string{"proxy.test:3128"}})
	cc := g.dial(t, "")
	crawl := schedulerv1.NewCrawlServiceClient(cc)
	headers := func(v string) *crawlv1.CrawlSpec {
		return &crawlv1.CrawlSpec{Fetch: &crawlv1.Fetch{Headers: map[string]string{"X-Key": v}}}
	}
	extractor := func(a string) *crawlv1.CrawlSpec {
		return &crawlv1.CrawlSpec{Extractor: &crawlv1.Extractor{Address: a}}
	}
	proxy := func(p string) *crawlv1.CrawlSpec { return &crawlv1.CrawlSpec{Fetch: &crawlv1.Fetch{Proxy: p}} }
	for _, tc := range []struct {
		name, caller string
		spec         *crawlv1.CrawlSpec
		refused      string
	}{
		{"its own secret", "shop", headers("{WEIR_SECRET_SHOP_KEY}"), ""},
		{"the secret of others", "shop", headers("{WEIR_SECRET_BANK}"), "secret WEIR_SECRET_BANK: the operator, for shop, does not allow it"},
		{"of others, allowed", "any", headers("{WEIR_SECRET_BANK}"), ""},
		{"a password", "shop", &crawlv1.CrawlSpec{Fetch: &crawlv1.Fetch{BasicAuth: &crawlv1.BasicAuth{User: "u", PasswordEnv: "WEIR_SECRET_BANK"}}}, "WEIR_SECRET_BANK"},
		{"an extractor", "any", extractor("dns:///extractor:9000"), ""},
		{"any extractor", "any", extractor("169.254.169.254:80"), `extractor.address "169.254.169.254:80": the operator of this server does not allow it`},
		{"no extractor at all", "shop", extractor("dns:///extractor:9000"), "for shop"},
		{"a proxy", "any", proxy("http://u:s3cr3t@proxy.test:3128"), ""},
		{"any proxy", "any", proxy("http://u:s3cr3t@evil.test:3128"), "fetch.proxy at evil.test:3128"},
	} {
		ctx := as(t.Context(), tc.caller)
		_, create := crawl.CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: tc.spec})
		_, update := crawl.UpdateCrawl(ctx, &schedulerv1.UpdateCrawlRequest{Crawl: "c", Spec: tc.spec})
		_, parse := parserv1.NewParserServiceClient(cc).Parse(ctx, &parserv1.ParseRequest{Spec: tc.spec})
		errs := map[string]error{"create": create, "update": update, "parse": parse}
		if tc.spec.GetExtractor() == nil {
			_, errs["fetch"] = fetcherv1.NewFetcherServiceClient(cc).Fetch(ctx, &fetcherv1.FetchRequest{Options: tc.spec.GetFetch()})
		}
		for what, err := range errs {
			code := status.Code(err)
			if tc.refused == "" && code == codes.PermissionDenied || tc.refused != "" && (code != codes.PermissionDenied || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("%s, %s: %v", tc.name, what, err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s, %s: the error has the password: %v", tc.name, what, err)
			}
		}
	}
	// A secret in the body of a single fetch counts too.
	_, err := fetcherv1.NewFetcherServiceClient(cc).Fetch(as(t.Context(), "shop"), &fetcherv1.FetchRequest{Url: "http://x.test/", Body: []byte(`{"k":"{WEIR_SECRET_BANK}"}`)})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a secret in a body: %v", err)
	}
}

// auditLine is a line of the audit log.
type auditLine struct {
	Msg, Caller, Role, Method, Target, Outcome, Via string
	Urls                                            int
	TraceID                                         string `json:"trace_id"`
}

func readAudit(t *testing.T, path string) []auditLine {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []auditLine
	for line := range strings.Lines(string(data)) {
		var l auditLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || len(line) > 2000 {
			t.Fatalf("%v in a line of %d bytes: %s", err, len(line), line)
		}
		out = append(out, l)
	}
	return out
}

func TestAudit(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, entry("reader", "read", "")+entry("writer", "submit", ""), access.Specs{})
	cc := g.dial(t, "")
	crawl := schedulerv1.NewCrawlServiceClient(cc)
	writer := metadata.AppendToOutgoingContext(as(t.Context(), "writer"), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	long := strings.Repeat("ü", 5000)
	call := func(_ any, err error) { _ = err } // the audit log has it
	call(crawl.ListCrawls(writer, &schedulerv1.ListCrawlsRequest{}))
	call(crawl.CreateCrawl(writer, &schedulerv1.CreateCrawlRequest{Spec: &crawlv1.CrawlSpec{Name: "shop"}}))
	call(crawl.CreateCrawl(as(t.Context(), "reader"), &schedulerv1.CreateCrawlRequest{Spec: &crawlv1.CrawlSpec{Name: "shop"}}))
	call(crawl.CreateCrawl(writer, &schedulerv1.CreateCrawlRequest{Spec: &crawlv1.CrawlSpec{Name: "panic"}}))
	call(crawl.PauseCrawl(writer, &schedulerv1.PauseCrawlRequest{Crawl: long}))
	call(crawl.SetHostPolicy(writer, &schedulerv1.SetHostPolicyRequest{Host: "https://u:s3cr3t@x.test/p?token=s3cr3t"}))
	// Rotation: whoever renames the file gets the lines until then.
	if err := os.Rename(g.audit, g.audit+".1"); err != nil {
		t.Fatal(err)
	}
	stream, err := crawl.AddURLs(writer)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_ = stream.Send(&schedulerv1.AddURLsRequest{Crawl: "c", Urls: []string{"http://u:s3cr3t@x.test/", "http://y.test/"}})
		call(stream.Recv())
	}
	_ = stream.CloseSend()
	call(stream.Recv())
	call(crawl.CancelCrawl(t.Context(), &schedulerv1.CancelCrawlRequest{Crawl: "c"}))

	const trace = "0af7651916cd43dd8448eb211c80319c"
	want := []auditLine{
		{Caller: "writer", Role: "submit", Method: "CrawlService/CreateCrawl", Target: "new", Outcome: "OK", TraceID: trace},
		{Caller: "reader", Role: "read", Method: "CrawlService/CreateCrawl", Outcome: "PermissionDenied"},
		{Caller: "writer", Role: "submit", Method: "CrawlService/CreateCrawl", Target: "panic", Outcome: "Internal", TraceID: trace},
		{Caller: "writer", Role: "submit", Method: "CrawlService/PauseCrawl", Target: strings.Repeat("ü", 100) + "…", Outcome: "Unimplemented", TraceID: trace},
		{Caller: "writer", Role: "submit", Method: "CrawlService/SetHostPolicy", Outcome: "PermissionDenied", TraceID: trace},
	}
	check := func(got, want []auditLine) {
		t.Helper()
		for i := range got {
			got[i].Msg = ""
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	check(readAudit(t, g.audit+".1"), want)
	check(readAudit(t, g.audit), []auditLine{
		{Caller: "writer", Role: "submit", Method: "CrawlService/AddURLs", Target: "c", Outcome: "OK", Urls: 6, TraceID: trace},
		{Role: "nobody", Method: "CrawlService/CancelCrawl", Outcome: "Unauthenticated"},
	})
	if info, err := os.Stat(g.audit); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the audit log: %v, %v", info.Mode(), err)
	}
	for _, path := range []string{g.audit, g.audit + ".1"} {
		if data, _ := os.ReadFile(path); bytes.Contains(data, []byte("s3cr3t")) || bytes.Contains(data, []byte("token-of-")) {
			t.Errorf("%s has a password or a token: %s", path, data)
		}
	}
	if text := g.log.String(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "token-of-") {
		t.Errorf("the log has a password or a token: %s", text)
	}
}

// A server that other machines reach says once that everybody may do everything, or that
// tokens come in plain text. It is only listened on here, and nobody calls it.
func TestWarnings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte("tokens:\n"+entry("a", "read", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ listen, tokens, want string }{
		{"0.0.0.0:0", "", "everybody who reaches this address may do everything"},
		{"0.0.0.0:0", file, "tokens come in plain text"},
		{"127.0.0.1:0", "", ""},
		{"127.0.0.1:0", file, ""},
	} {
		log := &logged{}
		deps := rpc.Deps{Log: slog.New(slog.NewTextHandler(log, nil))}
		guard, err := access.New(access.Config{TokensFile: tc.tokens, OIDC: access.DefaultConfig().OIDC}, access.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		deps.Guard = guard
		cfg := rpc.DefaultConfig()
		cfg.Listen = tc.listen
		s, err := rpc.NewServer(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, s.Serve)()
		if text := log.String(); strings.Count(text, "level=WARN") != min(len(tc.want), 1) || !strings.Contains(text, tc.want) {
			t.Errorf("%s, tokens %q: %s", tc.listen, tc.tokens, text)
		}
	}
}
