package fetcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/handover"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/trace"
	"github.com/weircrawl/weir/internal/weburl"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
	"github.com/weircrawl/weir/services/fetcher/internal/render"
)

// Deps are what a fetcher is given.
type Deps struct {
	// Bus has the tasks and takes pages and records. Nil: the gRPC service alone.
	Bus *bus.Bus
	// Storage takes the bodies that do not fit a message. Needed with a bus.
	Storage storagev1.StorageServiceClient
	// Log takes what an operator should see; nil for none.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Tracer makes spans of traced visits; nil for none.
	Tracer *trace.Tracer
	// Version is shown in the default User-Agent; empty for the build's own.
	Version string
	// Lookup asks for the addresses of a name; nil for the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Secrets finds the secrets that specs name; nil for the environment.
	Secrets secret.Lookup
	// Bodies takes bodies for a parser in the same process; nil for none.
	Bodies *handover.Bodies
}

// maxCalls is how many exchanges run for gRPC callers at a time, besides those
// for crawls.
const maxCalls = 16

// Service is a fetcher. Make it with New; it is safe for concurrent use.
type Service struct {
	fetcherv1.UnimplementedFetcherServiceServer

	cfg       Config
	deps      Deps
	log       *slog.Logger
	m         *metrics
	client    *client.Client
	budget    *budget.Budget
	calls     *semaphore.Weighted
	running   atomic.Bool
	noBrowser sync.Once     // its warning
	active    atomic.Int64  // exchanges
	handing   atomic.Int64  // outcomes that are on their way to the next stage
	freed     chan struct{} // capacity 1: there is one more of them

	pressure *pressure

	// browsers show pages in the render pool; nil in another.
	browsers *render.Pool
	bodies   body.Reader // of what they show

	mu     sync.Mutex
	crawls map[string]*prepared
}

// allowed finds only the secrets that the operator lets specs use.
func allowed(secrets secret.Lookup, patterns []string) secret.Lookup {
	patterns = access.OnlyThese(patterns)
	return func(name string) (string, bool) {
		if !access.Allowed(patterns, name) {
			return "", false
		}
		return secrets(name)
	}
}

// New makes a fetcher. It starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Bus != nil && deps.Storage == nil {
		return nil, errors.New("fetcher: a bus without a storage for long bodies")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Lookup == nil {
		deps.Lookup = resolve.System
	}
	if deps.Secrets == nil {
		deps.Secrets = os.LookupEnv
	}
	deps.Secrets = allowed(deps.Secrets, cfg.SecretsAllow)
	certs, err := cfg.certificates()
	if err != nil {
		return nil, err
	}
	names := resolve.DefaultConfig()
	names.TTL, names.NegativeTTL = cfg.DNSTTL, cfg.DNSNegativeTTL
	s := &Service{
		cfg:  cfg,
		deps: deps,
		log:  deps.Log.With("component", "fetcher"),
		client: client.New(client.Config{
			DialTimeout:    cfg.DialTimeout,
			TLSTimeout:     cfg.TLSTimeout,
			HeaderTimeout:  cfg.HeaderTimeout,
			TLS:            certs,
			MaxIdle:        cfg.IdleConns,
			MaxIdlePerHost: cfg.IdleConnsPerHost,
			IdleTimeout:    cfg.IdleTimeout,
			Fresh:          fresh(deps.Bodies),
		}, guard.New(cfg.AllowNets), resolve.New(names, deps.Lookup)),
		budget: budget.New(cfg.Memory),
		calls:  semaphore.NewWeighted(maxCalls),
		crawls: make(map[string]*prepared),
		freed:  make(chan struct{}, 1),
	}
	s.pressure = newPressure(cfg.atATime(), func() int { return int(s.active.Load()) }, s.log)
	if s.deps.Registry != nil {
		// Fetchers of several pools may be in one process.
		s.deps.Registry = prometheus.WrapRegistererWith(prometheus.Labels{"pool": cfg.Pool}, s.deps.Registry)
	}
	s.m = newMetrics(s.deps.Registry, s.client.Conns(), s.budget, s.pressure.now)
	if cfg.Pool == RenderPool {
		s.openBrowsers()
	}
	return s, nil
}

// fresh is who gets bodies as they come; nil when nobody does.
func fresh(b *handover.Bodies) func([sha256.Size]byte, []byte) {
	if b == nil {
		return nil
	}
	return b.Put
}

// RegisterGRPC adds the FetcherService to a server.
func (s *Service) RegisterGRPC(r grpc.ServiceRegistrar) {
	fetcherv1.RegisterFetcherServiceServer(r, s)
}

// Run fetches until ctx ends, lets exchanges in hand finish for Config.SoftStop and
// returns nil. It runs once.
func (s *Service) Run(ctx context.Context) error {
	defer s.Close()
	if s.browsers != nil {
		defer s.browsers.Close()
	}
	if s.deps.Bus == nil {
		<-ctx.Done()
		return nil
	}
	specs, err := s.deps.Bus.WatchCrawls(ctx)
	if err != nil {
		return fmt.Errorf("watch crawls: %w", err)
	}
	s.running.Store(true)
	defer s.running.Store(false)
	// What is in hand when ctx ends may still ask for its crawl.
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return specs.Run(watch) })
	g.Go(func() error { return s.pressure.run(watch) })
	g.Go(func() error {
		defer stop()
		// Whoever waits until its outcome is stored keeps nobody else from an exchange.
		opt := bus.Options{Concurrency: 2 * s.cfg.atATime(), SoftStop: s.cfg.SoftStop, Raised: s.freed, Limit: func() int {
			return s.pressure.now() + int(s.handing.Load())
		}}
		return s.deps.Bus.Consume(ctx, bus.FetchConsumer(s.cfg.Pool), opt, func(ctx context.Context, d bus.Delivery) error {
			return s.handle(ctx, specs, d)
		})
	})
	return g.Wait()
}

// Close ends idle connections and look-ups. Run does so at its end; whoever calls Fetch
// without Run does it when no call is under way.
func (s *Service) Close() { s.client.Close() }

// Live returns an error when the fetcher hangs.
func (s *Service) Live(context.Context) error {
	if s.deps.Bus == nil {
		return nil
	}
	return s.deps.Bus.Alive()
}

// Ready returns nil while the fetcher runs and reaches the bus.
func (s *Service) Ready(context.Context) error {
	if s.deps.Bus == nil {
		return nil
	}
	if !s.running.Load() {
		return errors.New("fetcher: not running")
	}
	return s.deps.Bus.Healthy()
}

// exchange does one exchange. A panic (a decoder that a site has found a hole in)
// costs that page and nothing else.
func (s *Service) exchange(ctx context.Context, u weburl.URL, opts *client.Options, acc *budget.Account) (res client.Result, err error) {
	s.m.inFlight.Inc()
	defer s.m.inFlight.Dec()
	s.active.Add(1)
	defer s.active.Add(-1)
	defer func() {
		if p := recover(); p != nil {
			s.m.panics.Inc()
			s.log.ErrorContext(ctx, "exchange panicked", "url", u.String(), "panic", p, "stack", string(debug.Stack()))
			res, err = client.Result{Class: crawl.ClassOther, Detail: fmt.Sprintf("bug in the fetcher: %v", p)}, nil
		}
		if err == nil {
			s.m.observe(&res)
		}
	}()
	return s.client.Do(ctx, u, opts, acc)
}

// prepare returns what a crawl asks of its exchanges, made once for each revision.
func (s *Service) prepare(c *spec.Compiled) *prepared {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.crawls[c.ID]; p != nil && p.compiled == c {
		return p
	}
	if len(s.crawls) >= maxPrepared {
		clear(s.crawls)
	}
	p := newPrepared(c, s.deps.Version, s.deps.Secrets, access.OnlyThese(s.cfg.ProxyAllow))
	s.crawls[c.ID] = p
	return p
}
