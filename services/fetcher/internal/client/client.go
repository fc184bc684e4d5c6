// Package client does one HTTP exchange under hard limits and says how it went.
//
// Whatever the site does (stalls, drips, floods, lies about lengths, sends a bomb
// or rubbish) the exchange ends by one absolute deadline that covers the look-up,
// the connection, TLS, headers and body, holds a bounded amount of memory, and has
// an outcome of a closed set of classes. Redirects are not followed: they are an
// outcome.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/crew"
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
	// maxEarly is how often an exchange may begin again because of what its connection
	// held before the question.
	maxEarly = 2
)

// errDeadline is the cause of a context that ended by the exchange's own deadline.
var errDeadline = errors.New("deadline of the exchange")

// errEarly: what came is not the answer to the request.
var errEarly = errors.New("the server had said more than its last answer")

// Config of a client.
type Config struct {
	// DialTimeout bounds connecting, TLSTimeout the handshake, both inside the
	// deadline of the exchange.
	DialTimeout, TLSTimeout time.Duration
	// HeaderTimeout bounds the wait from the request to the response's header; 0 leaves
	// it to the deadline of the exchange.
	HeaderTimeout time.Duration
	// SpeedWindow is the time over which Options.MinSpeed counts. Default: 10s.
	SpeedWindow time.Duration
	// MaxIdle is the most idle connections kept, MaxIdlePerHost those to one host.
	MaxIdle, MaxIdlePerHost int
	// IdleTimeout ends an idle connection.
	IdleTimeout time.Duration
	// Fresh is called with every short body that came whole, see body.Reader. Nil for
	// nobody.
	Fresh func(sum [sha256.Size]byte, data []byte)
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
	transports *transports
	window     time.Duration
	names      Names
	inflate    inflate.Pools
	body       body.Reader
	conns      Conns
}

// Conns counts the connections that exchanges ran on.
type Conns struct {
	// Fresh were made for the exchange, Reused were idle before.
	Fresh, Reused atomic.Int64
}

// New makes a client that dials what g allows, at addresses that names gives.
func New(cfg Config, g *guard.Guard, names Names) *Client {
	window := cfg.SpeedWindow
	if window <= 0 {
		window = 10 * time.Second
	}
	return &Client{names: names, window: window, transports: newTransports(cfg, g, names), body: body.Reader{Fresh: cfg.Fresh, Packers: crew.New(runtime.GOMAXPROCS(0))}}
}

// Conns returns the counters of connections.
func (c *Client) Conns() *Conns { return &c.conns }

// Close ends idle connections and look-ups. Exchanges must be over.
func (c *Client) Close() {
	c.body.Packers.Close()
	c.transports.closeIdle()
	c.names.Close()
}

// Options are what one crawl asks for. Immutable once used.
type Options struct {
	// Method of the request; empty stands for GET.
	Method string
	// Body of the request.
	Body []byte
	// Header of the request. Host and Content-Length are not among them.
	Header http.Header
	// Conditional: the header asks for the page only if it changed, so that 304 is
	// an answer.
	Conditional bool
	// Timeout of the whole exchange.
	Timeout time.Duration
	// MaxBody is the longest body after decoding; a longer one is cut.
	MaxBody int64
	// MinSpeed is the least speed of a body as it comes, in bytes a second over
	// Config.SpeedWindow; 0 for no bound.
	MinSpeed int64
	// Canon makes the canonical form of redirect targets.
	Canon *weburl.Canonicalizer
	// Setup is shared by the exchanges that may share connections; nil for the usual.
	Setup *Setup
	// Proxies to go through; nil for none.
	Proxies *Proxies
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
	// WireSize is the length of the body as it came, codings included.
	WireSize int64
	// Timings of the steps.
	Timings Timings
}

// Timings say how long the steps of an exchange took; 0 for those that it had not.
type Timings struct {
	// DNS, Connect and TLS are those of a connection made for the exchange. Through a
	// proxy, Connect is to the proxy, and TLS to the host.
	DNS, Connect, TLS time.Duration
	// FirstByte counts from the connection to the first byte of the response.
	FirstByte time.Duration
	// Body is the rest of the response.
	Body time.Duration
	// Reused: the connection was there before.
	Reused bool
}

// Do does the exchange and never takes longer than opts.Timeout. What the site
// does wrong is in the result; the error is that ctx ended. The account is the
// caller's to close, after it has done with the body.
func (c *Client) Do(ctx context.Context, u weburl.URL, opts *Options, acc *budget.Account) (Result, error) {
	ex := &exchange{url: u, opts: opts, acc: acc, conns: &c.conns}
	ex.res.Start = time.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, opts.Timeout, errDeadline)
	defer cancel()
	ex.Context, ex.cancel = bounded, cancel
	ex.choose()
	resp, err := c.roundTrip(ex)
	for n := 0; n < maxEarly && err != nil && ex.mayBeginAgain(err); n++ {
		resp, err = c.roundTrip(ex)
	}
	if err != nil {
		ex.fail(ex.classify(err))
	} else {
		header := time.Now()
		c.receive(ex, resp)
		ex.res.Timings.Body = time.Since(header)
	}
	ex.res.Duration = time.Since(ex.res.Start)
	if ctx.Err() != nil && ex.res.Class != crawl.ClassNone {
		return Result{}, fmt.Errorf("fetch %s: %w", u, context.Cause(ctx))
	}
	ex.res.RemoteAddr = ex.remote()
	ex.timings()
	return ex.res, nil
}

// roundTrip sends the request and returns the response with its body still to come.
func (c *Client) roundTrip(ex *exchange) (*http.Response, error) {
	transport, g := c.transports.of(ex.opts.Setup)
	if ex.proxy != nil {
		if err := ex.checkTarget(c.names, g); err != nil {
			return nil, err
		}
	}
	ex.watch()
	r := &http.Request{
		Method:     cmp.Or(ex.opts.Method, http.MethodGet),
		URL:        requestURL(ex.url, ex.proxy != nil && ex.proxy.URL.Scheme != "socks5"),
		Header:     ex.opts.Header,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
	}
	if b := ex.opts.Body; len(b) > 0 {
		r.ContentLength = int64(len(b))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		r.Body, _ = r.GetBody()
	} else if r.Method == http.MethodPost {
		r.Body = http.NoBody // says so: Content-Length: 0
	}
	resp, err := transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(ex, &ex.trace)))
	// Exchanges share a connection of HTTP/2, where each answer has its question's number.
	if err == nil && resp.ProtoMajor == 1 && ex.early.Load() {
		_ = resp.Body.Close() // and the connection with it
		return nil, errEarly
	}
	if err == nil && ex.proxy != nil {
		ex.opts.Proxies.health.Worked(ex.chosen)
	}
	return resp, err
}

// requestURL makes the transport send the canonical URL byte for byte: net/url
// would refuse or rewrite some of what the web has. A proxy that is asked for the
// page itself gets the absolute form; for one that only connects it is the server's.
func requestURL(u weburl.URL, proxied bool) *url.URL {
	if proxied && u.Scheme() == "http" {
		return &url.URL{Scheme: u.Scheme(), Host: u.HostPort(), Opaque: "//" + u.HostPort() + u.PathQuery()}
	}
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
