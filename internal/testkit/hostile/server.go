package hostile

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// DefaultAddr is the first address of a site. It is far from those of package site,
// so that a crawl may be allowed the ones and not the others.
const DefaultAddr = "127.77.0.1"

// Net has all addresses of a site that begins at DefaultAddr.
const Net = "127.77.0.0/24"

// Target is a URL and what is to be made of it.
type Target struct {
	// Name of the behaviour: its path, or what its host does.
	Name string
	// URL to fetch.
	URL string
	// Want has absolute URLs.
	Want Want
}

// Server is a running site. Safe for concurrent use.
type Server struct {
	all     []behaviour
	main    string // host:port
	other   string
	targets []Target
	robots  []RobotsHost
	stop    chan struct{}
	closers []func()
	wg      sync.WaitGroup
	sent    atomic.Int64

	mu       sync.Mutex
	conns    map[net.Conn]bool // until the site ends
	requests map[string]int    // by host and path
}

// Start serves a site until Close is called.
func Start() (*Server, error) {
	s := &Server{all: behaviours(), stop: make(chan struct{}), conns: map[net.Conn]bool{}, requests: map[string]int{}}
	addr := netip.MustParseAddr(DefaultAddr)
	next := func() string { a := addr; addr = addr.Next(); return a.String() }
	if err := s.listen(next); err != nil {
		s.Close()
		return nil, fmt.Errorf("hostile site: %w", err)
	}
	for _, b := range s.all {
		s.targets = append(s.targets, Target{Name: b.path, URL: "http://" + s.main + b.path, Want: s.absolute(b.want)})
	}
	return s, nil
}

// listen opens the main host, the one beside it, and the ports.
func (s *Server) listen(next func() string) error {
	for _, host := range []*string{&s.main, &s.other} {
		l, err := net.Listen("tcp", net.JoinHostPort(next(), "0"))
		if err != nil {
			return err
		}
		*host = l.Addr().String()
		s.accept(l, s.serve)
	}
	if err := s.ports(next); err != nil {
		return err
	}
	return s.robotsHosts(next)
}

// accept hands connections over until the site ends.
func (s *Server) accept(l net.Listener, serve func(net.Conn)) {
	s.closers = append(s.closers, func() { _ = l.Close() })
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !s.hold(c) {
				return
			}
			s.wg.Go(func() {
				defer s.drop(c)
				serve(c)
			})
		}
	})
}

// hold keeps a connection to be closed with the site, unless that has ended.
func (s *Server) hold(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stop:
		_ = c.Close()
		return false
	default:
		s.conns[c] = true
		return true
	}
}

func (s *Server) drop(c net.Conn) {
	_ = c.Close() // the client may have closed it
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// serve answers the requests of a connection to a host that has every behaviour.
func (s *Server) serve(c net.Conn) {
	s.converse(c, func(x *exchange) bool {
		b, known := find(s.all, x.path)
		if !known || b.path == "/" && x.path != "/" {
			return x.page("404 Not Found", pageOf("nothing here"))
		}
		return b.serve(x)
	})
}

// converse reads requests and has them answered until one of both has enough.
func (s *Server) converse(c net.Conn, answer serve) {
	host := c.LocalAddr().String()
	r := bufio.NewReader(c)
	for {
		path, cookie, err := readRequest(r)
		if err != nil {
			return
		}
		if !answer(&exchange{
			Conn: counted{c, &s.sent}, tcp: tcpOf(c), site: s, stop: s.stop,
			path: path, cookie: cookie, before: s.count(host + path),
		}) {
			return
		}
	}
}

// count notes a request and returns how many of its kind there were before.
func (s *Server) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.requests[what]
	s.requests[what] = n + 1
	return n
}

// counted adds up what is written.
type counted struct {
	net.Conn
	n *atomic.Int64
}

// Write implements io.Writer.
func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// Main is host:port of the host that has every behaviour as a path.
func (s *Server) Main() string { return s.main }

// Other is host:port of a host that has them too, and to which the main host leads.
func (s *Server) Other() string { return s.other }

// Root is the URL of the page that links to every target and, behind each, to a good
// page.
func (s *Server) Root() string { return "http://" + s.main + "/" }

// Targets are all behaviours.
func (s *Server) Targets() []Target { return s.targets }

// Good is the URL of a page of the main host with which nothing is wrong; its title
// is its path.
func (s *Server) Good(name string) string { return "http://" + s.main + "/good/" + name }

// Sent is how many bytes the hosts have sent so far.
func (s *Server) Sent() int64 { return s.sent.Load() }

// Requests is how often a path of the main host was asked for.
func (s *Server) Requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[s.main+path]
}

// absolute puts the host into what is wanted.
func (s *Server) absolute(w Want) Want {
	for _, p := range []*string{&w.Redirect, &w.Refresh} {
		for _, host := range []struct{ mark, name string }{{"//main", s.main}, {"//other", s.other}} {
			if rest, ok := strings.CutPrefix(*p, host.mark); ok {
				*p = "http://" + host.name + rest
			}
		}
		if strings.HasPrefix(*p, "/") {
			*p = "http://" + s.main + *p
		}
	}
	return w
}

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	close(s.stop)
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	for _, f := range s.closers {
		f()
	}
	s.wg.Wait()
}

var errNoTCP = errors.New("not a TCP listener")
