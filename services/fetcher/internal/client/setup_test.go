package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// pair makes a certificate and its key, in PEM form.
func pair(t testing.TB, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func TestSetups(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			_, _ = io.WriteString(w, "nobody")
			return
		}
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	cert, key := pair(t, "weir")
	other, _ := pair(t, "other")
	tests := []struct {
		name string
		cfg  client.SetupConfig
		want want
	}{
		{"usual", client.SetupConfig{}, want{class: crawl.ClassTLS, detail: "unknown authority (fetch.tls.ca"}},
		{"own authority", client.SetupConfig{Roots: ca}, want{status: 200, body: "nobody"}},
		{"another authority", client.SetupConfig{Roots: other}, want{class: crawl.ClassTLS, detail: "unknown authority"}},
		{"insecure", client.SetupConfig{Insecure: true}, want{status: 200, body: "nobody"}},
		{"client certificate", client.SetupConfig{Roots: other + ca, Cert: cert, Key: key}, want{status: 200, body: "weir"}},
	}
	b := setup(t, nil, local, "127.0.0.0/8")
	// One after the other on one client: connections of one setup must not serve the next.
	for range 2 {
		for _, tt := range tests {
			set, err := client.NewSetup(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			opts := options()
			opts.Setup = set
			t.Run(tt.name, func(t *testing.T) { check(t, b.do(t, s.URL, opts), tt.want) })
		}
	}
	if n := b.client.Conns().Fresh.Load(); n != 3 {
		t.Errorf("%d connections for three setups that got through, twice", n)
	}
	for name, cfg := range map[string]client.SetupConfig{
		"no PEM": {Roots: "ca.pem"}, "key of another": {Cert: other, Key: key}, "no key": {Cert: cert},
	} {
		if _, err := client.NewSetup(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// With TLS 1.3 the handshake is over for the client before the server has judged it.
func TestClientCertificateRequired(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, local, "127.0.0.0/8")
	set, err := client.NewSetup(client.SetupConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: version, MaxVersion: version}
		s.Config.ErrorLog = quiet()
		s.StartTLS()
		t.Cleanup(s.Close)
		opts := options()
		opts.Setup = set
		t.Run(name, func(t *testing.T) { check(t, b.do(t, s.URL, opts), want{class: crawl.ClassTLS}) })
	}
}

func TestSetupsAreBounded(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	t.Cleanup(s.Close)
	b := setup(t, nil, local, "127.0.0.0/8")
	ask := func(i int) {
		t.Helper()
		set, err := client.NewSetup(client.SetupConfig{Narrow: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/" + strconv.Itoa(8+i))}})
		if err != nil {
			t.Fatal(err)
		}
		opts := options()
		opts.Setup = set
		check(t, b.do(t, s.URL, opts), want{status: 200, body: "x"})
	}
	for i := range 24 {
		ask(i)
	}
	if !b.kept(func() { ask(23) }) {
		t.Error("the latest setup lost its connection")
	}
	before := b.client.Conns().Fresh.Load()
	ask(0)
	if n := b.client.Conns().Fresh.Load(); n != before+1 {
		t.Error("the oldest setup still had a connection")
	}
}

// TestCrawlsNetworks: a crawl narrows what the operator allows, and never widens it; and
// its exchanges do not run on connections of a crawl that may go further.
func TestCrawlsNetworks(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	t.Cleanup(s.Close)
	b := setup(t, nil, local, "127.0.0.0/8")
	check(t, b.do(t, s.URL, options()), want{status: 200, body: "x"})
	for allow, w := range map[string]want{
		"127.0.0.1/32": {status: 200, body: "x"},
		"0.0.0.0/0":    {status: 200, body: "x"},
		"10.0.0.0/8":   {class: crawl.ClassAddressDenied, detail: "127.0.0.1 is a loopback address that is not in the crawl's fetch.allow_nets"},
		"127.0.0.2/32": {class: crawl.ClassAddressDenied, detail: "fetch.allow_nets"},
	} {
		set, err := client.NewSetup(client.SetupConfig{Narrow: true, Allow: []netip.Prefix{netip.MustParsePrefix(allow)}})
		if err != nil {
			t.Fatal(err)
		}
		opts := options()
		opts.Setup = set
		t.Run(allow, func(t *testing.T) { check(t, b.do(t, s.URL, opts), w) })
	}
	wide, err := client.NewSetup(client.SetupConfig{Narrow: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	opts := options()
	opts.Setup = wide
	check(t, b.do(t, "http://10.0.0.1/", opts), want{class: crawl.ClassAddressDenied, detail: "allow it with --allow-net 10.0.0.0/8"})
}

// TestRebinding: an answer that changes from one look-up to the next, with no cache in
// between, meets the guard at every dial.
func TestRebinding(t *testing.T) {
	t.Parallel()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "outside")
	}))
	t.Cleanup(outside.Close)
	_, port, _ := net.SplitHostPort(outside.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	var reached, asked atomic.Int32
	inside := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })}}
	inside.Start()
	t.Cleanup(inside.Close)
	flip := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + asked.Add(1)%2)})}, nil
	}
	names := resolve.DefaultConfig()
	names.TTL = time.Nanosecond
	c := client.New(testConfig(), guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}), resolve.New(names, flip))
	t.Cleanup(c.Close)
	b := &bench{client: c, budget: newBudget(64 << 20)}
	denied := 0
	for range 6 {
		got := b.do(t, named(outside, "rebind.example"), options())
		switch {
		case got.Class == crawl.ClassAddressDenied && strings.Contains(got.Detail, "127.0.0.2 is a loopback address"):
			denied++
		case got.Class != crawl.ClassNone || text(t, got.Body) != "outside":
			t.Errorf("%s %s", got.Class, got.Detail)
		}
	}
	if reached.Load() > 0 || denied != 3 {
		t.Errorf("reached %d times, denied %d times of %d look-ups", reached.Load(), denied, asked.Load())
	}
}
