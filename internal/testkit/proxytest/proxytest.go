// Package proxytest runs real proxies for tests: one that speaks HTTP (CONNECT, and
// absolute URLs for plain http), also behind TLS, and one that speaks SOCKS5. They
// look names up themselves, with the function that they are given, and keep a log of
// what they were asked for.
package proxytest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// Config of a proxy.
type Config struct {
	// User and Password that it asks for; empty for none.
	User, Password string
	// TLS of an HTTP proxy's own port; nil for plain.
	TLS *tls.Config
	// Lookup gives the address of a name, without a port; nil: what is asked for is
	// dialled as it is.
	Lookup func(name string) string
	// Status that an HTTP proxy answers everything with, 0 for none. For SOCKS5, the
	// reply code.
	Status int
	// Stall reads the request and never answers.
	Stall bool
}

// Proxy is one that runs until the test ends. Safe for concurrent use.
type Proxy struct {
	// Addr is host:port.
	Addr string

	cfg  Config
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	asked []string
	conns map[net.Conn]struct{}
}

// HTTP starts a proxy that speaks HTTP.
func HTTP(t testing.TB, cfg Config) *Proxy { return start(t, cfg, (*Proxy).serveHTTP) }

// SOCKS5 starts a proxy that speaks SOCKS5.
func SOCKS5(t testing.TB, cfg Config) *Proxy { return start(t, cfg, (*Proxy).serveSOCKS) }

// Asked returns what the proxy was asked for so far: "CONNECT host:port", "GET URL".
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func (p *Proxy) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, what)
}

func start(t testing.TB, cfg Config, serve func(*Proxy, net.Conn)) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), cfg: cfg, stop: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
	}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() {
				defer p.keep(c)()
				serve(p, c)
			})
		}
	})
	t.Cleanup(func() {
		close(p.stop)
		_ = l.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// keep closes a connection at the end of the test, or when the returned function is
// called.
func (p *Proxy) keep(c net.Conn) (drop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stop: // it came when the others were being closed
		_ = c.Close()
	default:
		p.conns[c] = struct{}{}
	}
	return func() {
		_ = c.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}
}

// dial connects to what was asked for.
func (p *Proxy) dial(address string) (net.Conn, error) {
	if p.cfg.Lookup != nil {
		if host, port, err := net.SplitHostPort(address); err == nil {
			address = net.JoinHostPort(p.cfg.Lookup(host), port)
		}
	}
	return net.Dial("tcp", address)
}

// join copies both ways until one side ends.
func (p *Proxy) join(a net.Conn, fromA io.Reader, b net.Conn) {
	defer p.keep(b)()
	done := make(chan struct{})
	p.wg.Go(func() {
		defer close(done)
		_, _ = io.Copy(b, fromA)
		_ = b.Close()
	})
	_, _ = io.Copy(a, b)
	_ = a.Close()
	<-done
}

func (p *Proxy) serveHTTP(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Method == http.MethodConnect {
			p.note("CONNECT " + req.Host)
		} else {
			p.note(req.Method + " " + req.RequestURI)
		}
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.cfg.User+":"+p.cfg.Password))
		switch {
		case p.cfg.Stall:
			<-p.stop
			return
		case p.cfg.User != "" && req.Header.Get("Proxy-Authorization") != want:
			answer(c, http.StatusProxyAuthRequired)
			return
		case p.cfg.Status != 0:
			answer(c, p.cfg.Status)
			return
		}
		if req.Method == http.MethodConnect {
			p.tunnel(c, r, req.Host)
			return
		}
		if !p.forward(c, req) {
			return
		}
	}
}

func answer(c net.Conn, status int) {
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status))
}

func (p *Proxy) tunnel(c net.Conn, r io.Reader, host string) {
	up, err := p.dial(host)
	if err != nil {
		answer(c, http.StatusBadGateway)
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	p.join(c, r, up)
}

// forward asks for a page of plain http.
func (p *Proxy) forward(c net.Conn, req *http.Request) bool {
	address := req.URL.Host
	if req.URL.Port() == "" {
		address = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	up, err := p.dial(address)
	if err != nil {
		answer(c, http.StatusBadGateway)
		return false
	}
	defer p.keep(up)()
	req.Header.Del("Proxy-Authorization")
	if req.Write(up) != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(up), req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.Write(c) == nil && !resp.Close
}

// serveSOCKS is RFC 1928 with the passwords of RFC 1929.
func (p *Proxy) serveSOCKS(c net.Conn) {
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil || head[0] != 5 {
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(head[1])); err != nil {
		return
	}
	if p.cfg.Stall {
		<-p.stop
		return
	}
	if p.cfg.User == "" {
		_, _ = c.Write([]byte{5, 0})
	} else if !p.password(c) {
		return
	}
	address, ok := readTarget(c)
	if !ok {
		return
	}
	p.note("CONNECT " + address)
	if p.cfg.Status != 0 {
		_, _ = c.Write([]byte{5, byte(p.cfg.Status), 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	up, err := p.dial(address)
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0}) // connection refused
		return
	}
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	p.join(c, c, up)
}

func (p *Proxy) password(c net.Conn) bool {
	_, _ = c.Write([]byte{5, 2})
	var version [1]byte
	if _, err := io.ReadFull(c, version[:]); err != nil {
		return false
	}
	user, ok1 := readText(c)
	password, ok2 := readText(c)
	if !ok1 || !ok2 || user != p.cfg.User || password != p.cfg.Password {
		_, _ = c.Write([]byte{1, 1})
		return false
	}
	_, _ = c.Write([]byte{1, 0})
	return true
}

// readText reads a text after its length.
func readText(r io.Reader) (string, bool) {
	var n [1]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return "", false
	}
	b := make([]byte, n[0])
	_, err := io.ReadFull(r, b)
	return string(b), err == nil
}

// readTarget reads a request to connect.
func readTarget(r io.Reader) (address string, ok bool) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || head[1] != 1 {
		return "", false
	}
	host := ""
	switch head[3] {
	case 1, 4:
		b := make([]byte, map[byte]int{1: 4, 4: 16}[head[3]])
		if _, err := io.ReadFull(r, b); err != nil {
			return "", false
		}
		host = net.IP(b).String()
	case 3:
		if host, ok = readText(r); !ok {
			return "", false
		}
	}
	var port [2]byte
	if _, err := io.ReadFull(r, port[:]); err != nil {
		return "", false
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port[:])))), true
}
