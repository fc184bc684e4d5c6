// Package bus holds all JetStream knowledge: streams, subjects, consumers,
// publishing, consuming and what becomes of a message after its handler.
// Services see typed messages and the functions below, nothing of NATS.
//
// Delivery is at least once: every handler is idempotent.
//
// The parts, one file each:
//
//	topology    declares streams, consumers and buckets
//	subject     names subjects and message ids
//	publish     sends, asynchronously, with acks
//	fence       lets one owner at a time publish the tasks of a partition
//	report      sends and receives reports of exchanges, outside the streams
//	session     takes messages from consumers and keeps them alive
//	consume     hands messages one by one to a pool of workers
//	set         lets the consumers that a session takes from change
//	batch       hands them in batches
//	disposition says what becomes of a message after its handler
//	held        puts pages aside that wait for something of their own crawl
//	deadletter  moves messages that used up their deliveries, and lists them
//	sweep       finds those among them that no advisory has come for
//	alive       tells sessions that hang
//	lag         counts what waits for consumers
//	stages      tells how each stage and the queues between them stand
//	inflight    lists the leases of every message in the ring
//	leases      says which replica owns a partition
//	watch       follows a bucket
//	crawls      shares the crawls' specs
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/crawl"
)

// Deps are what a Bus is given.
type Deps struct {
	// Name of the service, shown by the server's monitoring and part of the
	// prefix of reply subjects (_INBOX_<name>), which permissions name.
	Name string
	// Log takes connection changes and failures of messages.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// InProcess connects to an embedded server; nil dials Config.URL.
	InProcess nats.InProcessConnProvider
}

// Bus is one connection to NATS. It is safe for concurrent use.
type Bus struct {
	cfg Config
	log *slog.Logger
	nc  *nats.Conn
	js  jetstream.JetStream
	m   *metrics

	taskAge  string    // as a header of messages
	buffers  sync.Pool // of *[]byte, for marshalling
	turns    turns
	sessions sessions
}

// Connect dials the server and waits until it answers, at most
// Config.ConnectTimeout or until ctx ends; the error names the URL and says what
// to do. Once connected the bus reconnects for ever by itself. The caller closes
// the bus.
func Connect(ctx context.Context, cfg Config, deps Deps) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	b := &Bus{cfg: cfg, log: deps.Log.With("component", "bus"), m: newMetrics(deps.Registry)}
	b.taskAge = strconv.FormatInt(int64(cfg.Tasks.Age.Seconds()), 10)
	opts := append(b.options(deps), connectOptions(cfg)...)
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	for n := 0; ; n++ {
		nc, err := nats.Connect(cfg.URL, opts...)
		if err == nil {
			b.nc = nc
			break
		}
		if permanent(err) || !sleep(ctx, connectBackoff.Delay(n, random)) {
			return nil, crawl.Errorf(crawl.Unavailable,
				"connect to NATS at %s: %w; is nats-server running there with JetStream (-js)? Set --nats.url or WEIR_NATS_URL", cfg.URL, err)
		}
	}
	js, err := jetstream.New(b.nc,
		jetstream.WithPublishAsyncMaxPending(cfg.PublishInFlight),
		jetstream.WithPublishAsyncTimeout(cfg.PublishTimeout),
		jetstream.WithDefaultTimeout(cfg.ConnectTimeout))
	if err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("set up JetStream: %w", err)
	}
	b.js = js
	return b, nil
}

// permanent reports errors of connecting that waiting does not mend.
func permanent(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrSecureConnRequired) || errors.Is(err, nats.ErrSecureConnWanted)
}

// options are those that log and that tie the connection to the deps.
func (b *Bus) options(deps Deps) []nats.Option {
	opts := []nats.Option{
		nats.Name("weir " + deps.Name),
		nats.CustomInboxPrefix("_INBOX_" + token(deps.Name)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 250*time.Millisecond),
		nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(20 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.m.connected.Set(0)
			if err != nil {
				b.log.Warn("lost the connection to NATS, reconnecting", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.m.connected.Set(1)
			b.log.Info("reconnected to NATS", "url", nc.ConnectedUrlRedacted())
		}),
		nats.ConnectHandler(func(*nats.Conn) { b.m.connected.Set(1) }),
		// A forbidden publish shows only here: the publisher sees a time-out.
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			b.log.Warn("NATS reports an error", "subject", subject, "err", err)
		}),
	}
	if deps.InProcess != nil {
		opts = append(opts, nats.InProcessServer(deps.InProcess))
	}
	return opts
}

// connectOptions are those that come from the configuration.
func connectOptions(cfg Config) []nats.Option {
	var opts []nats.Option
	if cfg.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	}
	if cfg.TLSCA != "" {
		opts = append(opts, nats.RootCAs(cfg.TLSCA))
	}
	if cfg.TLSCert != "" {
		opts = append(opts, nats.ClientCert(cfg.TLSCert, cfg.TLSKey))
	}
	return opts
}

// token makes s one token of a subject.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '*' || r == '>' || r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, s)
}

// Close ends the connection at once. Consume and its relatives must have
// returned before; messages still to be acked are delivered again.
func (b *Bus) Close() {
	// What acks were sent last must leave the buffer; a server that is away
	// cannot take them anyway.
	if b.nc.IsConnected() {
		_ = b.nc.FlushTimeout(2 * time.Second)
	}
	b.nc.Close()
}

// MaxPayload returns the largest message that the server takes, in bytes,
// headers included.
func (b *Bus) MaxPayload() int { return int(b.nc.MaxPayload()) }

// Healthy returns nil while the connection is up, otherwise an error of kind
// Unavailable for readiness probes.
func (b *Bus) Healthy() error {
	if s := b.nc.Status(); s != nats.CONNECTED {
		return crawl.Errorf(crawl.Unavailable, "NATS at %s is %s", b.cfg.URL, strings.ToLower(s.String()))
	}
	return nil
}

// Reconnected calls h each time that the server has come back, until ctx ends; then
// it returns nil. While h fails it is called again with back-off.
func (b *Bus) Reconnected(ctx context.Context, h func(context.Context) error) error {
	status := b.nc.StatusChanged(nats.CONNECTED)
	defer b.nc.RemoveStatusListener(status)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-status:
		}
		for n := 0; ; n++ {
			err := h(ctx)
			if err == nil {
				break
			}
			if n == 2 {
				b.log.Warn("the server is back, but not all of it", "err", err)
			}
			if !sleep(ctx, retryBackoff.Delay(n, random)) {
				return nil
			}
		}
	}
}
