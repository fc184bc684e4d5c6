package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
	"github.com/weircrawl/weir/services/fetcher/internal/proxies"
)

// Proxy is one that exchanges may go through.
type Proxy struct {
	// URL has the scheme http, https or socks5, host and port, user and password.
	URL *url.URL
	// Name is what people are shown: the URL without user and password.
	Name string
}

// Proxies are those of a crawl and how they do. Safe for concurrent use; its hosts
// share it for as long as the crawl lasts.
type Proxies struct {
	list   []Proxy
	health *proxies.List
}

// NewProxies makes a list, of at least one proxy.
func NewProxies(list []Proxy) *Proxies {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name + " " + p.URL.User.Username()
	}
	return &Proxies{list: list, health: proxies.New(names)}
}

// refused is the error of a proxy that does not connect.
type refused struct{ status int }

// Error tells the status.
func (r *refused) Error() string { return "it answered CONNECT with " + statusLine(r.status) }

// choose takes the proxy of the exchange's host.
func (ex *exchange) choose() {
	p := ex.opts.Proxies
	if p == nil {
		return
	}
	ex.chosen = p.health.Pick(ex.url.HostPort(), ex.res.Start)
	ex.proxy = &p.list[ex.chosen]
}

// checkTarget refuses what a proxy would reach and we may not. The proxy looks names
// up itself, so we do before it. A name that we cannot look up is refused too: it may
// be one that only the proxy's own network knows.
func (ex *exchange) checkTarget(names Names, g *guard.Guard) error {
	ex.at(stageTarget)
	begin := time.Now()
	addrs, err := names.Addrs(ex, ex.url.Host())
	if err != nil {
		return err
	}
	ex.tm.dns.Store(int64(time.Since(begin)))
	for _, a := range addrs {
		if err := g.Check(a); err != nil {
			return err
		}
	}
	return nil
}

// proxyClass names the failure of the way to the proxy, or of the proxy's to the host;
// ok is false where it is the site's. It also notes how the proxy does.
func (ex *exchange) proxyClass(err error) (class crawl.Class, detail string, ok bool) {
	if ex.proxy == nil || ex.got.Load() != nil {
		return 0, "", false
	}
	stage := ex.stage.Load()
	if stage == stageTLS || stage == stageTarget {
		return 0, "", false
	}
	if d, is := errors.AsType[*guard.Denied](err); is {
		return crawl.ClassAddressDenied, fmt.Sprintf("proxy %s: %s", ex.proxy.Name, d), true
	}
	if ex.Err() != nil && context.Cause(ex) != errDeadline {
		return 0, "", false // the exchange was given up
	}
	health := ex.opts.Proxies.health
	if r, is := errors.AsType[*refused](err); is {
		if r.status == http.StatusProxyAuthRequired {
			health.Failed(ex.chosen, time.Now())
		}
		return crawl.ClassProxy, fmt.Sprintf("proxy %s: %s", ex.proxy.Name, err), true
	}
	if o, is := errors.AsType[*net.OpError](err); is && o.Op == "socks connect" && !isBroken(err) && ex.Err() == nil {
		// It speaks SOCKS and says that the host cannot be reached, or that we may not;
		// which of the two is only in the text.
		return crawl.ClassProxy, fmt.Sprintf("proxy %s: %v", ex.proxy.Name, o.Err), true
	}
	health.Failed(ex.chosen, time.Now())
	switch {
	case ex.Err() != nil && stage < stageConnected:
		return crawl.ClassProxy, fmt.Sprintf("proxy %s: no connection after %s", ex.proxy.Name, ex.opts.Timeout), true
	case ex.Err() != nil:
		return crawl.ClassProxy, fmt.Sprintf("proxy %s: no way to the host after %s", ex.proxy.Name, ex.opts.Timeout), true
	}
	return crawl.ClassProxy, fmt.Sprintf("proxy %s: %v", ex.proxy.Name, err), true
}
