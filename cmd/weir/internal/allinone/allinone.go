// Package allinone runs the whole ring in one process: an embedded NATS server,
// the four services, and gRPC between them without a port. Only constructors
// differ from a cluster; every message takes the same path.
//
//	start   NATS ─► bus ─► scheduler ─► storage ─► parser ─► fetcher ─► gRPC, admin
//	stop    in the order of run.Process: nobody loses a part that it still needs
package allinone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/console"
	"github.com/weircrawl/weir/cmd/weir/internal/datadir"
	"github.com/weircrawl/weir/cmd/weir/internal/gateway"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/embednats"
	"github.com/weircrawl/weir/internal/handover"
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

// Deps are what a ring is given.
type Deps struct {
	// Dir is the data directory, locked; it stays the caller's.
	Dir *datadir.Dir
	// Log takes everything.
	Log *slog.Logger
	// Version of the program.
	Version string
}

// Ring is a whole Weir. Open it, Run it once.
type Ring struct {
	cfg      *settings.Settings
	deps     Deps
	registry *obs.Registry

	alarm   *diskAlarm
	server  *embednats.Server
	bus     *bus.Bus
	inproc  *rpc.InProcess
	conn    *grpc.ClientConn
	guard   *access.Guard
	edge    *rpc.InProcess // for callers from outside: its calls are guarded
	outside *grpc.ClientConn
	spans   *trace.Exporter // nil without tracing
	public  *rpc.Server     // nil when nothing is listened on
	admin   *obs.Admin
	page    *console.Server // of nothing when it listens nowhere
	sched   *scheduler.Service
	store   *storage.Service
	parse   *parser.Service
	fetch   *fetcher.Service
	render  *fetcher.Service // the pool that shows pages in a browser
	parts   []part
	closers []func() error // in the order of opening
}

// handoverRoom is for the bodies between fetcher and parser: twice as many pages of
// 16 KiB as fetcher and parser have in hand by default.
const handoverRoom = 4 << 20

// part is a service as the ring sees it.
type part interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
	Live(ctx context.Context) error
	State(ctx context.Context) any
	RegisterGRPC(r grpc.ServiceRegistrar)
}

// Open opens ports, stores and the embedded NATS server; nothing runs yet. A ring
// that is not run must be closed with Close.
func Open(ctx context.Context, cfg *settings.Settings, deps Deps) (_ *Ring, err error) {
	r := &Ring{cfg: cfg, deps: deps, registry: obs.NewRegistry(deps.Version)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	// The ports first: one in use is found before anything was touched.
	if err := r.listen(); err != nil {
		return nil, err
	}
	if err := r.openBus(ctx); err != nil {
		return nil, err
	}
	if err := r.openServices(); err != nil {
		return nil, err
	}
	for _, p := range r.parts {
		p.RegisterGRPC(r.inproc)
		p.RegisterGRPC(r.edge)
		if r.public != nil {
			p.RegisterGRPC(r.public)
		}
	}
	return r, nil
}

func (r *Ring) listen() (err error) {
	r.spans, err = trace.New(r.cfg.Trace, trace.Deps{Version: r.deps.Version, Instance: trace.Instance(), Log: r.deps.Log, Registry: r.registry})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.flushSpans)
	deps := rpc.Deps{Log: r.deps.Log, Registry: r.registry, Tracer: r.spans.Tracer("ring")}
	if r.guard, err = r.cfg.Guard(r.deps.Log, r.registry); err != nil {
		return err
	}
	r.closers = append(r.closers, r.guard.Close)
	guarded := deps
	guarded.Guard = r.guard
	if r.cfg.GRPC.Listen != "" {
		if r.public, err = rpc.NewServer(r.cfg.GRPC, guarded); err != nil {
			return err
		}
	}
	obs.RegisterConfigInfo(r.registry, r.cfg.Hash())
	r.admin, err = obs.NewAdmin(r.cfg.Admin, obs.Deps{
		Registry: r.registry, Ready: r.Ready, Live: r.live, State: r.state, Settings: r.cfg.Dump, Log: r.deps.Log,
	})
	if err != nil {
		return err
	}
	r.inproc = rpc.NewInProcess(deps)
	if r.conn, err = r.inproc.Dial(rpc.Traced(deps.Tracer)); err != nil {
		return err
	}
	r.closers = append(r.closers, r.conn.Close)
	r.edge = rpc.NewInProcess(guarded)
	if r.outside, err = r.edge.Dial(); err != nil {
		return err
	}
	r.closers = append(r.closers, r.outside.Close)
	// What people do on the page is theirs and needs their tokens; what the charts are
	// made of is the ring's own.
	outside := client.Over(r.outside)
	api, err := gateway.New(outside, r.deps.Log)
	if err != nil {
		return err
	}
	r.page, err = console.New(r.cfg.Console, console.Deps{
		API: api, Client: outside, Watch: client.Over(r.conn), Log: r.deps.Log, Registry: r.registry, Version: r.deps.Version,
	})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.page.Close)
	return nil
}

func (r *Ring) openBus(ctx context.Context) error {
	r.alarm = newDiskAlarm(r.deps.Log.Handler())
	var err error
	r.server, err = embednats.Start(embednats.Config{Dir: r.deps.Dir.NATS(), Log: slog.New(r.alarm)})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { r.server.Shutdown(); return nil })
	r.bus, err = bus.Connect(ctx, r.cfg.Bus, bus.Deps{Name: "weir", Log: r.deps.Log, Registry: r.registry, InProcess: r.server, Transient: true})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { r.bus.Close(); return nil })
	// Nobody else consumes here: what a killed process had in hand comes at once.
	return r.bus.ResetConsumers(ctx)
}

func (r *Ring) openServices() (err error) {
	log := func(name string) *slog.Logger { return r.deps.Log.With("component", name) }
	r.sched, err = scheduler.New(r.cfg.Scheduler, scheduler.Deps{
		Bus: r.bus, Log: log("scheduler"), Registry: r.registry, Tracer: r.spans.Tracer("scheduler"), Lookup: resolve.Via(r.cfg.DNS),
	})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.sched.Close)
	r.store, err = storage.New(r.cfg.Storage, storage.Deps{
		Bus: r.bus, Log: log("storage"), Registry: r.registry, Tracer: r.spans.Tracer("storage"), Version: r.deps.Version,
	})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.store.Close)
	bodies := storagev1.NewStorageServiceClient(r.conn)
	fresh := handover.New(handoverRoom)
	r.parse, err = parser.New(r.cfg.Parser, parser.Deps{
		Bus: r.bus, Storage: bodies, Bodies: fresh, Log: log("parser"), Registry: r.registry, Tracer: r.spans.Tracer("parser"),
	})
	if err != nil {
		return err
	}
	r.fetch, err = fetcher.New(r.cfg.Fetcher, fetcher.Deps{
		Bus: r.bus, Storage: bodies, Bodies: fresh, Log: log("fetcher"), Registry: r.registry, Tracer: r.spans.Tracer("fetcher"), Version: r.deps.Version, Lookup: resolve.Via(r.cfg.DNS),
	})
	if err != nil {
		return err
	}
	// It has no browser before the first page that needs one.
	browsers := r.cfg.Fetcher
	browsers.Pool = fetcher.RenderPool
	r.render, err = fetcher.New(browsers, fetcher.Deps{
		Bus: r.bus, Storage: bodies, Log: log("render"), Registry: r.registry, Tracer: r.spans.Tracer("fetcher"), Version: r.deps.Version, Lookup: resolve.Via(r.cfg.DNS),
	})
	if err != nil {
		return err
	}
	r.parts = []part{r.sched, r.store, r.parse, r.fetch}
	return nil
}

// Run runs the ring until ctx ends or a part fails, and closes it.
func (r *Ring) Run(ctx context.Context) error {
	proc := run.Process{
		Unready: r.Unready, Delay: r.cfg.ShutdownDelay,
		EndStreams: r.endStreams,
		Bus:        func() error { r.bus.Close(); return nil },
		NATS:       func() error { r.server.Shutdown(); return nil },
		Admin:      run.Member{Name: "admin", Run: r.admin.Run},
		Log:        r.deps.Log,
	}
	// Each member may use those before it: bodies travel over the in-process server,
	// results go to the scheduler while storage finishes its batch.
	leave, rest := scheduler.StopTime()
	work, stores := storage.StopTime()
	proc.Work = []run.Member{
		{Name: "partitions", Run: Leaving(r.sched), Limit: leave},
		{Name: "storage", Run: r.store.Run, Limit: work},
		{Name: "parser", Run: r.parse.Run, Limit: r.cfg.Parser.StopTime()},
		{Name: "fetcher", Run: r.fetch.Run, Limit: r.cfg.Fetcher.StopTime()},
		{Name: "render", Run: r.render.Run, Limit: r.cfg.Fetcher.StopTime()},
		{Name: "disk", Run: r.alarm.watch(r.deps.Dir.Path())},
	}
	soft := rpc.DefaultConfig().SoftStop
	proc.Serve = []run.Member{
		{Name: "in-process gRPC", Run: r.inproc.Serve, Limit: soft + time.Second},
		{Name: "guarded in-process gRPC", Run: r.edge.Serve, Limit: soft + time.Second},
	}
	if r.public != nil {
		proc.Serve = append(proc.Serve, run.Member{Name: "gRPC", Run: r.public.Serve, Limit: r.cfg.GRPC.SoftStop + time.Second})
	}
	proc.Serve = append(proc.Serve, run.Member{Name: "console", Run: r.page.Run, Limit: console.StopTime()})
	proc.Stores = []run.Member{
		run.Closing("storage's stores", stores, r.store.Close),
		{Name: "scheduler", Run: r.sched.Run, Limit: rest},
	}
	return errors.Join(proc.Run(ctx), r.Close())
}

// endStreams ends the calls that last, at every server.
func (r *Ring) endStreams() {
	if r.public != nil {
		r.public.EndStreams()
	}
	r.page.EndStreams()
	r.edge.EndStreams()
	r.inproc.EndStreams()
}

// Leaving is the member of a process that has a scheduler leave.
func Leaving(s *scheduler.Service) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		return s.Leave(context.WithoutCancel(ctx)) // the process bounds it
	}
}

// Unready says that the ring is about to stop, to probes and to those who look at the
// health of gRPC. It goes on as before.
func (r *Ring) Unready() {
	r.admin.Stopping()
	if r.public != nil {
		r.public.NotServing()
	}
}

// Close closes what Open opened. Run does so itself; closing twice does nothing.
func (r *Ring) Close() error {
	var errs []error
	for _, closer := range slices.Backward(r.closers) {
		errs = append(errs, closer())
	}
	r.closers = nil
	return errors.Join(errs...)
}

// Ready returns nil when every part can do its work.
func (r *Ring) Ready(ctx context.Context) error {
	var errs []error
	for _, p := range r.parts {
		errs = append(errs, p.Ready(ctx))
	}
	errs = append(errs, r.render.Ready(ctx))
	return errors.Join(errs...)
}

// flushTime is how long the last spans may take.
const flushTime = 3 * time.Second

// flushSpans sends the last spans. That they are lost is no failure of the ring.
func (r *Ring) flushSpans() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := r.spans.Shutdown(ctx); err != nil {
		r.deps.Log.Warn("the last spans are lost", "err", err)
	}
	return nil
}

// live returns an error when a part hangs.
func (r *Ring) live(ctx context.Context) error {
	for _, p := range r.parts {
		if err := p.Live(ctx); err != nil {
			return err
		}
	}
	return nil
}

// state is what the parts do.
func (r *Ring) state(ctx context.Context) any {
	return map[string]any{
		"bus": r.bus.State(), "scheduler": r.sched.State(ctx), "fetcher": r.fetch.State(ctx),
		"render": r.render.State(ctx), "parser": r.parse.State(ctx), "storage": r.store.State(ctx),
	}
}

// WaitReady waits for Ready until ctx ends, and then says what was not.
func (r *Ring) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := r.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// Drain stops handing out work and waits until what is in hand is stored, or
// until ctx ends. The ring goes on answering.
func (r *Ring) Drain(ctx context.Context) error { return r.sched.Drain(ctx) }

// Conn is a connection to all services of the ring, without a port. It is the
// ring's: do not close it.
func (r *Ring) Conn() grpc.ClientConnInterface { return r.conn }

// Outside is a connection to all services of the ring, without a port, for what calls for
// somebody outside: each call needs what one over the port needs, a token in its metadata.
// It is the ring's: do not close it.
func (r *Ring) Outside() grpc.ClientConnInterface { return r.outside }

// Addr is where gRPC is listened on, empty for nowhere.
func (r *Ring) Addr() string {
	if r.public == nil {
		return ""
	}
	return r.public.Addr()
}

// Registry has the metrics of all parts.
func (r *Ring) Registry() *obs.Registry { return r.registry }

// ConsoleURL is the address of the web page, empty for none.
func (r *Ring) ConsoleURL() string { return r.page.URL() }

// AdminAddr is where the admin server listens, empty for nowhere.
func (r *Ring) AdminAddr() string { return r.admin.Addr() }
