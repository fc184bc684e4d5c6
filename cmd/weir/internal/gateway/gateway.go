package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	fetcherv1 "github.com/weircrawl/weir/cmd/weir/internal/gateway/weir/fetcher/v1"
	parserv1 "github.com/weircrawl/weir/cmd/weir/internal/gateway/weir/parser/v1"
	schedulerv1 "github.com/weircrawl/weir/cmd/weir/internal/gateway/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/cmd/weir/internal/gateway/weir/storage/v1"
)

const (
	// maxBody bounds a request that is one message, as gRPC itself does. Seeds come as a
	// stream and have no bound.
	maxBody = 16 << 20
	// callTime bounds a call that is answered at once.
	callTime = 2 * time.Minute
	// maxWait bounds the wait for the end of a crawl; callers ask again.
	maxWait = 15 * time.Minute
	// stillTime is how long a reader or a writer may stand still.
	stillTime = time.Minute
)

// Gateway is the handler. It is safe for concurrent use.
type Gateway struct {
	client  *client.Client
	log     *slog.Logger
	handler http.Handler
}

// New makes the handler for /api/ and /openapi.json. The client stays the caller's; it
// must have no token of its own.
func New(c *client.Client, log *slog.Logger) (*Gateway, error) {
	g := &Gateway{client: c, log: log.With("component", "gateway")}
	rpcs, err := g.generated()
	if err != nil {
		return nil, err
	}
	doc, err := Document()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(doc) // a reader that has gone away
	})
	for _, r := range g.byHand() {
		mux.Handle(r.Method+" "+r.Path, g.handle(r.serve))
	}
	mux.Handle("/api/v1/", rpcs)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { g.fail(w, r, errNoPath) })
	g.handler = g.guard(mux)
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// generated are the RPCs of proto/gateway.yaml.
func (g *Gateway) generated() (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &marshaler{runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{UseProtoNames: true},
			// A misspelt field must not be passed over in silence.
			UnmarshalOptions: protojson.UnmarshalOptions{},
		}}),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			g.fail(w, r, err)
		}),
		runtime.WithStreamErrorHandler(streamStatus),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
			g.fail(w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: errNoPath})
		}),
		// Metadata say who calls and for whom: nobody outside may set any.
		runtime.WithIncomingHeaderMatcher(func(name string) (string, bool) {
			return "traceparent", strings.EqualFold(name, "traceparent")
		}),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
	)
	ctx := context.Background() // of nothing: these only fill in the mux
	for _, err := range []error{
		schedulerv1.RegisterCrawlServiceHandlerClient(ctx, mux, g.client.Crawls),
		storagev1.RegisterStorageServiceHandlerClient(ctx, mux, g.client.Storage),
		fetcherv1.RegisterFetcherServiceHandlerClient(ctx, mux, g.client.Fetcher),
		parserv1.RegisterParserServiceHandlerClient(ctx, mux, g.client.Parser),
	} {
		if err != nil {
			return nil, fmt.Errorf("register the gateway: %w", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeOf(r.URL.Path))
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		r = r.WithContext(ctx)
		if err := g.resolve(r); err != nil {
			g.fail(w, r, err)
			return
		}
		// JSON is all that is read here; the library writes a line to stderr for every type
		// that it cannot parse, and anybody may send one.
		r.Header.Set("Content-Type", "application/json")
		mux.ServeHTTP(w, r)
	}), nil
}

// resolve puts the id of a crawl for its name into the paths of what storage and parsers
// know, which do not know names.
func (g *Gateway) resolve(r *http.Request) error {
	const crawls = "/api/v1/crawls/"
	name, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, crawls), "/")
	if !ok || !strings.HasPrefix(r.URL.Path, crawls) || isID(name) {
		return nil
	}
	switch rest {
	case "page", "pages", "media", "stats", "stored", "reparse", "fields":
		id, err := g.id(outgoing(r), name)
		if err != nil {
			return err
		}
		r.URL.Path, r.URL.RawPath = crawls+id+"/"+rest, ""
	}
	return nil
}

// timeOf bounds a call by its path: streams last as long as there is something to send.
func timeOf(path string) time.Duration {
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "watch", "reparse", "pages", "media":
		return 24 * time.Hour
	case "wait":
		return maxWait
	}
	return callTime
}

// guard refuses what browsers send for other pages, and bounds how long a connection
// stands still.
func (g *Gateway) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.fail(w, r, errCrossOrigin) }))
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		rc := http.NewResponseController(w)
		// That of the server is for pages, and would end streams. A recorder has none.
		_ = rc.SetReadDeadline(time.Time{})
		r.Body = &patientBody{ReadCloser: r.Body, rc: rc}
		next.ServeHTTP(&patientWriter{ResponseWriter: w, rc: rc}, r)
	}))
}

// outgoing is the context of a call for whoever made the request.
func outgoing(r *http.Request) context.Context {
	ctx := r.Context()
	for _, v := range r.Header.Values("Authorization") {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v)
	}
	if v := r.Header.Get("Traceparent"); v != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", v)
	}
	return ctx
}

// marshaler is JSON, in lines where there are several.
type marshaler struct{ runtime.JSONPb }

// StreamContentType implements runtime.StreamContentType.
func (*marshaler) StreamContentType(any) string { return "application/x-ndjson" }
