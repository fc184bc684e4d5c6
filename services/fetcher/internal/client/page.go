package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"

	"github.com/weircrawl/weir/internal/weburl"
)

// DialFor returns how what a page asks for is connected to: as the page itself was,
// under the same guard and through the same proxy. The page is that of an exchange
// with opts.
func (c *Client) DialFor(page weburl.URL, opts *Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	if opts.Proxies == nil {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			t, _ := c.transports.of(opts.Setup)
			return t.DialContext(ctx, network, address)
		}
	}
	via := &opts.Proxies.list[opts.Proxies.health.Pick(page.HostPort(), time.Now())]
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, c.transports.cfg.DialTimeout+c.transports.cfg.TLSTimeout)
		defer cancel()
		conn, err := c.through(ctx, via, opts.Setup, network, address)
		if err != nil {
			return nil, fmt.Errorf("proxy %s: %w", via.Name, err)
		}
		return conn, nil
	}
}

// through connects to a host by way of a proxy, after the host was looked at as
// checkTarget does.
func (c *Client) through(ctx context.Context, via *Proxy, s *Setup, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	t, g := c.transports.of(s)
	addrs, err := c.names.Addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if err := g.Check(a); err != nil {
			return nil, err
		}
	}
	// The dialler takes the proxy's gate for an exchange that has one.
	toProxy := func(ctx context.Context) (net.Conn, error) {
		ex := &exchange{Context: ctx, proxy: via}
		return t.DialContext(ex, network, hostPort(via.URL))
	}
	if via.URL.Scheme != "socks5" {
		return tunnel(ctx, via.URL, toProxy, address)
	}
	var auth *proxy.Auth
	if u := via.URL.User; u != nil {
		password, _ := u.Password()
		auth = &proxy.Auth{User: u.Username(), Password: password}
	}
	d, err := proxy.SOCKS5(network, hostPort(via.URL), auth, dialFunc(toProxy))
	if err != nil {
		return nil, err
	}
	return d.(proxy.ContextDialer).DialContext(ctx, network, address)
}

// tunnel asks an HTTP proxy to connect.
func tunnel(ctx context.Context, via *url.URL, dial func(context.Context) (net.Conn, error), address string) (_ net.Conn, err error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if via.Scheme == "https" {
		secured := tls.Client(conn, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if u := via.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &refused{status: resp.StatusCode}
	}
	if in.Buffered() > 0 {
		return &begun{Conn: conn, in: in}, nil
	}
	return conn, nil
}

// begun is a connection of which the beginning has been read already.
type begun struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) { return b.in.Read(p) }

// hostPort is the address of a proxy.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme])
}

// dialFunc dials one address, whatever it is asked for.
type dialFunc func(context.Context) (net.Conn, error)

// Dial implements proxy.Dialer.
func (f dialFunc) Dial(string, string) (net.Conn, error) { return f(context.Background()) }

// DialContext implements proxy.ContextDialer.
func (f dialFunc) DialContext(ctx context.Context, _, _ string) (net.Conn, error) { return f(ctx) }
