package parser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/crew"
	"github.com/weircrawl/weir/internal/handover"
	"github.com/weircrawl/weir/internal/trace"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/parser/internal/drift"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

// Deps are what a parser is given.
type Deps struct {
	// Bus has the pages and takes the records. Run needs it; the gRPC service alone
	// does not.
	Bus *bus.Bus
	// Storage has the bodies that do not fit a message. Without it a page that
	// refers to one waits.
	Storage storagev1.StorageServiceClient
	// Bodies are those that a fetcher in the same process has just had; nil for none.
	Bodies *handover.Bodies
	// Log takes what an operator should see; nil for none.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Tracer makes spans of traced visits; nil for none.
	Tracer *trace.Tracer
	// Now tells the time for pages given over gRPC; nil for time.Now.
	Now func() time.Time
}

// allPages is more than there can be pages at a time.
const allPages = 1 << 30

// Service is a parser. Make it with New; it is safe for concurrent use.
type Service struct {
	parserv1.UnimplementedParserServiceServer

	cfg    Config
	deps   Deps
	log    *slog.Logger
	m      *metrics
	crawls crawls
	lanes  sync.Pool
	stored *semaphore.Weighted
	// slots holds a token for each page that is being read: as many as there are
	// processors, since more at a time would only hold more memory.
	slots chan struct{}
	// readers are the goroutines that read a page each.
	readers *crew.Crew
	// pages has a part taken for each goroutine that reads a page, and all of it by
	// join, so that none outlives Run.
	pages    *semaphore.Weighted
	stuck    atomic.Int64
	series   fieldSeries
	drift    drift.Watch
	programs programs
	aside    aside
	running  atomic.Bool
	// beforePage is called for each page by tests; nil otherwise.
	beforePage func(*page.Input, *atomic.Bool)
}

// New makes a parser. It starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{
		cfg:     cfg,
		deps:    deps,
		log:     deps.Log.With("component", "parser"),
		m:       newMetrics(deps.Registry),
		crawls:  crawls{maxOutlinks: cfg.MaxOutlinks},
		lanes:   sync.Pool{New: func() any { return &lane{parser: page.New()} }},
		stored:  semaphore.NewWeighted(cfg.MaxStored),
		pages:   semaphore.NewWeighted(allPages),
		slots:   make(chan struct{}, runtime.GOMAXPROCS(0)),
		readers: crew.New(runtime.GOMAXPROCS(0)),
	}
	s.programs.log, s.programs.m, s.programs.patience = s.log, s.m, usualPatience()
	s.programs.allow = access.OnlyThese(cfg.ExtractorAllow)
	return s, nil
}

// RegisterGRPC adds ParserService to a server.
func (s *Service) RegisterGRPC(r grpc.ServiceRegistrar) { parserv1.RegisterParserServiceServer(r, s) }

// Run parses pages until ctx ends, then finishes what is in hand, at most for
// Config.SoftStop, and returns nil.
func (s *Service) Run(ctx context.Context) error {
	if s.deps.Bus == nil {
		return errors.New("parser: no bus to take pages from")
	}
	specs, err := s.deps.Bus.WatchCrawls(ctx)
	if err != nil {
		return fmt.Errorf("watch crawls: %w", err)
	}
	// The watch outlives the consumer: pages in hand still need their specs.
	watching, stopWatch := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatch()
	watched := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		err := specs.Run(watching)
		if err != nil {
			cancel(fmt.Errorf("watch crawls: %w", err))
		}
		watched <- err
	}()
	var back sync.WaitGroup
	back.Go(func() { s.bringBack(ctx, specs) })
	s.running.Store(true)
	opt := bus.Options{Concurrency: s.cfg.Concurrency, SoftStop: s.cfg.SoftStop}
	err = s.deps.Bus.Consume(ctx, bus.ParseConsumer(), opt, func(ctx context.Context, d bus.Delivery) error {
		return s.handle(ctx, specs, d)
	})
	s.running.Store(false)
	stopWatch()
	cancel(nil)
	back.Wait()
	err = errors.Join(err, <-watched)
	s.join()
	s.Close()
	return err
}

// join waits for the pages that were given up when the consumer stopped. A page
// that obeys no stop is left to the end of the process.
func (s *Service) join() {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.SoftStop)
	defer cancel()
	if err := s.pages.Acquire(ctx, allPages); err != nil {
		s.log.Warn("pages that do not stop are left behind", "pages", s.stuck.Load())
		return
	}
	s.pages.Release(allPages)
}

// Live returns an error when the parser hangs.
func (s *Service) Live(context.Context) error { return s.deps.Bus.Alive() }

// Ready reports whether pages are being taken.
func (s *Service) Ready(context.Context) error {
	if !s.running.Load() {
		return crawl.Errorf(crawl.Unavailable, "parser: not running")
	}
	return s.deps.Bus.Healthy()
}

// Close ends the connections to extractors, and goroutines that wait for a page. Run does
// so at its end; whoever calls Parse without Run does it when no call is under way.
func (s *Service) Close() {
	s.readers.Close()
	s.programs.close(0)
}
