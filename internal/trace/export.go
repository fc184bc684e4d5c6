package trace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"

	"github.com/weircrawl/weir/internal/certs"
)

// Deps are what an Exporter is given.
type Deps struct {
	// Version of the program, and Instance: what tells replicas apart. Both are
	// attributes of every span.
	Version, Instance string
	// Log takes failures of the collector, seldom; nil for none.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
}

const (
	// queueSpans is how many spans wait for the collector: about 1 KiB each. What does
	// not fit is dropped; nobody waits.
	queueSpans = 4096
	// batchSpans and batchAge make an export.
	batchSpans, batchAge = 512, time.Second
	// exportTime bounds one export with its repetitions, retryAfter is the first wait
	// between them.
	exportTime, retryAfter = 10 * time.Second, 500 * time.Millisecond
	// complainEvery is how often a collector that is away is worth a line.
	complainEvery = time.Minute
)

// Exporter sends spans to a collector in the background. When that is away or slow,
// spans are dropped and counted; nothing else is held up. Safe for concurrent use;
// a nil one does nothing.
type Exporter struct {
	cfg  Config
	deps Deps
	proc sdk.SpanProcessor
	out  *quiet

	mu        sync.Mutex
	providers []*sdk.TracerProvider
}

// New makes an exporter, nil without an endpoint. It does not wait for the collector.
// Close it with Shutdown.
func New(cfg Config, deps Deps) (*Exporter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Endpoint == "" {
		return nil, nil
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(cfg.Endpoint),
		otlptracegrpc.WithTimeout(exportTime / 2),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: retryAfter, MaxInterval: 4 * retryAfter, MaxElapsedTime: exportTime}),
	}
	if cfg.Insecure {
		opts = append(opts, otlptracegrpc.WithInsecure())
	} else {
		keeper, err := certs.Open(certs.Files{Cert: cfg.TLSCert, Key: cfg.TLSKey, Authority: cfg.TLSCA},
			certs.Deps{Use: "trace", Log: deps.Log, Registry: deps.Registry})
		if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
		host, _, err := net.SplitHostPort(cfg.Endpoint)
		if err != nil {
			return nil, err
		}
		opts = append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(keeper.Client([]string{host}))))
	}
	client, err := otlptracegrpc.New(context.Background(), opts...) // dials in the background
	if err != nil {
		return nil, fmt.Errorf("trace: export to %s: %w", cfg.Endpoint, err)
	}
	m := newMetrics(deps.Registry)
	out := &quiet{SpanExporter: client, m: m, log: deps.Log, endpoint: cfg.Endpoint, stop: make(chan struct{}), over: make(chan struct{})}
	batches := sdk.NewBatchSpanProcessor(out,
		sdk.WithMaxQueueSize(queueSpans), sdk.WithMaxExportBatchSize(batchSpans), sdk.WithBatchTimeout(batchAge), sdk.WithExportTimeout(exportTime))
	return &Exporter{cfg: cfg, deps: deps, proc: &counting{batches, m}, out: out}, nil
}

// Tracer returns what a service makes its spans with. Its name in traces is
// weir-SERVICE. Nil for a nil exporter.
func (e *Exporter) Tracer(service string) *Tracer {
	if e == nil {
		return nil
	}
	p := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(e.proc),
		sdk.WithSampler(newSampler(e.cfg.Sample)),
		sdk.WithIDGenerator(ids{}),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "weir-"+service),
			attribute.String("service.namespace", "weir"),
			attribute.String("service.version", e.deps.Version),
			attribute.String("service.instance.id", e.deps.Instance),
		)))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.providers = append(e.providers, p)
	return &Tracer{provider: p, tracer: p.Tracer("github.com/weircrawl/weir"), share: newShare(e.cfg.Sample)}
}

// Shutdown sends what is left, at most until ctx ends, and ends the exporter. Spans
// that end later are dropped.
func (e *Exporter) Shutdown(ctx context.Context) error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, p := range e.providers {
		errs = append(errs, p.Shutdown(ctx))
	}
	err := errors.Join(append(errs, e.proc.Shutdown(ctx))...)
	e.out.once.Do(func() {
		// What the processor still tries ends now, and its goroutine with it.
		close(e.out.stop)
		<-e.out.over
	})
	if err != nil {
		return fmt.Errorf("trace: send the last spans: %w", err)
	}
	return nil
}

// counting counts the spans that are handed to a processor.
type counting struct {
	sdk.SpanProcessor
	m *metrics
}

// OnEnd implements sdk.SpanProcessor.
func (c *counting) OnEnd(s sdk.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		c.m.ended.Inc()
	}
	c.SpanProcessor.OnEnd(s)
}

// quiet counts and logs failures by itself: what it returned would go to a handler that
// the whole process shares.
type quiet struct {
	sdk.SpanExporter
	m        *metrics
	log      *slog.Logger
	endpoint string

	last time.Time // of a complaint; exports come one at a time
	away bool

	once sync.Once
	stop chan struct{} // closed when nothing more is to be sent
	over chan struct{} // closed when nothing more comes
}

// Shutdown implements sdk.SpanExporter.
func (q *quiet) Shutdown(ctx context.Context) error {
	defer close(q.over) // the processor calls it once, last of all
	return q.SpanExporter.Shutdown(ctx)
}

// ExportSpans implements sdk.SpanExporter.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() { <-ended }()
	defer cancel()
	go func() {
		defer close(ended)
		select {
		case <-q.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := q.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		q.m.exported.Add(float64(len(spans)))
		if q.away {
			q.away = false
			q.log.Info("the trace collector is back", "component", "trace", "endpoint", q.endpoint)
		}
		return nil
	}
	q.m.failed.Add(float64(len(spans)))
	if now := time.Now(); now.Sub(q.last) > complainEvery {
		q.last, q.away = now, true
		q.log.Warn("spans were lost: the trace collector does not take them", "component", "trace", "endpoint", q.endpoint, "spans", len(spans), "err", err)
	}
	return nil
}

// Instance returns a name for a process that has none: that of the machine, and chance.
func Instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()[:6]
}
