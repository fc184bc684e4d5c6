package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"syscall"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/vacant"
)

// port is a host of its own, whose trouble begins before there is a request.
type port struct {
	name, scheme string
	want         Want
	serve        func(s *Server, c net.Conn)
}

func portList(cert tls.Certificate) []port {
	tlsFailed := Want{Class: crawl.ClassTLS, Detail: "TLS"}
	tlsSlow := tlsFailed
	tlsSlow.Slow = true
	raw := func(f serve) func(*Server, net.Conn) {
		return func(s *Server, c net.Conn) { f(&exchange{Conn: c, tcp: tcpOf(c), site: s, stop: s.stop}) }
	}
	// afterHello answers the client's first words.
	afterHello := func(f serve) func(*Server, net.Conn) {
		return func(s *Server, c net.Conn) { _, _ = c.Read(make([]byte, 4096)); raw(f)(s, c) }
	}
	return []port{
		{"accept-close", "http", Want{Class: crawl.ClassReset}, raw(send(""))},
		{"accept-reset", "http", Want{Class: crawl.ClassReset}, raw(sendReset(""))},
		{"accept-stall", "http", Want{Class: crawl.ClassTimeoutHeaders, Slow: true}, raw(sendStall(""))},
		{"speaks-first", "http", Want{Class: crawl.ClassBadResponse}, raw(sendStall("SSH-2.0-OpenSSH_9.6\r\n"))},
		{"tls-self-signed", "https", Want{Class: crawl.ClassTLS, Detail: "certificate"}, func(_ *Server, c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}).Handshake()
		}},
		{"tls-plain-port", "https", tlsFailed, afterHello(send("HTTP/1.1 400 Bad Request\r\n\r\n"))},
		{"tls-rubbish", "https", tlsFailed, afterHello(send("rubbish rubbish rubbish"))},
		{"tls-close", "https", tlsFailed, afterHello(send(""))},
		{"tls-reset", "https", tlsFailed, afterHello(sendReset(""))},
		{"tls-alert", "https", tlsFailed, afterHello(send("\x15\x03\x03\x00\x02\x02\x28"))},
		{"tls-stall", "https", tlsSlow, afterHello(sendStall(""))},
		{"tls-drip", "https", tlsSlow, afterHello(drip(50*time.Millisecond, "\x16\x03\x03\x40\x00", "\x02\x00\x3f\xfc"))},
		{"plain-tls-port", "http", Want{Class: crawl.ClassBadResponse}, afterHello(send("\x15\x03\x01\x00\x02\x02\x46"))},
	}
}

func tcpOf(c net.Conn) *net.TCPConn {
	tcp, _ := c.(*net.TCPConn)
	return tcp
}

// ports opens a host for each of portList, one that refuses and one that is full.
func (s *Server) ports(next func() string) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	for _, p := range portList(cert) {
		l, err := net.Listen("tcp", net.JoinHostPort(next(), "0"))
		if err != nil {
			return err
		}
		s.accept(l, func(c net.Conn) { p.serve(s, c) })
		s.target(p.name, p.scheme, l.Addr().String(), p.want)
	}
	refusing, err := vacant.Take(next())
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() { _ = refusing.Close() })
	s.target("refused", "http", refusing.Addr, Want{Class: crawl.ClassConnectRefused})
	addr, err := s.full(next())
	if err != nil {
		return err
	}
	s.target("full", "http", addr, Want{Class: crawl.ClassConnectTimeout, Slow: true})
	return nil
}

func (s *Server) target(name, scheme, addr string, w Want) {
	s.targets = append(s.targets, Target{Name: name, URL: scheme + "://" + addr + "/", Want: w})
}

// full listens with a backlog of nothing and fills it, so that who connects gets no
// answer at all.
func (s *Server) full(ip string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", err
	}
	s.closers = append(s.closers, func() { _ = l.Close() })
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return "", errNoTCP
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return "", err
	}
	var again error
	if err := raw.Control(func(fd uintptr) { again = syscall.Listen(int(fd), 0) }); err != nil || again != nil {
		return "", fmt.Errorf("backlog of %s: %w", ip, cmpErr(err, again))
	}
	for n := range 3 { // the kernel takes one or two more than asked
		limit := 200 * time.Millisecond
		if n == 0 {
			limit = time.Minute // there is room for it, however busy the machine is
		}
		c, err := net.DialTimeout("tcp", l.Addr().String(), limit)
		if n == 0 && err != nil {
			return "", err
		}
		if err != nil {
			break
		}
		s.closers = append(s.closers, func() { _ = c.Close() })
	}
	return l.Addr().String(), nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// selfSigned makes a certificate that nobody trusts.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key: %w", err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
