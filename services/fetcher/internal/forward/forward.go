// Package forward is the one way to the network that the fetcher's browser has: an
// HTTP proxy on a loopback port, which dials as the fetcher itself does, so that no
// page, script or frame reaches what the guard denies.
//
// The proxy serves whoever has a pass, and each page has its own, with its own
// bounds. So nobody else on the machine can use it, a connection of one crawl is
// never used by another, and the end of a page is the end of its connections.
package forward

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// headerTime bounds the reading of a request's header.
	headerTime = 10 * time.Second
	// maxHeader bounds the headers of a request and of a response.
	maxHeader = 128 << 10
	// connsPerHost is what browsers allow themselves.
	connsPerHost = 6
)

// Dial connects to host:port; it judges the addresses that the host has.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Proxy is a running proxy. Safe for concurrent use.
type Proxy struct {
	addr   string
	server http.Server
	wg     sync.WaitGroup

	mu     sync.Mutex
	passes map[string]*Pass
	last   uint64
}

// Start starts a proxy on a free port of 127.0.0.1.
func Start() (*Proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy of the browser: %w", err)
	}
	p := &Proxy{addr: l.Addr().String(), passes: make(map[string]*Pass)}
	p.server = http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: headerTime, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	p.wg.Go(func() { _ = p.server.Serve(l) }) // always ends with ErrServerClosed
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.addr }

// Close ends the proxy and all that goes through it.
func (p *Proxy) Close() {
	_ = p.server.Close()
	p.mu.Lock()
	passes := slices.Collect(maps.Values(p.passes))
	p.mu.Unlock()
	for _, pass := range passes {
		pass.Close()
	}
	p.wg.Wait()
}

// Open makes a pass for one page, which may receive so many bytes; dial connects for
// it. It is the caller's to close.
func (p *Proxy) Open(dial Dial, maxBytes int64) *Pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	pass := &Pass{proxy: p, dial: dial, user: fmt.Sprintf("page-%d", p.last), password: rand.Text(), open: make(map[net.Conn]struct{})}
	pass.left.Store(maxBytes)
	pass.life, pass.end = context.WithCancelCause(context.Background())
	pass.through = httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.Out.Header["User-Agent"] = r.In.Header["User-Agent"] },
		ErrorLog: log.New(io.Discard, "", 0),
		Transport: &http.Transport{
			DialContext: pass.connect, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost: connsPerHost, IdleConnTimeout: 30 * time.Second,
		},
		// For the page it must be a failure of the network and no answer.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		// What the site sends in pieces the page gets in pieces.
		FlushInterval: -1,
	}
	p.passes[pass.user] = pass
	return pass
}

// serve takes one request of the browser.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	pass := p.passOf(r.Header.Get("Proxy-Authorization"))
	if pass == nil || !pass.enter() {
		w.Header().Set("Proxy-Authenticate", `Basic realm="weir"`)
		http.Error(w, "this proxy is for the fetcher's browser", http.StatusProxyAuthRequired)
		return
	}
	defer pass.wg.Done()
	switch {
	case r.Method == http.MethodConnect:
		pass.tunnel(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(pass.life, func() { cancel(context.Cause(pass.life)) })()
		pass.through.ServeHTTP(w, r.WithContext(ctx))
	default:
		http.Error(w, "a proxy takes absolute URLs of http, and CONNECT", http.StatusBadRequest)
	}
}

// passOf finds the pass of a Proxy-Authorization header.
func (p *Proxy) passOf(header string) *Pass {
	coded, ok := strings.CutPrefix(header, "Basic ")
	if !ok {
		return nil
	}
	plain, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return nil
	}
	user, password, _ := strings.Cut(string(plain), ":")
	p.mu.Lock()
	pass := p.passes[user]
	p.mu.Unlock()
	if pass == nil || subtle.ConstantTimeCompare([]byte(password), []byte(pass.password)) != 1 {
		return nil
	}
	return pass
}
