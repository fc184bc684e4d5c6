package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/disk"
	"github.com/weircrawl/weir/internal/trace"
	"github.com/weircrawl/weir/internal/warc"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
	"github.com/weircrawl/weir/services/storage/internal/pgstore"
	"github.com/weircrawl/weir/services/storage/internal/spool"
	"github.com/weircrawl/weir/services/storage/internal/sqlitestore"
)

// Deps are what a Service is given.
type Deps struct {
	// Bus carries records and results. The caller closes it after Run.
	Bus *bus.Bus
	// Log takes what an operator should know.
	Log *slog.Logger
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// Tracer makes spans of traced visits; nil for none.
	Tracer *trace.Tracer
	// Version goes into the WARC files, with the program's name. Default "dev".
	Version string
	// Now is the wall clock. Default: time.Now.
	Now func() time.Time
}

// Service stores what crawls bring in.
type Service struct {
	storagev1.UnimplementedStorageServiceServer

	cfg   Config
	deps  Deps
	m     *metrics
	space *space

	lock    *disk.Lock
	owner   string // name of this storage among those of the catalogue
	cat     catalogue.Store
	crawls  *bus.Crawls
	objects blob.Store // nil: files
	arch    *archive.Archive
	spool   *spool.Spool
	resync  warc.Resyncer // of the handler, which is called once at a time

	news    news          // of commits
	exports chan struct{} // has one for each export of items under way
	rubbish chan struct{} // a crawl was deleted; room for one, since the janitor looks for all

	closing sync.Once
	closed  error
	stopped chan struct{} // closed with the stores
}

// New opens the stores under cfg.Dir and cuts off what a crash left unfinished.
// It starts nothing; Run does. The caller closes it.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Version == "" {
		deps.Version = "dev"
	}
	s := &Service{cfg: cfg, deps: deps, stopped: make(chan struct{}), rubbish: make(chan struct{}, 1), exports: make(chan struct{}, maxExports)}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open storage in %s: %w", cfg.Dir, err), s.Close())
	}
	s.m = newMetrics(deps.Registry)
	if deps.Bus != nil {
		var err error
		if s.crawls, err = deps.Bus.WatchCrawls(context.Background()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.space = &space{dir: cfg.Dir, min: cfg.MinFree, m: s.m, log: deps.Log}
	return s, nil
}

func (s *Service) open() (err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o755); err != nil {
		return err
	}
	if s.lock, err = disk.TakeLock(filepath.Join(s.cfg.Dir, "storage.lock")); errors.Is(err, disk.ErrLocked) {
		return crawl.Errorf(crawl.Precondition, "another process has %s open: stop that one or use another directory (storage.dir)", s.cfg.Dir)
	} else if err != nil {
		return err
	}
	ctx := context.Background() // opening is not interrupted: it is short
	if s.cfg.Archive != "" {
		if s.objects, err = blob.Open(ctx, s.cfg.Archive); err != nil {
			return crawl.Errorf(crawl.Unavailable, "storage.archive: %w", err)
		}
	}
	if s.spool, err = spool.Open(filepath.Join(s.cfg.Dir, "bodies"), s.objects, s.cfg.MaxBody); err != nil {
		return err
	}
	if s.cat, err = s.openCatalogue(ctx); err != nil {
		return err
	}
	segments, err := s.cat.Segments(ctx)
	if err != nil {
		return err
	}
	last, err := s.cat.Last(ctx)
	if err != nil {
		return err
	}
	s.arch, err = archive.Open(ctx, archive.Config{
		Dir:      filepath.Join(s.cfg.Dir, "warc"),
		Store:    s.objects,
		MaxSize:  s.cfg.SegmentSize,
		MaxAge:   s.cfg.SegmentAge,
		Suffix:   strings.ToLower(rand.Text()[:6]),
		Owner:    archiveOwner(s.owner),
		Last:     last,
		Software: "Weir/" + s.deps.Version,
	}, s.cat, segments, s.deps.Log)
	return err
}

// openCatalogue opens the catalogue in the data directory, or that of a database.
func (s *Service) openCatalogue(ctx context.Context) (catalogue.Store, error) {
	if s.cfg.Catalogue == "" {
		s.owner = "storage"
		return sqlitestore.Open(ctx, s.cfg.Dir)
	}
	owner := s.cfg.Replica
	if owner == "" {
		var err error
		if owner, err = identity(filepath.Join(s.cfg.Dir, "storage.id")); err != nil {
			return nil, err
		}
	}
	s.owner = owner
	return pgstore.Open(ctx, pgstore.Config{DSN: s.cfg.Catalogue, Owner: owner})
}

// archiveOwner is a storage's name as part of a file's.
func archiveOwner(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

// identity reads the name that a data directory has among those that share a
// catalogue, and makes one for a new directory.
func identity(path string) (string, error) {
	name, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(name)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := strings.ToLower(rand.Text())
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(id+"\n"), 0o644); err != nil {
		return "", err
	}
	return id, os.Rename(tmp, path)
}

// RegisterGRPC adds StorageService to a server.
func (s *Service) RegisterGRPC(r grpc.ServiceRegistrar) { storagev1.RegisterStorageServiceServer(r, s) }

// Live returns an error when the storage hangs.
func (s *Service) Live(context.Context) error { return s.deps.Bus.Alive() }

// Ready returns nil while the stores can be read and the bus is connected. A full
// disk does not make it unready: what is stored can still be read.
func (s *Service) Ready(ctx context.Context) error {
	select {
	case <-s.stopped:
		return errStopped
	default:
	}
	return errors.Join(s.cat.Ping(ctx), s.deps.Bus.Healthy())
}

// StopTime is how long Run may take once its context has ended, and how long Close.
func StopTime() (run, stores time.Duration) {
	return 10*time.Second + indexTime + rememberTime + 2*time.Second, 5 * time.Second
}

// Run stores records until ctx ends; then it finishes the batch in hand and returns
// nil. The stores can still be read: Close closes them.
func (s *Service) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		opt := bus.BatchOptions{Max: s.cfg.Batch, Bytes: s.cfg.BatchBytes, Age: s.cfg.BatchAge}
		return s.deps.Bus.ConsumeBatch(gctx, bus.NewConsumerSet(bus.StoreConsumer()), opt, s.handle)
	})
	g.Go(func() error { return s.crawls.Run(gctx) })
	g.Go(func() error { return s.sweep(gctx) })
	g.Go(func() error { return s.tend(gctx) })
	g.Go(func() error { return s.clean(gctx) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	s.indexOpen()
	s.remember(context.WithoutCancel(ctx), true)
	return nil
}

// Close closes the stores, once Run has returned or without it. Calls that are being
// answered fail. Closing again does nothing.
func (s *Service) Close() error {
	s.closing.Do(func() {
		close(s.stopped)
		if s.arch != nil {
			s.closed = errors.Join(s.closed, s.arch.Close())
		}
		if s.cat != nil {
			s.closed = errors.Join(s.closed, s.cat.Close())
		}
		if s.lock != nil {
			s.closed = errors.Join(s.closed, s.lock.Close())
		}
	})
	return s.closed
}

// sweep deletes long bodies whose record never came. It begins an hour after the
// start: after a long stop the records that refer to old bodies come first.
func (s *Service) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n, err := s.spool.Sweep(ctx, s.deps.Now().Add(-s.cfg.BodyAge))
		s.m.bodies.WithLabelValues("swept").Add(float64(n))
		if err != nil {
			s.deps.Log.Warn("sweep long bodies", "err", err)
		}
		if n > 0 {
			s.deps.Log.Info("deleted long bodies whose records never came", "bodies", n)
		}
	}
}
