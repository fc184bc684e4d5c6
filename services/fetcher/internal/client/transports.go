package client

import (
	"container/list"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

// maxTransports bounds the setups with connections of their own; the one that was
// longest without an exchange goes first.
const maxTransports = 16

const (
	// pingAfter and pingTimeout find an HTTP/2 connection that died in silence, on
	// which all exchanges of a host would run into their deadlines.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second
)

// transports are those of the setups in use, with the usual one apart.
type transports struct {
	cfg   Config
	guard *guard.Guard
	names Names
	usual *http.Transport

	mu    sync.Mutex
	known map[[sha256.Size]byte]*list.Element
	order *list.List // of *keyed, the latest first
}

type keyed struct {
	key       [sha256.Size]byte
	transport *http.Transport
	guard     *guard.Guard
}

func newTransports(cfg Config, g *guard.Guard, names Names) *transports {
	t := &transports{cfg: cfg, guard: g, names: names, known: make(map[[sha256.Size]byte]*list.Element), order: list.New()}
	t.usual = t.make(nil, g)
	return t
}

// of returns the transport of a setup, and the guard that it dials under.
func (t *transports) of(s *Setup) (*http.Transport, *guard.Guard) {
	if s == nil {
		return t.usual, t.guard
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.known[s.key]; ok {
		t.order.MoveToFront(e)
		k := e.Value.(*keyed)
		return k.transport, k.guard
	}
	if t.order.Len() >= maxTransports {
		// Exchanges on it go on; their connections end with them.
		old := t.order.Remove(t.order.Back()).(*keyed)
		delete(t.known, old.key)
		old.transport.CloseIdleConnections()
	}
	k := &keyed{key: s.key, guard: t.guard}
	if s.narrow {
		k.guard = t.guard.Narrow(s.allow)
	}
	k.transport = t.make(s, k.guard)
	t.known[s.key] = t.order.PushFront(k)
	return k.transport, k.guard
}

func (t *transports) make(s *Setup, g *guard.Guard) *http.Transport {
	d := newDialer(g, t.guard, t.names, t.cfg.DialTimeout)
	tr := &http.Transport{
		DialContext:            d.dial,
		Proxy:                  proxyOf,
		OnProxyConnectResponse: connected,
		TLSClientConfig:        t.tlsConfig(s),
		TLSHandshakeTimeout:    t.cfg.TLSTimeout,
		ResponseHeaderTimeout:  t.cfg.HeaderTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           t.cfg.MaxIdle,
		MaxIdleConnsPerHost:    t.cfg.MaxIdlePerHost,
		IdleConnTimeout:        t.cfg.IdleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			// The default lets one stream send 4 MiB ahead of its reader, which
			// no account knows of.
			MaxReceiveBufferPerStream:     256 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
		},
	}
	return tr
}

func (t *transports) tlsConfig(s *Setup) *tls.Config {
	c := t.cfg.TLS
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c = c.Clone()
	// Crawls come back to the same hosts: a resumed session spares a round trip. It
	// would also spare the look at the certificate, so that setups share none.
	c.ClientSessionCache = tls.NewLRUClientSessionCache(512)
	if s != nil {
		s.tls(c)
	}
	return c
}

func (t *transports) closeIdle() {
	t.usual.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.order.Front(); e != nil; e = e.Next() {
		e.Value.(*keyed).transport.CloseIdleConnections()
	}
}

// proxyOf is the proxy that the exchange of a request has chosen.
func proxyOf(r *http.Request) (*url.URL, error) {
	if ex, ok := r.Context().Value(exchangeKey{}).(*exchange); ok && ex.proxy != nil {
		return ex.proxy.URL, nil
	}
	return nil, nil
}

// connected takes a proxy's answer to CONNECT.
func connected(ctx context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &refused{status: resp.StatusCode}
	}
	if ex, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		ex.at(stageTunnel)
	}
	return nil
}

// nextCertificate returns the next certificate of a PEM text, nil when there is none.
func nextCertificate(text []byte) (der, rest []byte) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, nil
		}
		if block.Type == "CERTIFICATE" {
			return block.Bytes, text
		}
	}
}
