package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/weircrawl/weir/cmd/weir/internal/allinone"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/machine"
	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/run"
	"github.com/weircrawl/weir/internal/trace"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/fetcher"
	"github.com/weircrawl/weir/services/parser"
	"github.com/weircrawl/weir/services/scheduler"
	"github.com/weircrawl/weir/services/storage"
)

// service is a service as this package sees it.
type service interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
	Live(ctx context.Context) error
	State(ctx context.Context) any
	RegisterGRPC(r grpc.ServiceRegistrar)
}

// parts are what the constructors of services are given.
type parts struct {
	settings *settings.Settings
	bus      *bus.Bus
	addr     string        // of the gRPC server, empty for none
	certs    *certs.Keeper // nil for plain text
	storage  storagev1.StorageServiceClient
	log      *slog.Logger
	registry *obs.Registry
	version  string
	trace    *trace.Tracer // nil for none
}

func (a *app) schedulerCmd() *cobra.Command {
	return a.serviceCmd(settings.Scheduler, "Run the scheduler of a cluster: the frontier and the crawl API", func(p parts) (service, error) {
		cfg := p.settings.Scheduler
		if cfg.Advertise == "" {
			cfg.Advertise = reachable(p.addr)
		}
		return scheduler.New(cfg, scheduler.Deps{Bus: p.bus, Log: p.log, Registry: p.registry, Tracer: p.trace, PeerCredentials: rpc.Credentials(p.certs, certs.Scheduler), Lookup: resolve.Via(p.settings.DNS)})
	}, "data", "store", "nats", "listen", "admin-listen", "config", "log.level", "log.format")
}

// reachable turns the address that a server listens on into one that other machines
// may call: where it listens on all, that of the host's name.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return addr
	}
	name, err := os.Hostname()
	if err != nil {
		return addr
	}
	return net.JoinHostPort(name, port)
}

func (a *app) storageCmd() *cobra.Command {
	cmd := a.serviceCmd(settings.Storage, "Run the storage of a cluster: pages, items, bodies", func(p parts) (service, error) {
		return storage.New(p.settings.Storage, storage.Deps{Bus: p.bus, Log: p.log, Registry: p.registry, Tracer: p.trace, Version: p.version})
	}, "data", "catalogue", "archive", "nats", "listen", "admin-listen", "config", "log.level", "log.format")
	cmd.AddCommand(a.storageCheckCmd())
	return cmd
}

func (a *app) fetcherCmd() *cobra.Command {
	return a.serviceCmd(settings.Fetcher, "Run a fetcher of a cluster", func(p parts) (service, error) {
		return fetcher.New(p.settings.Fetcher, fetcher.Deps{
			Bus: p.bus, Storage: p.storage, Log: p.log, Registry: p.registry, Tracer: p.trace, Version: p.version, Lookup: resolve.Via(p.settings.DNS),
		})
	}, "nats", "storage", "pool", "fetchers", "browsers", "allow-net", "listen", "admin-listen", "config", "log.level", "log.format")
}

func (a *app) parserCmd() *cobra.Command {
	return a.serviceCmd(settings.Parser, "Run a parser of a cluster", func(p parts) (service, error) {
		return parser.New(p.settings.Parser, parser.Deps{Bus: p.bus, Storage: p.storage, Log: p.log, Registry: p.registry, Tracer: p.trace})
	}, "nats", "storage", "parsers", "listen", "admin-listen", "config", "log.level", "log.format")
}

func (a *app) serviceCmd(mode settings.Mode, short string, build func(parts) (service, error), listed ...string) *cobra.Command {
	s := settings.New(mode)
	cmd := &cobra.Command{
		Use: string(mode), Short: short, Long: short + ".", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Load(a.Environ, cmd.Flags().Changed); err != nil {
				return err
			}
			keeps := mode == settings.Scheduler && s.Scheduler.Store == "" || mode == settings.Storage
			if s.Data == "" && keeps {
				return crawl.Errorf(crawl.Invalid, "weir %s keeps state: name its directory with --data", mode)
			}
			s.SetData(s.Data)
			if err := s.Validate(); err != nil {
				return err
			}
			return a.serve(cmd.Context(), mode, s, build)
		},
	}
	addSettings(cmd, s, listed...)
	return cmd
}

// serve runs one service until ctx ends.
func (a *app) serve(ctx context.Context, mode settings.Mode, s *settings.Settings, build func(parts) (service, error)) (err error) {
	log, err := a.logger(s)
	if err != nil {
		return err
	}
	log = log.With("component", string(mode))
	defer machine.SpareHeap(machine.OneService)()
	p := parts{settings: s, log: log, registry: obs.NewRegistry(a.Version), version: a.Version}
	proc := run.Process{Delay: s.ShutdownDelay, Log: log}
	defer func() {
		if err != nil && p.bus != nil {
			p.bus.Close() // again after a run, which does nothing
		}
	}()
	var svc service
	obs.RegisterConfigInfo(p.registry, s.Hash())
	admin, err := obs.NewAdmin(s.Admin, obs.Deps{
		Registry: p.registry, Log: log, Settings: s.Dump,
		Ready: func(ctx context.Context) error { return svc.Ready(ctx) },
		Live:  func(ctx context.Context) error { return svc.Live(ctx) },
		State: func(ctx context.Context) any {
			return map[string]any{"bus": p.bus.State(), string(mode): svc.State(ctx)}
		},
	})
	if err != nil {
		return err
	}
	if p.certs, err = s.GRPC.Certificates(rpc.Deps{Log: log, Registry: p.registry}); err != nil {
		return err
	}
	proc.Unready, proc.Admin = admin.Stopping, run.Member{Name: "admin", Run: admin.Run}
	spans, err := trace.New(s.Trace, trace.Deps{Version: a.Version, Instance: trace.Instance(), Log: log, Registry: p.registry})
	if err != nil {
		return err
	}
	defer flushSpans(spans, log)
	p.trace = spans.Tracer(string(mode))
	guard, err := s.Guard(log, p.registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, guard.Close()) }()
	var server *rpc.Server
	if s.GRPC.Listen != "" {
		if server, err = rpc.NewServer(s.GRPC, rpc.Deps{Log: log, Registry: p.registry, Certificates: p.certs, Guard: guard, Tracer: p.trace}); err != nil {
			return err
		}
		p.addr = server.Addr()
	}
	if p.bus, err = bus.Connect(ctx, s.Bus, bus.Deps{Name: string(mode), Log: log, Registry: p.registry}); err != nil {
		return err
	}
	proc.Bus = func() error { p.bus.Close(); return nil }
	conn, err := rpc.Dial(s.StorageAddr, grpc.WithTransportCredentials(rpc.Credentials(p.certs, certs.Storage)), rpc.Traced(p.trace))
	if err != nil {
		return crawl.Errorf(crawl.Invalid, "--storage %q: %w", s.StorageAddr, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	p.storage = storagev1.NewStorageServiceClient(conn)
	if svc, err = build(p); err != nil {
		return err
	}
	if server != nil {
		svc.RegisterGRPC(server)
		proc.Unready = func() { admin.Stopping(); server.NotServing() }
		proc.EndStreams = server.EndStreams
		proc.Serve = []run.Member{{Name: "gRPC", Run: server.Serve, Limit: s.GRPC.SoftStop + time.Second}}
		log.Info("gRPC server listens", "addr", server.Addr())
	}
	proc.Work, proc.Stores = stopping(mode, s, svc)
	return proc.Run(ctx)
}

// flushTime is how long the last spans of a process may take.
const flushTime = 3 * time.Second

// flushSpans sends the last spans, once nothing makes more of them.
func flushSpans(spans *trace.Exporter, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := spans.Shutdown(ctx); err != nil {
		log.Warn("the last spans are lost", "err", err) // no failure of the process
	}
}

// stopping says in which steps of the stop a service ends, and how long that may take.
func stopping(mode settings.Mode, s *settings.Settings, svc service) (work, stores []run.Member) {
	switch svc := svc.(type) {
	case *scheduler.Service:
		leave, rest := scheduler.StopTime()
		return []run.Member{{Name: "partitions", Run: allinone.Leaving(svc), Limit: leave}},
			[]run.Member{{Name: string(mode), Run: svc.Run, Limit: rest}}
	case *storage.Service:
		work, stores := storage.StopTime()
		return []run.Member{{Name: string(mode), Run: svc.Run, Limit: work}},
			[]run.Member{run.Closing("stores", stores, svc.Close)}
	case *fetcher.Service:
		return []run.Member{{Name: string(mode), Run: svc.Run, Limit: s.Fetcher.StopTime()}}, nil
	default:
		return []run.Member{{Name: string(mode), Run: svc.Run, Limit: s.Parser.StopTime()}}, nil
	}
}
