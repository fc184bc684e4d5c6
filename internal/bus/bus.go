// Package bus holds all JetStream knowledge: streams, subjects, consumers,
// publishing, consuming and what becomes of a message after its handler.
// Services see typed messages and the functions below, nothing of NATS.
//
// Delivery is at least once: every handler is idempotent.
//
// The parts, one file each:
//
//	connect     says who the user is and whom to believe
//	topology    declares streams, consumers and buckets
//	permissions says what the user of each service may do
//	refusal     tells those who wait that their user may not do so
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
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
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
	// Transient says that the server begins and ends with this process, which calls
	// ResetConsumers first. What that throws away is then kept in memory: the tasks, and
	// what consumers have delivered.
	Transient bool
}

// Bus is one connection to NATS. It is safe for concurrent use.
type Bus struct {
	cfg Config
	log *slog.Logger
	nc  *nats.Conn
	js  jetstream.JetStream
	m   *metrics

	taskAge    string // as a header of messages
	transient  bool   // see Deps
	gatherings gatherings
	buffers    sync.Pool    // of *[]byte, for marshalling
	spare      chan *[]byte // the same, for bundles
	turns      turns
	sessions   sessions
	refusals   *refusals
	// bound is set once it is known that the user may not declare the topology, asking
	// while that is found out.
	bound, asking atomic.Bool
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
	b := &Bus{cfg: cfg, transient: deps.Transient, log: deps.Log.With("component", "bus"), m: newMetrics(deps.Registry), refusals: newRefusals(), spare: make(chan *[]byte, spares)}
	b.taskAge = strconv.FormatInt(int64(cfg.Tasks.Age.Seconds()), 10)
	opts := b.options(deps)
	if deps.InProcess == nil {
		more, err := connectOptions(cfg, deps, b.log)
		if err != nil {
			return nil, err
		}
		opts = append(opts, more...)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	for n := 0; ; n++ {
		nc, err := nats.Connect(cfg.URL, opts...)
		if err == nil {
			b.nc = nc
			break
		}
		if permanent(err) || !sleep(ctx, connectBackoff.Delay(n, random)) {
			return nil, connectError(cfg, err)
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
		nats.CustomInboxPrefix(inboxPrefix + token(deps.Name)),
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
			b.log.Info("reconnected to NATS", "url", secret.Address(nc.ConnectedUrl()))
		}),
		nats.ConnectHandler(func(*nats.Conn) { b.m.connected.Set(1) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) { b.failed(s, err) }),
	}
	if deps.InProcess != nil {
		opts = append(opts, nats.InProcessServer(deps.InProcess))
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
		return crawl.Errorf(crawl.Unavailable, "NATS at %s is %s", secret.Address(b.cfg.URL), strings.ToLower(s.String()))
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
