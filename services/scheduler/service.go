package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/trace"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/pebblestore"
	"github.com/weircrawl/weir/services/scheduler/internal/sqlstore"
)

// Names of the pools of fetchers that tasks go to.
const (
	// Pool fetches.
	Pool = "http"
	// BrowserPool shows pages in a browser.
	BrowserPool = "render"
)

// poolNames are those of the frontier's pools.
var poolNames = [frontier.Pools]string{frontier.PoolHTTP: Pool, frontier.PoolBrowser: BrowserPool}

// Deps are what a Service is given.
type Deps struct {
	// Bus carries tasks, results and crawls. The caller closes it after Run.
	Bus *bus.Bus
	// Log takes what an operator should know.
	Log *slog.Logger
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// Tracer makes spans of the visits that it decides to trace; nil for none.
	Tracer *trace.Tracer
	// Lookup asks for the addresses of a name, for caps by address. Default: the
	// system's resolver.
	Lookup resolve.Lookup
	// Now is the wall clock. Default: time.Now.
	Now func() time.Time
	// PeerCredentials are for calls to other replicas. Default: plain text.
	PeerCredentials credentials.TransportCredentials
}

// Service schedules fetches: it owns partitions of the frontier and hands out
// leased tasks.
type Service struct {
	schedulerv1.UnimplementedCrawlServiceServer

	cfg     Config
	deps    Deps
	m       *metrics
	shared  bool           // other processes may own partitions of the store
	store   frontier.Store // of the session to begin; nil when it is to be opened
	crawls  *roster
	peers   *peers
	changes *broadcast
	stages  stagesView
	session atomic.Pointer[session] // nil while there is none

	// lifecycle lets a cancel end before a crawl is resumed: what the cancel purges
	// from the bus must not be the tasks of the resume.
	lifecycle sync.Mutex
	// widening lets one call at a time change the scope of a crawl, and write it to
	// the KV.
	widening sync.Mutex

	ready   chan struct{} // closed when calls can be served for the first time
	leaving chan struct{} // closed by Leave
	left    chan struct{} // closed when that is done
	stopped chan struct{} // closed when calls cannot be served any more
	leave   sync.Once
	closing sync.Once
}

// New opens the store that cfg names. It starts nothing; Run does, and closes the
// store at its end. A service that is never run must be closed with Close.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Lookup == nil {
		deps.Lookup = resolve.System
	}
	if cfg.Replica == "" {
		cfg.Replica = defaultReplica()
	}
	if cfg.Store != "" && cfg.Advertise == "" {
		return nil, crawl.Errorf(crawl.Invalid, "scheduler: other schedulers must be able to reach this one: give it a gRPC address, or advertise one")
	}
	store, err := openStore(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	return &Service{
		cfg:     cfg,
		shared:  store.Shared(),
		deps:    deps,
		m:       newMetrics(deps.Registry),
		store:   store,
		crawls:  newRoster(),
		peers:   newPeers(deps.PeerCredentials),
		changes: newBroadcast(),
		ready:   make(chan struct{}),
		leaving: make(chan struct{}),
		left:    make(chan struct{}),
		stopped: make(chan struct{}),
	}, nil
}

func openStore(ctx context.Context, cfg Config) (frontier.Store, error) {
	if cfg.Store != "" {
		sc := sqlstore.DefaultConfig()
		sc.DSN, sc.Partitions = cfg.Store, uint32(cfg.Partitions)
		return sqlstore.Open(ctx, sc)
	}
	sc := pebblestore.DefaultConfig()
	sc.Dir, sc.Partitions, sc.CacheBytes = cfg.Dir, uint32(cfg.Partitions), cfg.CacheSize
	return pebblestore.Open(sc)
}

// RegisterGRPC adds CrawlService to a server.
func (s *Service) RegisterGRPC(r grpc.ServiceRegistrar) {
	schedulerv1.RegisterCrawlServiceServer(r, s)
}

// Ready returns nil while calls can be served.
func (s *Service) Ready(context.Context) error {
	if _, err := s.current(); err != nil {
		return err
	}
	return s.deps.Bus.Healthy()
}

// hangs is for how long the loop may not have turned: it does so once a minute without
// anything to do, and waits for its store.
const hangs = 5 * time.Minute

// Live returns an error when the scheduler hangs.
func (s *Service) Live(context.Context) error {
	if ses := s.session.Load(); ses != nil {
		if still := time.Since(time.Unix(0, ses.loop.turned.Load())); still > hangs {
			return crawl.Errorf(crawl.Internal, "the frontier's loop has hung for %v", still.Round(time.Second))
		}
	}
	return s.deps.Bus.Alive()
}

// current returns the session, or why there is none.
func (s *Service) current() (*session, error) {
	if ses := s.session.Load(); ses != nil {
		return ses, nil
	}
	select {
	case <-s.stopped:
		return nil, errStopped
	default:
		return nil, errStarting
	}
}

// do runs fn in the loop's next turn and waits until what it changed is durable.
// An error of fn is returned as it is.
func (s *Service) do(ctx context.Context, fn func(l *loop, now time.Time) error) error {
	ses, err := s.current()
	if err != nil {
		return err
	}
	return ses.do(ctx, fn)
}

// read runs fn in the loop's next turn; fn must change nothing.
func (s *Service) read(ctx context.Context, fn func(l *loop, now time.Time) error) error {
	ses, err := s.current()
	if err != nil {
		return err
	}
	return ses.read(ctx, fn)
}

// Close closes the store of a service that was not run.
func (s *Service) Close() error {
	var err error
	s.closing.Do(func() {
		err = s.peers.close()
		if s.store != nil {
			err = errors.Join(err, s.store.Close())
		}
	})
	return err
}

// Run declares the topology of the bus, takes up the work where it was left and
// schedules until ctx ends; then it returns nil. Another error means that the
// process must start anew: what the store has is consistent. With a shared store
// the loss of a partition to another replica, or of the store for a while, only
// ends a session, and the next begins at once.
func (s *Service) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	defer close(s.stopped)
	for n := 0; ; n++ {
		began := s.deps.Now()
		err := s.runSession(ctx)
		if err == nil || (ctx.Err() != nil || s.isLeaving()) && s.again(err) {
			return nil
		}
		if !s.again(err) {
			return err
		}
		if s.deps.Now().Sub(began) > time.Minute {
			n = 0
		}
		s.m.sessions.Inc()
		s.deps.Log.Warn("lost the partitions, beginning anew", "err", err)
		if !pause(ctx, min(time.Second<<min(n, 4), 10*time.Second)/2) {
			return nil
		}
	}
}

// StopTime is how long Leave may take, and then the rest of Run once its context has
// ended.
func StopTime() (leave, rest time.Duration) { return leaveTime + 2*time.Second, 15 * time.Second }

// Leave is the first half of a stop: nothing more is handed out or taken from the bus,
// what is in hand is finished, and with a shared store all partitions are given to
// other schedulers. Calls are still answered, or passed on to those. It returns when
// that is done, or when Run has ended; Run's context is to end next. It may be called
// at any time, and again.
func (s *Service) Leave(ctx context.Context) error {
	s.leave.Do(func() { close(s.leaving) })
	select {
	case <-s.left:
		return nil
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Service) isLeaving() bool {
	select {
	case <-s.leaving:
		return true
	default:
		return false
	}
}

// again reports whether a new session mends what ended the last one.
func (s *Service) again(err error) bool {
	return s.shared && (errors.Is(err, frontier.ErrFenced) || errors.Is(err, bus.ErrFenced) ||
		errors.Is(err, errLost) || crawl.KindOf(err) == crawl.Unavailable)
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(time.Duration((0.5 + rand.Float64()) * float64(d)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *Service) frontierConfig() frontier.Config {
	c := frontier.DefaultConfig()
	c.LeaseTime = s.cfg.LeaseTime
	c.MaxLeases = s.cfg.MaxLeases
	for p := range frontier.Pools {
		c.MaxUnreported[p] = s.cfg.startWindow(p)
	}
	c.Shared = s.shared
	c.Rand = rand.Float64
	return c
}

// Drain stops handing out work and waits until every lease has its result, or
// until ctx ends. The service goes on applying results; only a restart makes it
// hand out work again.
func (s *Service) Drain(ctx context.Context) error {
	wait := time.NewTicker(20 * time.Millisecond)
	defer wait.Stop()
	for {
		leased := 0
		err := s.read(ctx, func(l *loop, _ time.Time) error {
			l.draining = true
			leased = l.f.Leased()
			return nil
		})
		if err != nil || leased == 0 {
			return err
		}
		select {
		case <-wait.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
