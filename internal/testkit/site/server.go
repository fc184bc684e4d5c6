package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a running site. All its methods are safe for concurrent use.
type Server struct {
	cfg       Config
	hosts     []string // host:port, by number
	graph     *graph
	accounts  []*account
	behaviour atomic.Pointer[Behaviour]

	servers []*http.Server
	control string
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// Start serves a site until Close is called.
func Start(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	listeners, err := listen(cfg)
	if err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	s := &Server{cfg: cfg}
	requests := new(atomic.Uint64)
	for i, l := range listeners {
		name := l.Addr().String()
		if len(cfg.Names) > 0 {
			name = cfg.Names[i]
		}
		s.hosts = append(s.hosts, name)
		s.accounts = append(s.accounts, newAccount(name, requests))
	}
	s.graph = newGraph(cfg, s.hosts)
	s.Set(cfg.Behaviour)
	control, err := net.Listen("tcp", cfg.ControlAddr)
	if err != nil {
		closeAll(listeners)
		return nil, fmt.Errorf("site: control address: %w", err)
	}
	s.control = "http://" + control.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for i, l := range listeners {
		h, err := s.newHost(i)
		if err != nil {
			closeAll(listeners)
			_ = control.Close()
			cancel()
			s.wg.Wait()
			return nil, fmt.Errorf("site: %w", err)
		}
		s.serve(ctx, l, h)
	}
	s.serve(ctx, control, s.controlHandler())
	return s, nil
}

// serve runs one listener until Close.
func (s *Server) serve(ctx context.Context, l net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.servers = append(s.servers, srv)
	s.wg.Go(func() {
		// Serve always ends with an error; that of a closed server is the expected one,
		// and any other shows as refused connections in the test that uses the site.
		_ = srv.Serve(l)
	})
}

// Close stops the site, cutting exchanges short, and waits until all is stopped.
func (s *Server) Close() error {
	s.cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Close())
	}
	s.wg.Wait()
	return errors.Join(errs...)
}

// Hosts returns the hosts as host:port or by their names, by number.
func (s *Server) Hosts() []string { return append([]string(nil), s.hosts...) }

// Seeds returns the URL of every host's root.
func (s *Server) Seeds() []string {
	out := make([]string, len(s.hosts))
	for i, h := range s.hosts {
		out[i] = "http://" + h + "/"
	}
	return out
}

// URLs returns the URL of every page of the graph, without Extra.
func (s *Server) URLs() []string {
	out := make([]string, 0, len(s.hosts)*s.cfg.Pages)
	for _, h := range s.hosts {
		for i := range s.cfg.Pages {
			out = append(out, "http://"+h+pagePath(i))
		}
	}
	return out
}

// Title returns the title of the page at a path of a host ("" when it is not a
// page of the graph).
func (s *Server) Title(host int, path string) string {
	i, ok := s.graph.pageNumber(path)
	if !ok {
		return ""
	}
	return s.graph.title(host, i)
}

// ControlURL is where Control talks to the site.
func (s *Server) ControlURL() string { return s.control }

// Set replaces the behaviour of all hosts.
func (s *Server) Set(b Behaviour) { s.behaviour.Store(&b) }

// Stats returns what clients did since the start or the last Reset.
func (s *Server) Stats() Stats {
	var out Stats
	for _, a := range s.accounts {
		out.Hosts = append(out.Hosts, a.snapshot())
	}
	return out
}

// Reset forgets what clients did.
func (s *Server) Reset() {
	for _, a := range s.accounts {
		a.reset()
	}
}

// listen opens every host on one port. With a port of our own choice another
// process may hold it on one of the addresses, so a few are tried.
func listen(cfg Config) ([]net.Listener, error) {
	const tries = 20
	var err error
	for range tries {
		var out []net.Listener
		if out, err = listenOn(cfg, cfg.Port); err == nil {
			return out, nil
		}
		if cfg.Port != 0 {
			break
		}
	}
	return nil, err
}

func listenOn(cfg Config, port int) ([]net.Listener, error) {
	if len(cfg.Names) > 0 {
		return listenEverywhere(port, len(cfg.Names))
	}
	addr, err := netip.ParseAddr(cfg.FirstAddr)
	if err != nil {
		return nil, err
	}
	var out []net.Listener
	for range cfg.Hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(addr.String(), strconv.Itoa(port)))
		if err != nil {
			closeAll(out)
			return nil, err
		}
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			port = tcp.Port
		}
		out = append(out, l)
		addr = addr.Next()
	}
	return out, nil
}

// listenEverywhere opens n ports of every address, beginning with one.
func listenEverywhere(port, n int) ([]net.Listener, error) {
	var out []net.Listener
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port+i)))
		if err != nil {
			closeAll(out)
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		_ = l.Close() // nothing was written to it
	}
}
