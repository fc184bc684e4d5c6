package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// services is a gRPC server that has every method: it remembers the call and fails it.
type services struct {
	mu     sync.Mutex
	method string
	md     metadata.MD
	err    error
}

func (s *services) serve(_ any, stream grpc.ServerStream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.method, _ = grpc.Method(stream.Context())
	s.md, _ = metadata.FromIncomingContext(stream.Context())
	return s.err
}

func (s *services) take() (string, metadata.MD) {
	s.mu.Lock()
	defer s.mu.Unlock()
	method, md := s.method, s.md
	s.method, s.md = "", nil
	return method, md
}

func (s *services) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// start serves the gateway before such a server.
func start(t *testing.T) (*services, *httptest.Server) {
	t.Helper()
	s := &services{err: status.Error(codes.Aborted, "reached")}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(s.serve))
	healthv1.RegisterHealthServer(server, health.NewServer()) // clients look at it
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(lis) }()
	c, err := client.Dial(client.Config{Server: lis.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(g)
	t.Cleanup(func() { web.Close(); _ = c.Close(); server.Stop(); <-done })
	return s, web
}

// ask makes a request and returns the answer.
func ask(t *testing.T, web *httptest.Server, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, web.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

const someID = "06h1kov2fdqa5dvv3qgm9jpp7s"

// TestEveryRPC finds RPCs that no path leads to, and paths that lead elsewhere than the
// document says.
func TestEveryRPC(t *testing.T) {
	t.Parallel()
	s, web := start(t)
	_, text := ask(t, web, "GET", "/openapi.json", "")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Consumes    []string
			Parameters  []struct{ Name, In string }
		}
		SecurityDefinitions map[string]any
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Paths) < 25 || len(doc.SecurityDefinitions) == 0 {
		t.Fatalf("the document has %d paths", len(doc.Paths))
	}
	reached := map[string]bool{}
	for path, methods := range doc.Paths {
		for verb, op := range methods {
			url := strings.NewReplacer("{crawl}", someID, "{crawl_id}", someID).Replace(path)
			body, kind := "", "application/json"
			if verb == "post" || verb == "put" {
				body = "{}"
			}
			if strings.HasSuffix(path, "/yaml") {
				body, kind = "seeds: {urls: ['http://x.test/']}", "application/yaml"
			}
			resp, answer := ask(t, web, strings.ToUpper(verb), url, body, "Content-Type", kind)
			method, _ := s.take()
			service, name, _ := strings.Cut(strings.TrimSuffix(op.OperationID, "_ByHand"), "_")
			if !strings.HasSuffix(method, "."+service+"/"+name) || resp.StatusCode != http.StatusConflict && !strings.Contains(answer, "reached") {
				t.Errorf("%s %s reached %q and answered %d %s; the document says %s", verb, path, method, resp.StatusCode, answer, op.OperationID)
			}
			reached[method] = true
		}
	}
	deliberately := map[string]string{
		"/weir.storage.v1.StorageService/PutBody":     "fetchers put bodies, nobody else does",
		"/weir.extractor.v1.ExtractorService/Extract": "a program of a user serves it",
	}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			svc := f.Services().Get(i)
			if !strings.HasPrefix(string(svc.FullName()), "weir.") {
				continue
			}
			for k := range svc.Methods().Len() {
				name := fmt.Sprintf("/%s/%s", svc.FullName(), svc.Methods().Get(k).Name())
				if why, not := deliberately[name]; reached[name] == not {
					t.Errorf("%s: reached by HTTP: %v; by gRPC alone, deliberately: %v %s", name, reached[name], not, why)
				}
			}
		}
		return true
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s, web := start(t)
	for code, want := range map[codes.Code]int{
		codes.InvalidArgument: 400, codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.NotFound: 404,
		codes.Aborted: 409, codes.ResourceExhausted: 429, codes.FailedPrecondition: 400, codes.Internal: 500, codes.DeadlineExceeded: 504,
	} {
		st, err := status.New(code, "so it is").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		s.fail(st.Err())
		for _, path := range []string{"/api/v1/crawls/x/wait", "/api/v1/crawls/" + someID + "/body?url=http://x.test/"} {
			resp, text := ask(t, web, "GET", path, "")
			var body struct {
				Code    int
				Message string
				Details []map[string]any
			}
			if err := json.Unmarshal([]byte(text), &body); err != nil || body.Code != int(code) || body.Message != "so it is" || len(body.Details) != 1 {
				t.Errorf("%s %s: %v in %s", path, code, err, text)
			}
			if resp.StatusCode != want || resp.Header.Get("Retry-After") != "2" || resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: status %d, header %v", path, code, resp.StatusCode, resp.Header)
			}
			if asks := resp.Header.Get("WWW-Authenticate") != ""; asks != (code == codes.Unauthenticated) {
				t.Errorf("%s %s: WWW-Authenticate %v", path, code, asks)
			}
		}
	}
}

// What cannot be right is refused before any call is made.
func TestRefused(t *testing.T) {
	t.Parallel()
	s, web := start(t)
	const crawls = "/api/v1/crawls"
	// Too long by one byte, the last that is sent: whoever is refused earlier may find
	// the connection closed before there is an answer.
	long := `{"request_id":"` + strings.Repeat("x", 16<<20)
	long = long[:16<<20-1] + `"}`
	for _, tc := range []struct {
		name, method, path, body string
		header                   []string
		code                     int
		want                     string
	}{
		{"no such path", "GET", "/api/v1/nothing", "", nil, 404, "see /openapi.json"},
		{"no such version", "GET", "/api/v2/crawls", "", nil, 404, "see /openapi.json"},
		{"another method", "PATCH", crawls, "", nil, 405, ""},
		{"a field that there is not", "POST", crawls, `{"spec":{"sedes":{}}}`, nil, 400, "sedes"},
		{"no JSON", "POST", crawls, `name: x`, nil, 400, ""},
		{"a long body", "POST", crawls, long, nil, 400, "16 MiB"},
		{"a spec with a mistake", "POST", crawls + "/yaml", "name: x\nsedes: {}", nil, 400, `spec:2:1: unknown field \"sedes\"; did you mean \"seeds\"?`},
		{"files of the caller", "POST", crawls + "/yaml", "seeds: {files: [seeds.txt]}", nil, 400, "on your machine"},
		{"URLs of no type", "POST", crawls + "/x/urls", "http://x.test/", nil, 400, "want text/plain"},
		{"no number", "GET", crawls + "/" + someID + "/items?after=x", "", nil, 400, "after"},
		{"no digest", "GET", crawls + "/" + someID + "/file?sha256=x", "", nil, 400, "64 hexadecimal digits"},
		{"a page of another origin", "POST", crawls, "{}", []string{"Origin", "https://evil.test"}, 403, "another origin"},
		{"a page of another site", "POST", crawls + "/x/cancel", "{}", []string{"Sec-Fetch-Site", "cross-site"}, 403, "another origin"},
		{"a form of another site", "POST", crawls + "/x/urls", "http://x.test/", []string{"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"}, 403, "another origin"},
	} {
		resp, text := ask(t, web, tc.method, tc.path, tc.body, tc.header...)
		if resp.StatusCode != tc.code || !strings.Contains(text, tc.want) || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %.300s, want %d %q", tc.name, resp.StatusCode, text, tc.code, tc.want)
		}
		if method, _ := s.take(); method != "" {
			t.Errorf("%s: %s was called", tc.name, method)
		}
	}
}

// Only the token and the trace go on: no metadata that a caller makes up, and no cookie.
func TestWhatIsPassedOn(t *testing.T) {
	t.Parallel()
	s, web := start(t)
	header := []string{
		"Authorization", "Bearer t", "Cookie", "weir_token=c", "Grpc-Metadata-Weir-Caller", `{"name":"boss","role":"admin"}`,
		"Weir-Forwarded", "1", "Grpc-Metadata-Weir-Forwarded", "1", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	for _, path := range []string{"/api/v1/crawls", "/api/v1/crawls/" + someID + "/items"} {
		ask(t, web, "GET", path, "", header...)
		_, md := s.take()
		if fmt.Sprint(md.Get("authorization")) != "[Bearer t]" || len(md.Get("traceparent")) != 1 {
			t.Errorf("%s: %v", path, md)
		}
		for name := range md {
			switch name {
			case "authorization", "traceparent", ":authority", "content-type", "user-agent", "x-forwarded-for", "x-forwarded-host", "grpc-accept-encoding":
			default:
				t.Errorf("%s: %s was passed on: %v", path, name, md.Get(name))
			}
		}
	}
	ask(t, web, "GET", "/api/v1/crawls", "", "Cookie", "weir_token=c; authorization=Bearer c")
	if _, md := s.take(); len(md.Get("authorization")) != 0 {
		t.Errorf("a cookie counts: %v", md)
	}
}
