// Package rpc is how services offer and call gRPC: one way to recover, to
// measure, to turn errors into codes and back, to stop. Services register
// themselves; nothing here knows them.
package rpc

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/trace"
)

// MaxMessage bounds one gRPC message, in bytes, in both directions.
const MaxMessage = 16 << 20

// Config of a server.
type Config struct {
	// Listen is the address, host:port.
	Listen string
	// TLSCert and TLSKey are PEM files; both or none. They are read at every handshake.
	TLSCert, TLSKey string
	// TLSClientCA is a PEM file: clients must show a certificate that it signed, or may
	// (see Deps.CallersMayLackCertificates). It also vouches for the servers that are
	// called; without it the authorities of the machine do.
	TLSClientCA string
	// SoftStop is how long calls in hand may go on after a stop.
	SoftStop time.Duration
	// Reflection tells callers which services there are, for grpcurl and the like.
	// Default: true.
	Reflection bool
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:7300", SoftStop: 10 * time.Second, Reflection: true}
}

// RegisterFlags adds the flags.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Listen, prefix+".listen", c.Listen, "address of the gRPC server")
	fs.StringVar(&c.TLSCert, prefix+".tls-cert", c.TLSCert, "PEM file with the server's certificate")
	fs.StringVar(&c.TLSKey, prefix+".tls-key", c.TLSKey, "PEM file with the server's key")
	fs.StringVar(&c.TLSClientCA, prefix+".tls-client-ca", c.TLSClientCA, "PEM file with the authority of the clients' certificates")
	fs.BoolVar(&c.Reflection, prefix+".reflection", c.Reflection, "tell callers which services there are, for grpcurl and the like")
	fs.DurationVar(&c.SoftStop, prefix+".soft-stop", c.SoftStop, "how long calls in hand may go on after a stop")
}

// Validate returns all mistakes joined.
func (c Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("grpc: listen: %w", err))
	}
	errs = append(errs, c.ValidateTLS())
	if c.SoftStop <= 0 {
		errs = append(errs, errors.New("grpc: soft-stop must be positive"))
	}
	return errors.Join(errs...)
}

// ValidateTLS returns the mistakes of the settings that calls to other services need,
// too: those of a process without a server of its own.
func (c Config) ValidateTLS() error {
	var errs []error
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("grpc: tls-cert and tls-key go together"))
	}
	if c.TLSClientCA != "" && c.TLSCert == "" {
		errs = append(errs, errors.New("grpc: tls-client-ca needs tls-cert"))
	}
	return errors.Join(errs...)
}

// Deps are what a server is given.
type Deps struct {
	// Log takes panics and errors of kind Internal.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Certificates are what Config.Certificates has opened. Default: opened anew.
	Certificates *certs.Keeper
	// CallersMayLackCertificates lets callers in that show none, because something else
	// checks who they are, call by call, as a Guard with tokens does. One that is shown
	// must be good all the same.
	CallersMayLackCertificates bool
	// Tracer makes spans of the calls; nil for none.
	Tracer *trace.Tracer
	// Guard decides who may call what; nil lets everybody do everything. It stays the
	// caller's.
	Guard *access.Guard
}

// Server is a gRPC server with health and reflection. It is a
// grpc.ServiceRegistrar: register services before Serve.
type Server struct {
	cfg    Config
	log    *slog.Logger
	grpc   *grpc.Server
	health *health.Server
	lis    net.Listener
	ending *ending
}

// NewServer opens the port, so that one in use is an error at start, and serves
// nothing yet.
func NewServer(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Certificates == nil {
		var err error
		if deps.Certificates, err = cfg.Certificates(deps); err != nil {
			return nil, err
		}
	}
	var creds []grpc.ServerOption
	if deps.Certificates != nil {
		creds = append(creds, grpc.Creds(credentials.NewTLS(deps.Certificates.Server(deps.CallersMayLackCertificates || deps.Guard != nil && deps.Guard.Users()))))
	}
	lis, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("grpc server: %w; choose another address", err)
	}
	return newServer(cfg, deps, lis, creds...), nil
}

func newServer(cfg Config, deps Deps, lis net.Listener, opts ...grpc.ServerOption) *Server {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: deps.Log.With("component", "grpc"), lis: lis, health: health.NewServer(), ending: newEnding()}
	m := newServerMetrics(deps.Registry)
	rec := recovery.WithRecoveryHandlerContext(s.recovered)
	opts = append(opts,
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		// Long-lived clients of a headless service must look for new replicas
		// now and then; the grace lets streams end by themselves.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: 30 * time.Minute,
			Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(m.UnaryServerInterceptor(), s.unary, recovery.UnaryServerInterceptor(rec)),
		grpc.ChainStreamInterceptor(m.StreamServerInterceptor(), s.stream, recovery.StreamServerInterceptor(rec)))
	if deps.Guard != nil {
		opts = append(opts, grpc.ChainUnaryInterceptor(guardUnary(deps.Guard)), grpc.ChainStreamInterceptor(guardStream(deps.Guard)))
	}
	opts = append(opts, traceServer(deps.Tracer)...)
	s.grpc = grpc.NewServer(opts...)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	if cfg.Reflection {
		reflection.Register(s.grpc)
	}
	warnOpen(s.log, deps.Guard, lis.Addr(), cfg.TLSCert != "")
	return s
}

// newServerMetrics registers gRPC's own metrics, or finds those of an earlier
// server of this process.
func newServerMetrics(reg prometheus.Registerer) *grpcprom.ServerMetrics {
	return obs.Register(reg, grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		grpcprom.WithHistogramBuckets([]float64{.001, .01, .1, 1, 10}))))
}

// RegisterService implements grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.grpc.RegisterService(desc, impl)
	s.health.SetServingStatus(desc.ServiceName, healthv1.HealthCheckResponse_SERVING)
}

// Addr returns the address that is listened on.
func (s *Server) Addr() string { return s.lis.Addr().String() }

// Serve answers calls until ctx ends. Then health says NOT_SERVING, no new call
// is taken, and those in hand may go on for Config.SoftStop.
func (s *Server) Serve(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.grpc.Serve(s.lis) }()
	select {
	case err := <-done:
		return fmt.Errorf("grpc server on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.NotServing()
	s.EndStreams()
	t := time.AfterFunc(s.cfg.SoftStop, s.grpc.Stop)
	defer t.Stop()
	s.grpc.GracefulStop()
	<-done
	return nil
}

// NotServing makes health say NOT_SERVING from now on: clients that look at it turn to
// other replicas. Calls are answered as before.
func (s *Server) NotServing() { s.health.Shutdown() }

// EndStreams ends the calls that last, those in hand and those to come, with an error
// of kind Unavailable: their clients begin them again at another replica.
func (s *Server) EndStreams() { s.ending.begin() }

// unary gives errors their codes.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (resp any, err error) {
	err = s.ending.end(ctx, info.FullMethod, func(ctx context.Context) error {
		resp, err = h(ctx, req)
		return err
	})
	return resp, s.failed(info.FullMethod, err)
}

// stream gives errors their codes.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	err := s.ending.end(ss.Context(), info.FullMethod, func(ctx context.Context) error {
		return h(srv, &serverStream{ss, ctx})
	})
	return s.failed(info.FullMethod, err)
}

// failed logs bugs, once, and turns err into a status.
func (s *Server) failed(method string, err error) error {
	if err == nil {
		return nil
	}
	st := Status(err)
	if codeOf(st) == Code(crawl.Internal) {
		s.log.Error("call failed", "method", method, "err", err)
	}
	return st
}

// recovered turns a panic into an error of kind Internal.
func (s *Server) recovered(_ context.Context, p any) error {
	return crawl.Errorf(crawl.Internal, "panic: %v\n%s", p, debug.Stack())
}
