package obs

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	// Live returns an error when the process hangs, so that only a new one helps; nil
	// for never. What waits for somebody else is alive.
	Live func(context.Context) error
	// Settings of the process as /debug/config shows them, without secrets; nil for none.
	Settings func() string
	// State is what /debug/state shows, as JSON; nil for none.
	State func(context.Context) any
	// Log takes the address at start. Of one that NewLogger made, /debug/loglevel can
	// change the level.
	Log *slog.Logger
}

// Admin is the HTTP server of probes, metrics and profiles. It has no
// authentication: keep it on loopback or a cluster-internal address.
type Admin struct {
	cfg      Config
	deps     Deps
	lis      net.Listener
	stopping atomic.Bool
	started  atomic.Bool // was ready once
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
