package obs

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config of the admin server.
type Config struct {
	// Listen is the address, host:port. Empty for no server.
	Listen string
	// ReadyTimeout bounds one look at readiness.
	ReadyTimeout time.Duration
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:7310", ReadyTimeout: 2 * time.Second}
}

// RegisterFlags adds the flags.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Listen, prefix+".listen", c.Listen, "address of /livez, /readyz, /startupz, /metrics and /debug/pprof; empty for none")
	fs.DurationVar(&c.ReadyTimeout, prefix+".ready-timeout", c.ReadyTimeout, "how long one look at readiness may take")
}

// Validate returns all mistakes joined.
func (c Config) Validate() error {
	var errs []error
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			errs = append(errs, fmt.Errorf("admin: listen: %w", err))
		}
	}
	if c.ReadyTimeout <= 0 {
		errs = append(errs, errors.New("admin: ready-timeout must be positive"))
	}
	return errors.Join(errs...)
}

// Deps are what the admin server is given.
type Deps struct {
	// Registry is what /metrics shows.
	Registry prometheus.Gatherer
	// Ready returns nil while the process can do its work; nil for always.
	Ready func(context.Context) error
	// Log takes the address at start.
	Log *slog.Logger
}

// Admin is the HTTP server of probes, metrics and profiles. It has no
// authentication: keep it on loopback or a cluster-internal address.
type Admin struct {
	cfg      Config
	deps     Deps
	lis      net.Listener
	started  atomic.Bool // has been ready
	stopping atomic.Bool
}

// NewAdmin opens the port, so that one in use is an error at start, and serves
// nothing yet.
func NewAdmin(cfg Config, deps Deps) (*Admin, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	a := &Admin{cfg: cfg, deps: deps}
	if cfg.Listen == "" {
		return a, nil
	}
	lis, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin server: %w; choose another --admin.listen", err)
	}
	a.lis = lis
	return a, nil
}

// Addr returns the address that is listened on, "" for none.
func (a *Admin) Addr() string {
	if a.lis == nil {
		return ""
	}
	return a.lis.Addr().String()
}

// Stopping makes /readyz answer 503 from now on, before anything is stopped, so
// that nothing new is sent here.
func (a *Admin) Stopping() { a.stopping.Store(true) }

// Run serves until ctx ends, then closes the port. Requests in hand get a second.
func (a *Admin) Run(ctx context.Context) error {
	if a.lis == nil {
		<-ctx.Done()
		return nil
	}
	srv := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(a.lis) }()
	a.deps.Log.Info("admin server listens", "component", "admin", "addr", a.Addr())
	select {
	case err := <-done:
		return fmt.Errorf("admin server: %w", err)
	case <-ctx.Done():
	}
	a.Stopping()
	// A profile may run for half a minute: nothing to wait for.
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := srv.Shutdown(sctx); err != nil {
		_ = srv.Close()
	}
	<-done
	return nil
}

// Handler returns the routes.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /startupz", a.startup)
	if a.deps.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(a.deps.Registry, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// ready answers whether the process can do its work now.
func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	err := errors.New("stopping")
	if !a.stopping.Load() {
		err = a.look(r.Context())
	}
	answer(w, err)
}

// startup answers whether the process has ever been ready. What is lost after that
// is for /readyz: a restart would not bring it back.
func (a *Admin) startup(w http.ResponseWriter, r *http.Request) {
	var err error
	if !a.started.Load() {
		err = a.look(r.Context())
	}
	answer(w, err)
}

// look asks once whether the process is ready.
func (a *Admin) look(ctx context.Context) error {
	if a.deps.Ready != nil {
		ctx, cancel := context.WithTimeout(ctx, a.cfg.ReadyTimeout)
		defer cancel()
		if err := a.deps.Ready(ctx); err != nil {
			return err
		}
	}
	a.started.Store(true)
	return nil
}

// answer writes the outcome of a probe.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
