// Package client does one HTTP exchange under hard limits and says how it went.
//
// Whatever the site does (stalls, drips, floods, lies about lengths, sends a bomb
// or rubbish) the exchange ends by one absolute deadline that covers the look-up,
// the connection, TLS, headers and body, holds a bounded amount of memory, and has
// an outcome of a closed set of classes. Redirects are not followed: they are an
// outcome.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

// BaseWeight is the memory to open an exchange's account with: the read and write
// buffers of a connection, the header and the first piece of the body.
const BaseWeight = 32<<10 + body.BaseWeight

const (
	// maxHeader bounds the response's header; browsers stop at 256 KiB.
	maxHeader = 128 << 10
	// codedSlack is how much longer than the longest body its coded form may be:
	// codings may add a little, not make an endless stream of nothing.
	codedSlack = 1 << 20
	// maxDrain is read after a decoded body, so that its connection is kept.
	maxDrain = 4 << 10
)

// errDeadline is the cause of a context that ended by the exchange's own deadline.
var errDeadline = errors.New("deadline of the exchange")

// Config of a client.
type Config struct {
	// DialTimeout bounds connecting, TLSTimeout the handshake, both inside the
	// deadline of the exchange.
	DialTimeout, TLSTimeout time.Duration
	// MaxIdle is the most idle connections kept, MaxIdlePerHost those to one host.
	MaxIdle, MaxIdlePerHost int
	// IdleTimeout ends an idle connection.
	IdleTimeout time.Duration
	// TLS is the client's TLS configuration. Nil: the system's roots.
	TLS *tls.Config
}

// Names looks up host names; resolve.Cache does.
type Names interface {
	// Addrs returns the addresses of host, at least one without an error.
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	// Close ends look-ups and waits for them.
	Close()
}

// Client does exchanges. Safe for concurrent use.
type Client struct {
	transport *http.Transport
	names     Names
	inflate   inflate.Pools
	body      body.Reader
	conns     Conns
}

// Conns counts the connections that exchanges ran on.
type Conns struct {
	// Fresh were made for the exchange, Reused were idle before.
	Fresh, Reused atomic.Int64
}

// New makes a client that dials what g allows, at addresses that names gives.
func New(cfg Config, g *guard.Guard, names Names) *Client {
	d := &dialer{guard: g, names: names, timeout: cfg.DialTimeout}
	d.net.Control = d.control
	return &Client{
		names: names,
		transport: &http.Transport{
			DialContext:            d.dial,
			TLSClientConfig:        tlsConfig(cfg.TLS),
			TLSHandshakeTimeout:    cfg.TLSTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           cfg.MaxIdle,
			MaxIdleConnsPerHost:    cfg.MaxIdlePerHost,
			IdleConnTimeout:        cfg.IdleTimeout,
			MaxResponseHeaderBytes: maxHeader,
			// The default lets one stream send 4 MiB ahead of its reader, which
			// no account knows of.
			HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 256 << 10, MaxReceiveBufferPerConnection: 1 << 20},
		},
	}
}

func tlsConfig(c *tls.Config) *tls.Config {
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c = c.Clone()
	// Crawls come back to the same hosts: a resumed session spares a round trip.
	c.ClientSessionCache = tls.NewLRUClientSessionCache(512)
	return c
}

// Conns returns the counters of connections.
func (c *Client) Conns() *Conns { return &c.conns }

// Close ends idle connections and look-ups. Exchanges must be over.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.names.Close()
}

// Options are what one crawl asks for. Immutable once used.
type Options struct {
	// Header of the request. Host is not among them.
	Header http.Header
	// Conditional: the header asks for the page only if it changed, so that 304 is
	// an answer.
	Conditional bool
	// Timeout of the whole exchange.
	Timeout time.Duration
	// MaxBody is the longest body after decoding; a longer one is cut.
	MaxBody int64
	// Canon makes the canonical form of redirect targets.
	Canon *weburl.Canonicalizer
}

// Header is one field of a response.
type Header struct {
	// Name in canonical form.
	Name string
	// Value as sent, in whatever charset.
	Value string
}

// Result is the outcome of an exchange.
type Result struct {
	// Start of the exchange.
	Start time.Time
	// Duration of the exchange.
	Duration time.Duration
	// Status of the response, 0 without one.
	Status int
	// Class of the failure, ClassNone for a page or a redirect.
	Class crawl.Class
	// Detail is one line for people about the failure, or about a cut body.
	Detail string
	// Protocol of the response.
	Protocol string
	// Header of the response, sorted by name.
	Header []Header
	// RemoteAddr is the address and port that answered, or that would not.
	RemoteAddr string
	// Redirect is the target of a redirect, canonical.
	Redirect string
	// Truncated: the body is not whole.
	Truncated bool
	// RetryAfter is the wait that the site asked for.
	RetryAfter time.Duration
	// Body as far as it came.
	Body body.Body
}

// Do does the exchange and never takes longer than opts.Timeout. What the site
// does wrong is in the result; the error is that ctx ended. The account is the
// caller's to close, after it has done with the body.
func (c *Client) Do(ctx context.Context, u weburl.URL, opts *Options, acc *budget.Account) (Result, error) {
	ex := &exchange{url: u, opts: opts, acc: acc, conns: &c.conns}
	ex.res.Start = time.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, opts.Timeout, errDeadline)
	defer cancel()
	ex.Context = bounded
	ex.trace.GotConn = ex.gotConn
	r := &http.Request{
		Method:     http.MethodGet,
		URL:        requestURL(u),
		Header:     opts.Header,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
	}
	resp, err := c.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(ex, &ex.trace)))
	if err != nil {
		ex.fail(ex.classify(err))
	} else {
		c.receive(ex, resp)
	}
	ex.res.Duration = time.Since(ex.res.Start)
	if ctx.Err() != nil && ex.res.Class != crawl.ClassNone {
		return Result{}, fmt.Errorf("fetch %s: %w", u, context.Cause(ctx))
	}
	ex.res.RemoteAddr = ex.remote()
	return ex.res, nil
}

// requestURL makes the transport send the canonical URL byte for byte: net/url
// would refuse or rewrite some of what the web has.
func requestURL(u weburl.URL) *url.URL {
	out := &url.URL{Scheme: u.Scheme(), Host: u.HostPort(), Opaque: u.PathQuery()}
	if !strings.HasPrefix(out.Opaque, "//") {
		return out
	}
	// An opaque part that begins with // would be taken for a host.
	path, query, found := strings.Cut(out.Opaque, "?")
	out.Opaque, out.RawPath, out.RawQuery, out.ForceQuery = "", path, query, found && query == ""
	if plain, err := url.PathUnescape(path); err == nil {
		out.Path = plain
	}
	if out.EscapedPath() != path {
		// The absolute form is long-winded, but every server must take it.
		*out = url.URL{Scheme: out.Scheme, Host: out.Host, Opaque: "//" + out.Host + u.PathQuery()}
	}
	return out
}

// exchange is the state of one exchange. It is the context that its dial sees.
type exchange struct {
	context.Context
	url   weburl.URL
	opts  *Options
	acc   *budget.Account
	conns *Conns
	trace httptrace.ClientTrace
	res   Result

	// A dial may go on after the exchange has found an idle connection, so what it
	// writes is atomic and separate from what the connection says.
	stage  atomic.Int32
	dialed atomic.Pointer[string]
	got    atomic.Pointer[conn]
}

type exchangeKey struct{}

// Value implements context.Context.
func (ex *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return ex
	}
	return ex.Context.Value(key)
}

func (ex *exchange) gotConn(info httptrace.GotConnInfo) {
	if info.Reused {
		ex.conns.Reused.Add(1)
	} else {
		ex.conns.Fresh.Add(1)
	}
	nc := info.Conn
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if own, ok := nc.(*conn); ok {
		ex.got.Store(own)
	}
}

func (ex *exchange) remote() string {
	if c := ex.got.Load(); c != nil {
		return c.remote
	}
	if p := ex.dialed.Load(); p != nil {
		return *p
	}
	return ""
}

func (ex *exchange) grow(n int64) error { return ex.acc.Grow(ex, n) }

func (ex *exchange) fail(class crawl.Class, detail string) {
	ex.res.Class, ex.res.Detail = class, oneLine(detail)
}
