// Package embednats runs a NATS server with JetStream inside the process: the
// bus of the all-in-one mode and of tests.
package embednats

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config of an embedded server.
type Config struct {
	// Dir holds the streams. One server at a time may use it.
	Dir string
	// SyncInterval is how often files are synced to the disk; default 1 s. The
	// frontier is the truth: what a power failure loses here is done again.
	SyncInterval time.Duration
	// MaxStore bounds the disk space of all streams together, in bytes. Default
	// 1 TiB, for the streams have their own bounds.
	MaxStore int64
	// MaxPayload is the largest message in bytes; default 1 MiB.
	MaxPayload int32
	// Log takes the server's warnings and errors; nil drops them.
	Log *slog.Logger
}

// Server is a running server. It opens no port: connect with it as
// bus.Deps.InProcess.
type Server struct {
	ns *server.Server
}

// Start starts a server and waits until it takes connections.
func Start(cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded NATS: no directory")
	}
	if cfg.SyncInterval <= 0 {
		cfg.SyncInterval = time.Second
	}
	if cfg.MaxStore <= 0 {
		cfg.MaxStore = 1 << 40
	}
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = 1 << 20
	}
	ns, err := server.NewServer(&server.Options{
		ServerName:         "weir-embedded",
		DontListen:         true,
		JetStream:          true,
		StoreDir:           cfg.Dir,
		SyncInterval:       cfg.SyncInterval,
		JetStreamMaxStore:  cfg.MaxStore,
		JetStreamMaxMemory: 1 << 30, // a bound: only the tasks are in memory, which have their own
		MaxPayload:         cfg.MaxPayload,
		NoSigs:             true, // signals belong to the process
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS in %s: %w", cfg.Dir, err)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &logger{log: log.With("component", "nats-server")}
	ns.SetLogger(l, false, false)
	ns.Start() // reads the streams; gives up with a fatal line
	if why := l.fatal.Load(); why != nil {
		ns.Shutdown()
		return nil, fmt.Errorf("embedded NATS in %s: %s", cfg.Dir, *why)
	}
	if !ns.ReadyForConnections(30 * time.Second) {
		ns.Shutdown()
		return nil, fmt.Errorf("embedded NATS in %s: not ready within 30s; is the directory in use or the disk full?", cfg.Dir)
	}
	if !ns.JetStreamEnabled() {
		ns.Shutdown()
		return nil, fmt.Errorf("embedded NATS in %s: JetStream could not start; is the directory writable?", cfg.Dir)
	}
	return &Server{ns: ns}, nil
}

// InProcessConn opens a connection; nats.go calls it.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// Clients returns the number of open connections.
func (s *Server) Clients() int { return s.ns.NumClients() }

// Shutdown stops the server and waits until its files are closed. Close the
// connections first. It may be called more than once.
func (s *Server) Shutdown() {
	// With its streams closed first there are no pulls that the server tells of its end,
	// for which it would wait 50 ms: who pulled is gone.
	_ = s.ns.DisableJetStream() // fails when it is down
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// logger passes the server's lines on; it speaks printf.
type logger struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
}

// Noticef drops: the server greets at length.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }

// Warnf passes on.
func (l *logger) Warnf(format string, v ...any) { l.log.Warn(line(format, v)) }

// Fatalf passes on and keeps: the server returns instead of ending the process.
func (l *logger) Fatalf(format string, v ...any) {
	why := line(format, v)
	l.fatal.Store(&why)
	l.log.Error(why)
}

// Errorf passes on.
func (l *logger) Errorf(format string, v ...any) { l.log.Error(line(format, v)) }

// Debugf drops.
func (*logger) Debugf(string, ...any) {}

// Tracef drops.
func (*logger) Tracef(string, ...any) {}

func line(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }
