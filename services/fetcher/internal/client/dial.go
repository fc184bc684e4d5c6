package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

const (
	// maxTries bounds the addresses of one name that are tried.
	maxTries = 6
	// stagger is the head start of one address over the next (RFC 8305).
	stagger = 250 * time.Millisecond
)

// Stages on the way to a connection.
const (
	stageNone      int32 = iota
	stageTarget          // the host is looked up and judged before a proxy is asked
	stageLookup          // the host, or the proxy, is looked up
	stageConnect         // and connected to
	stageConnected       // what follows is the handshake, or the proxy's answer
	stageTunnel          // the proxy has connected
	stageTLS             // the handshake with the host
)

// dialer looks a name up, keeps the addresses that the guard allows, and connects
// to the first that answers.
type dialer struct {
	direct, proxied gate
	names           Names
	timeout         time.Duration
}

// gate is a guard with a dialer that asks it a last time.
type gate struct {
	guard *guard.Guard
	net   net.Dialer
}

// newDialer makes a dialer that dials hosts under g. Proxies are the choice of
// whoever runs the crawl and not of a page, and may be where the operator allows.
func newDialer(g, operator *guard.Guard, names Names, timeout time.Duration) *dialer {
	d := &dialer{names: names, timeout: timeout, direct: gate{guard: g}, proxied: gate{guard: operator}}
	d.direct.net.Control = d.direct.control
	d.proxied.net.Control = d.proxied.control
	return d
}

// conn remembers its far end as text, which every exchange on it reports, and how
// it ended.
type conn struct {
	net.Conn
	remote string
	tail   atomic.Uint32 // the last byte read, and ended
	// asked is set when something is written, heard when something has been read since.
	asked, heard atomic.Bool
}

// rewind forgets what was written and read.
func (c *conn) rewind() {
	c.asked.Store(false)
	c.heard.Store(false)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.asked.Store(true)
	return c.Conn.Write(p)
}

// ended is set in tail when a read failed.
const ended = 1 << 8

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.tail.Store(uint32(p[n-1]))
		if c.asked.Load() {
			c.heard.Store(true)
		}
	}
	if err != nil {
		c.tail.Or(ended)
	}
	return n, err
}

// cutLine reports whether the connection ended in the middle of a line.
func (c *conn) cutLine() bool {
	t := c.tail.Load()
	return t&ended != 0 && byte(t) != '\n'
}

// spokeFirst reports whether the far end said something, and none of it after a word of
// ours.
func (c *conn) spokeFirst() bool { return c.tail.Load()&^ended != 0 && !c.heard.Load() }

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", service, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	ex, _ := ctx.Value(exchangeKey{}).(*exchange)
	to := &d.direct
	if ex != nil && ex.proxy != nil {
		to = &d.proxied
	}
	ex.at(stageLookup)
	begin := time.Now()
	addrs, err := d.names.Addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	addrs, err = to.allowed(addrs)
	if err != nil {
		return nil, err
	}
	found := time.Now()
	ex.at(stageConnect)
	ex.dialing(addrs[0], uint16(port))
	c, err := to.first(ctx, network, addrs, uint16(port))
	if err != nil {
		return nil, err
	}
	ex.at(stageConnected)
	ex.took(found.Sub(begin), time.Since(found))
	return &conn{Conn: c, remote: c.RemoteAddr().String()}, nil
}

// allowed returns the addresses that may be dialled, the families taking turns;
// the error of the first that may not when there is none.
func (g *gate) allowed(addrs []netip.Addr) ([]netip.Addr, error) {
	var denied error
	var families [2][]netip.Addr
	for _, a := range addrs {
		if err := g.guard.Check(a); err != nil {
			denied = cmpFirst(denied, err)
			continue
		}
		f := 0
		if a.Is4() != addrs[0].Is4() {
			f = 1
		}
		families[f] = append(families[f], a)
	}
	var out []netip.Addr
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) && len(out) < maxTries {
				out = append(out, f[i])
			}
		}
	}
	if len(out) == 0 {
		return nil, denied
	}
	return out, nil
}

func cmpFirst(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// control is the last gate, on the very address that the socket is about to
// connect to.
func (g *gate) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	return g.guard.Check(ap.Addr())
}

type dialed struct {
	conn net.Conn
	err  error
}

// first connects to the addresses in turn, each a little after the one before or
// as soon as that has failed, and returns the first connection.
func (g *gate) first(ctx context.Context, network string, addrs []netip.Addr, port uint16) (net.Conn, error) {
	if len(addrs) == 1 {
		return g.net.DialContext(ctx, network, netip.AddrPortFrom(addrs[0], port).String())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed) // unbuffered: every dial that was started is received below
	try := func(a netip.Addr) {
		c, err := g.net.DialContext(ctx, network, netip.AddrPortFrom(a, port).String())
		results <- dialed{c, err}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var won net.Conn
	var errs []error
	for started, running := 0, 0; started < len(addrs) || running > 0; {
		next := timer.C
		if started == len(addrs) {
			next = nil
		}
		select {
		case <-next:
			go try(addrs[started])
			started, running = started+1, running+1
			timer.Reset(stagger)
		case r := <-results:
			running--
			if r.err != nil {
				errs = append(errs, r.err)
				timer.Reset(0)
				continue
			}
			if won != nil {
				_ = r.conn.Close() // came second
				continue
			}
			// Cancel the others, and go on until each has answered.
			won, started = r.conn, len(addrs)
			cancel()
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, errors.Join(errs...)
}

// at notes how far the dial is; ex is nil when the connection is for nobody.
func (ex *exchange) at(stage int32) {
	if ex != nil {
		ex.stage.Store(stage)
	}
}

// took notes how long look-up and connecting took.
func (ex *exchange) took(dns, connect time.Duration) {
	if ex != nil {
		if ex.proxy == nil {
			ex.tm.dns.Store(int64(dns))
		}
		ex.tm.connect.Store(int64(connect))
	}
}

func (ex *exchange) dialing(a netip.Addr, port uint16) {
	if ex != nil {
		s := netip.AddrPortFrom(a, port).String()
		ex.dialed.Store(&s)
	}
}
