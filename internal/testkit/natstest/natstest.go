// Package natstest gives every test a NATS server of its own: in the process,
// with JetStream on a temporary directory, on a free loopback port, that can be
// stopped, killed and started again.
package natstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/embednats"
)

// Server is a NATS server under a test's control. Clients reach it through this
// type only, so their connections survive its restarts as those to a real
// address would.
type Server struct {
	tb  testing.TB
	lis net.Listener
	wg  sync.WaitGroup

	mu    sync.Mutex
	dir   string
	n     int // directories after the first, made by Kill and Lose
	ns    *embednats.Server
	conns map[net.Conn]struct{}
}

// errDown is what clients get while the server is down.
var errDown = errors.New("natstest: the server is down")

// Start starts a server and stops it when the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("natstest: %v", err)
	}
	s := &Server{tb: tb, lis: lis, dir: filepath.Join(tb.TempDir(), "js-0"), conns: make(map[net.Conn]struct{})}
	s.Restart()
	s.wg.Go(s.accept)
	tb.Cleanup(func() {
		_ = lis.Close()
		s.Stop()
		s.wg.Wait()
	})
	return s
}

// URL returns the address for clients in other processes, or without InProcess.
func (s *Server) URL() string { return "nats://" + s.lis.Addr().String() }

// InProcess returns the server for bus.Deps.InProcess.
func (s *Server) InProcess() *Server { return s }

// InProcessConn opens a connection; nats.go calls it.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ns == nil {
		return nil, errDown
	}
	c, err := s.ns.InProcessConn()
	if err != nil {
		return nil, err
	}
	s.conns[c] = struct{}{}
	return c, nil
}

// accept ties connections to the port to the server.
func (s *Server) accept() {
	for {
		out, err := s.lis.Accept()
		if err != nil {
			return
		}
		in, err := s.InProcessConn()
		if err != nil {
			_ = out.Close()
			continue
		}
		s.wg.Go(func() { pipe(out, in) })
		s.wg.Go(func() { pipe(in, out) })
	}
}

// pipe copies one way and then ends both.
func pipe(dst, src net.Conn) {
	_, _ = io.Copy(dst, src)
	_ = dst.Close()
	_ = src.Close()
}

// Restart starts the server again on what is on the disk; if it still runs it is
// stopped first.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, err := embednats.Start(embednats.Config{Dir: s.dir, MaxStore: 1 << 40})
	if err != nil {
		s.tb.Fatalf("natstest: %v", err)
	}
	s.ns = ns
}

// Stop stops the server gracefully; clients are cut off.
func (s *Server) Stop() { s.down(nil) }

// Kill stops the server as kill -9 would, as far as a server in the same process
// allows: clients are cut off first, the next start sees the files as they were
// at that moment, and nothing that a graceful stop writes.
func (s *Server) Kill() {
	s.tb.Helper()
	s.down(func() {
		s.n++
		dir := filepath.Join(s.tb.TempDir(), fmt.Sprintf("js-%d", s.n))
		if err := copyDir(dir, s.dir); err != nil {
			s.tb.Errorf("natstest: copy the store: %v", err)
		}
		s.dir = dir
	})
}

// Lose stops the server and loses all that it had on its disk.
func (s *Server) Lose() {
	s.tb.Helper()
	s.down(func() {
		s.n++
		s.dir = filepath.Join(s.tb.TempDir(), fmt.Sprintf("js-%d", s.n))
	})
}

// down cuts clients off, calls before and shuts the server down.
func (s *Server) down(before func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
	clear(s.conns)
	if s.ns == nil {
		return
	}
	if before != nil {
		before()
	}
	s.ns.Shutdown()
	s.ns = nil
}

// copyDir copies regular files while they may still be written to. A file that
// is removed meanwhile is left out.
func copyDir(dst, src string) error {
	return filepath.WalkDir(src, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	})
}

// Bus starts a server and returns a bus to it with the topology in place for one
// partition. Both end with the test.
func Bus(tb testing.TB) *bus.Bus {
	tb.Helper()
	return Start(tb).Bus(bus.EmbeddedConfig())
}

// Bus returns a bus to the server with the topology in place for one partition.
// It is closed when the test ends.
func (s *Server) Bus(cfg bus.Config) *bus.Bus {
	s.tb.Helper()
	b := s.Connect(cfg)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.EnsureTopology(ctx, 1); err != nil {
		s.tb.Fatalf("natstest: %v", err)
	}
	return b
}

// Connect returns a bus to the server without any topology. It is closed when
// the test ends.
func (s *Server) Connect(cfg bus.Config) *bus.Bus {
	s.tb.Helper()
	b, err := bus.Connect(context.Background(), cfg, bus.Deps{Name: "test", InProcess: s})
	if err != nil {
		s.tb.Fatalf("natstest: %v", err)
	}
	s.tb.Cleanup(b.Close)
	return b
}
