package forward

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrSpent: the page has received as much as it may.
var ErrSpent = errors.New("the page has received as many bytes as it may")

// errOver is the cause of what ends with its page.
var errOver = errors.New("the page is over")

// Pass lets one page through the proxy. Safe for concurrent use.
type Pass struct {
	proxy          *Proxy
	dial           Dial
	user, password string
	through        httputil.ReverseProxy
	life           context.Context
	end            context.CancelCauseFunc
	left           atomic.Int64
	received       atomic.Int64
	refused        atomic.Int64

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
	wg     sync.WaitGroup // requests that are under way
}

// Credentials are what the browser shows for the page's requests.
func (p *Pass) Credentials() (user, password string) { return p.user, p.password }

// Received counts the bytes that came for the page, headers and TLS included.
func (p *Pass) Received() int64 { return p.received.Load() }

// Refused counts the connections that could not be made, denied ones among them.
func (p *Pass) Refused() int64 { return p.refused.Load() }

// Spent reports whether the page has received as much as it may.
func (p *Pass) Spent() bool { return p.left.Load() <= 0 }

// Close ends what goes through the pass and waits for it. Closing again does nothing.
func (p *Pass) Close() {
	p.proxy.mu.Lock()
	delete(p.proxy.passes, p.user)
	p.proxy.mu.Unlock()
	p.end(errOver)
	p.mu.Lock()
	p.closed = true
	open := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	p.wg.Wait()
	if t, ok := p.through.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// enter begins a request, unless the pass is closed.
func (p *Pass) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	return true
}

// connect dials for the page. The connection ends with the pass.
func (p *Pass) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if p.Spent() {
		p.refused.Add(1)
		return nil, ErrSpent
	}
	c, err := p.dial(ctx, network, address)
	if err != nil {
		p.refused.Add(1)
		return nil, err
	}
	own := &counted{Conn: c, pass: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return nil, errOver
	}
	p.open[own] = struct{}{}
	return own, nil
}

// tunnel connects the browser to a host for as long as both like.
func (p *Pass) tunnel(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(context.Cause(p.life)) })()
	far, err := p.connect(ctx, "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer near.Close()
	// The end of the pass closes both, and with them the copying.
	defer context.AfterFunc(p.life, func() { _ = near.Close() })()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(far, buffered)
		closeWrite(far)
	})
	_, _ = io.Copy(near, far)
	_ = near.Close()
	_ = far.Close()
	wg.Wait()
}

// closeWrite tells the far end that nothing more comes.
func closeWrite(c net.Conn) {
	if own, ok := c.(*counted); ok {
		c = own.Conn
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// counted is a connection of a page.
type counted struct {
	net.Conn
	pass *Pass
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	if c.pass.Spent() {
		return 0, ErrSpent
	}
	n, err := c.Conn.Read(b)
	c.pass.received.Add(int64(n))
	c.pass.left.Add(-int64(n))
	return n, err
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.pass.mu.Lock()
	delete(c.pass.open, c)
	c.pass.mu.Unlock()
	return c.Conn.Close()
}
