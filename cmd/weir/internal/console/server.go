package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/internal/certs"
)

const (
	// window is the length of the charts.
	window = 10 * time.Minute
	// callTime bounds what a page asks the services.
	callTime = 15 * time.Second
	// writeTime bounds one write to a browser: who reads no more is let go.
	writeTime = 20 * time.Second
	// stopTime is how long requests in hand may go on after a stop.
	stopTime = 3 * time.Second
)

// Deps are what a console is given.
type Deps struct {
	// Client calls the services for whoever looks at a page. It stays the caller's.
	Client *client.Client
	// Watch calls them for the console itself, for the charts. Default: Client.
	Watch *client.Client
	// API answers below /api/ and at /openapi.json; nil for nothing there.
	API http.Handler
	// Log takes what an operator should know.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Version of the program.
	Version string
	// Now is the wall clock. Default: time.Now.
	Now func() time.Time
}

// Server is the console. Open it with New and call Run, or Close.
type Server struct {
	cfg       Config
	deps      Deps
	log       *slog.Logger
	lis       net.Listener
	templates map[string]*template.Template
	assets    *assets
	history   *history.History
	events    *events
	lender    lender
	m         *metrics
	trouble   trouble // why the charts stand still
	extraTime time.Duration

	closing chan struct{} // closed when streams are to end
	close   sync.Once
}

// New opens the port, so that one in use is an error at start, and serves nothing yet.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Watch == nil {
		deps.Watch = deps.Client
	}
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Log.With("component", "console"),
		history: history.New(int(window/cfg.Interval) + 1), events: newEvents(cfg.Streams), m: newMetrics(deps.Registry), closing: make(chan struct{}),
		extraTime: extraTime,
	}
	if cfg.Listen == "" {
		return s, nil
	}
	err := s.load()
	if err != nil {
		return nil, err
	}
	if s.lis, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("console: %w; choose another --console.listen", err)
	}
	t, err := s.tls()
	if err != nil {
		return nil, errors.Join(err, s.lis.Close())
	}
	if t != nil {
		s.lis = tls.NewListener(s.lis, t)
	}
	return s, nil
}

// load reads assets and templates, 2 MiB that only a page that is served needs.
func (s *Server) load() (err error) {
	if s.assets, err = readAssets(); err != nil {
		return err
	}
	s.templates, err = s.parse()
	return err
}

// tls returns what the port speaks; nil for plain text. The files are read anew at every
// handshake.
func (s *Server) tls() (*tls.Config, error) {
	if s.cfg.TLSCert == "" {
		return nil, nil
	}
	k, err := certs.Open(certs.Files{Cert: s.cfg.TLSCert, Key: s.cfg.TLSKey}, certs.Deps{Use: "console", Log: s.deps.Log, Registry: s.deps.Registry})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return k.Server(true), nil
}

// Addr is the address that is listened on, "" for none.
func (s *Server) Addr() string {
	if s.lis == nil {
		return ""
	}
	return s.lis.Addr().String()
}

// URL is what people open, "" for nothing.
func (s *Server) URL() string {
	if s.lis == nil {
		return ""
	}
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// Close gives the port back. Run does so itself.
func (s *Server) Close() error {
	if s.lis == nil {
		return nil
	}
	if err := s.lis.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close console: %w", err)
	}
	return nil
}

// EndStreams ends what lasts as long as there is something to send; browsers open it
// again at another console. Pages are served as before.
func (s *Server) EndStreams() { s.close.Do(func() { close(s.closing) }) }

// StopTime is how long Run takes at most to end.
func StopTime() time.Duration { return stopTime + lookTime }

// Run serves until ctx ends. Then streams end at once, and requests in hand may go on for
// a few seconds.
func (s *Server) Run(ctx context.Context) error {
	if s.lis == nil {
		<-ctx.Done()
		return nil
	}
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// What goes wrong with one connection is the browser's matter.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var members sync.WaitGroup
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer members.Wait()
	defer stop()
	members.Go(func() { s.sample(watch) })
	done := make(chan error, 1)
	members.Go(func() { done <- srv.Serve(s.lis) })
	select {
	case err := <-done:
		s.EndStreams()
		return fmt.Errorf("console on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.EndStreams()
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := srv.Shutdown(sctx); err != nil {
		_ = srv.Close()
	}
	return nil
}

// Handler returns the routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, h handle) { mux.Handle(pattern, s.page(h)) }
	stream := func(pattern string, h handle) { mux.Handle(pattern, s.stream(h)) }
	page("GET /{$}", s.overview)
	page("GET /stages", s.stages)
	page("GET /crawls/{crawl}", s.crawl)
	page("GET /crawls/{crawl}/items", s.items)
	page("GET /crawls/{crawl}/pages", s.pages)
	page("GET /crawls/{crawl}/urls", s.urls)
	page("POST /crawls/{crawl}/urls", s.addURLs)
	page("GET /crawls/{crawl}/hosts", s.crawlHosts)
	page("GET /crawls/{crawl}/media", s.media)
	page("GET /crawls/{crawl}/spec", s.spec)
	page("GET /crawls/{crawl}/{action}", s.confirm)
	page("POST /crawls/{crawl}/{action}", s.act)
	stream("GET /crawls/{crawl}/items/stream", s.tail)
	stream("GET /crawls/{crawl}/media/{digest}", s.file)
	stream("GET /crawls/{crawl}/body", s.body)
	stream("GET /crawls/{crawl}/export/{file}", s.export)
	page("GET /explain", s.explain)
	page("GET /hosts", s.hosts)
	page("GET /host", s.host)
	page("POST /host", s.setHost)
	page("GET /dead", s.dead)
	page("POST /dead", s.retryDead)
	page("GET /submit", s.newSpec)
	page("POST /submit", s.submit)
	page("GET /signin", s.signIn)
	page("POST /signin", s.signedIn)
	page("POST /signout", s.signOut)
	page("GET /", func(http.ResponseWriter, *http.Request) error { return errNoPage })
	stream("GET /events", s.stayInformed)
	mux.Handle("GET /static/{file}", s.assets)
	pages := s.counted(s.guard(mux))
	if s.deps.API != nil {
		// Programs show a token with every request, and no cookie: the guard of pages is
		// not theirs.
		root := http.NewServeMux()
		root.Handle("/api/", s.deps.API)
		root.Handle("/openapi.json", s.deps.API)
		root.Handle("/", pages)
		return s.knownHost(root)
	}
	return s.knownHost(pages)
}
