package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/bus"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/pebblestore"
)

// Pool is the pool of fetchers that tasks go to.
const Pool = "http"

// Deps are what a Service is given.
type Deps struct {
	// Bus carries tasks, results and crawls. The caller closes it after Run.
	Bus *bus.Bus
	// Log takes what an operator should know.
	Log *slog.Logger
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// Now is the wall clock. Default: time.Now.
	Now func() time.Time
}

// Service schedules fetches: it owns the frontier and hands out leased tasks.
type Service struct {
	schedulerv1.UnimplementedCrawlServiceServer

	cfg     Config
	deps    Deps
	m       *metrics
	store   frontier.Store
	crawls  *roster
	loop    *loop
	changes *broadcast
	// dirty names the crawls whose public state is to be written to the KV.
	dirty *dirtySet

	// lifecycle lets a cancel end before a crawl is resumed: what the cancel purges
	// from the bus must not be the tasks of the resume.
	lifecycle sync.Mutex
	// widening lets one call at a time change the scope of a crawl, and write it to
	// the KV.
	widening sync.Mutex

	ready   chan struct{} // closed when calls can be served
	stopped chan struct{} // closed when the loop has ended
	closing sync.Once
}

// New opens the store under cfg.Dir and reads what a frontier starts from. It
// starts nothing; Run does, and closes the store at its end. A service that is
// never run must be closed with Close.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	sc := pebblestore.DefaultConfig()
	sc.Dir, sc.Partitions, sc.CacheBytes = cfg.Dir, uint32(cfg.Partitions), cfg.CacheSize
	store, err := pebblestore.Open(sc)
	if err != nil {
		return nil, err
	}
	return &Service{
		cfg:     cfg,
		deps:    deps,
		m:       newMetrics(deps.Registry),
		store:   store,
		crawls:  newRoster(),
		changes: newBroadcast(),
		dirty:   newDirtySet(),
		ready:   make(chan struct{}),
		stopped: make(chan struct{}),
		loop: &loop{
			store:    store,
			now:      deps.Now,
			window:   cfg.Window,
			requests: make(chan *request, 256),
			reports:  make(chan *crawlv1.FetchReport, 4096),
			commits:  make(chan pendingCommit, 64),
			tasks:    make(chan frontier.Lease, cfg.MaxLeases),
			expired:  make(chan []frontier.LeaseID, 1),
		},
	}, nil
}

// RegisterGRPC adds CrawlService to a server.
func (s *Service) RegisterGRPC(r grpc.ServiceRegistrar) {
	schedulerv1.RegisterCrawlServiceServer(r, s)
}

// Ready returns nil while calls can be served.
func (s *Service) Ready(context.Context) error {
	select {
	case <-s.stopped:
		return errStopped
	case <-s.ready:
		return s.deps.Bus.Healthy()
	default:
		return errStarting
	}
}

// Close closes the store of a service that was not run.
func (s *Service) Close() error {
	var err error
	s.closing.Do(func() { err = s.store.Close() })
	return err
}

// Run declares the topology of the bus, takes up the work where it was left and
// schedules until ctx ends; then it returns nil. Another error means that the
// process must start anew: what the store has is consistent.
func (s *Service) Run(ctx context.Context) (err error) {
	defer func() {
		if cerr := s.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("close the frontier store: %w", cerr)
		}
	}()
	if err := s.start(ctx); err != nil {
		close(s.stopped)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	// Two groups: what brings work in ends first, and its handlers in hand still
	// need the loop.
	loopCtx, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	inner, ictx := errgroup.WithContext(loopCtx)
	inner.Go(func() error { defer close(s.stopped); return s.loop.run(ictx) })
	inner.Go(func() error { return s.loop.finish(s.crawlsChanged) })
	inner.Go(func() error { return s.publish(ictx) })
	outer, octx := errgroup.WithContext(ctx)
	outer.Go(func() error { return s.reaper(octx) })
	outer.Go(func() error { return s.announce(octx) })
	outer.Go(func() error { return s.deps.Bus.Reconnected(octx, s.restoreBus) })
	outer.Go(func() error { return s.deps.Bus.Reports(octx, s.partitions(), s.takeReport(octx)) })
	outer.Go(func() error { return s.consumeResults(octx) })
	outer.Go(func() error { return s.deps.Bus.DeadLetters(octx, s.takeDeadLetter) })
	outer.Go(func() error {
		select {
		case <-octx.Done():
			return nil
		case <-ictx.Done():
			return context.Cause(ictx)
		}
	})
	close(s.ready)
	err = outer.Wait()
	stopLoop()
	if ierr := inner.Wait(); ierr != nil {
		return ierr
	}
	return err
}

// start brings memory, store and bus together.
func (s *Service) start(ctx context.Context) error {
	begin, err := s.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin a run of the frontier: %w", err)
	}
	now := s.deps.Now()
	f := frontier.New(s.frontierConfig(), begin, now)
	for p := range begin.Partitions {
		snapshot, err := s.store.Acquire(ctx, p)
		if err != nil {
			return fmt.Errorf("take up partition %d of the frontier: %w", p, err)
		}
		f.Own(now, snapshot)
	}
	for _, no := range f.Crawls() {
		c, _, _ := f.Crawl(no)
		e, err := loadEntry(c)
		if err != nil {
			return err
		}
		s.crawls.put(e)
	}
	// Lest a server that lost its disk gives out work whose crawl nobody knows.
	if err := s.deps.Bus.EnsureBuckets(ctx); err != nil {
		return err
	}
	for _, e := range s.crawls.all() {
		c, stats, _ := f.Crawl(e.no)
		if err := s.deps.Bus.PutCrawl(ctx, public(e.view(c, stats))); err != nil {
			return err
		}
	}
	if err := s.deps.Bus.EnsureTopology(ctx, uint32(s.cfg.Partitions)); err != nil {
		return err
	}
	if err := s.reconcile(ctx, f, now); err != nil {
		return err
	}
	s.loop.f, s.loop.crawls, s.loop.m = f, s.crawls, s.m
	return nil
}

// restoreBus shares the crawls and declares the topology again: a server that was
// away may have lost both with its disk. What it lost of the work comes back when
// the leases' time is up.
func (s *Service) restoreBus(ctx context.Context) error {
	if err := s.deps.Bus.EnsureBuckets(ctx); err != nil {
		return err
	}
	for _, e := range s.crawls.all() {
		if err := s.announceCrawl(ctx, e.no); err != nil {
			return err
		}
	}
	return s.deps.Bus.EnsureTopology(ctx, uint32(s.cfg.Partitions))
}

// reconcile returns the leases whose messages are on no stream: the process that
// made them died before it could publish them, or the bus lost them.
func (s *Service) reconcile(ctx context.Context, f *frontier.Frontier, now time.Time) error {
	leases := f.Leases()
	if len(leases) == 0 {
		return nil
	}
	inFlight, err := s.deps.Bus.InFlight(ctx)
	if err != nil {
		return err
	}
	lost := 0
	for _, l := range leases {
		if _, ok := inFlight[uint64(l.ID)]; !ok {
			f.Return(now, l.ID)
			lost++
		}
	}
	s.m.returned.WithLabelValues("lost").Add(float64(lost))
	s.deps.Log.Info("took up the frontier", "leases", len(leases), "lost", lost)
	return nil
}

func (s *Service) frontierConfig() frontier.Config {
	c := frontier.DefaultConfig()
	c.LeaseTime = s.cfg.LeaseTime
	c.MaxLeases = s.cfg.MaxLeases
	c.MaxUnreported = s.cfg.Window
	c.Shared = s.store.Shared()
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

// crawlsChanged is called when crawls changed state, durably.
func (s *Service) crawlsChanged(nos []frontier.CrawlNo) {
	s.dirty.add(nos)
	s.changes.send()
}
