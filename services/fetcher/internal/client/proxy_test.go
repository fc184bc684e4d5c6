package client_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/proxytest"
	"github.com/weircrawl/weir/internal/testkit/vacant"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// through are options with proxies, each scheme://user:password@host:port.
func through(t testing.TB, proxies ...string) *client.Options {
	t.Helper()
	var list []client.Proxy
	for _, p := range proxies {
		u, err := url.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, client.Proxy{URL: u, Name: u.Scheme + "://" + u.Host})
	}
	opts := options()
	opts.Proxies = client.NewProxies(list)
	return opts
}

// sites are a plain and a secure one that tell what they were asked.
func sites(t testing.TB) (plain, secure *httptest.Server) {
	t.Helper()
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Get("Proxy-Authorization"); v != "" {
			_, _ = io.WriteString(w, "got the proxy's password")
		}
		_, _ = io.WriteString(w, r.Host+" "+r.RequestURI)
	})
	plain, secure = httptest.NewServer(show), httptest.NewTLSServer(show)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	return plain, secure
}

// named puts a name in the place of the address in a test server's URL.
func named(s *httptest.Server, name string) string {
	return strings.Replace(s.URL, "127.0.0.1", name, 1)
}

// public lets every name look like one on the internet, as long as nobody dials it.
func public(ctx context.Context, host string) ([]netip.Addr, error) {
	switch host {
	case "inside.example.":
		return []netip.Addr{netip.MustParseAddr("203.0.114.1"), netip.MustParseAddr("10.0.0.7")}, nil
	case "none.example.":
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case "proxy.example.":
		return local(ctx, host)
	}
	return []netip.Addr{netip.MustParseAddr("203.0.114.1")}, nil
}

func TestProxies(t *testing.T) {
	t.Parallel()
	plain, secure := sites(t)
	trust := secure.Client().Transport.(*http.Transport).TLSClientConfig
	own := &tls.Config{Certificates: secure.TLS.Certificates, MinVersion: tls.VersionTLS12}
	toLoopback := func(string) string { return "127.0.0.1" }
	tests := []struct {
		name, scheme string
		start        func(testing.TB, proxytest.Config) *proxytest.Proxy
		cfg          proxytest.Config
	}{
		{"HTTP", "http", proxytest.HTTP, proxytest.Config{}},
		{"HTTP with a password", "http", proxytest.HTTP, proxytest.Config{User: "u", Password: "p w"}},
		{"HTTP over TLS", "https", proxytest.HTTP, proxytest.Config{TLS: own, User: "u", Password: "p"}},
		{"SOCKS5", "socks5", proxytest.SOCKS5, proxytest.Config{}},
		{"SOCKS5 with a password", "socks5", proxytest.SOCKS5, proxytest.Config{User: "u", Password: "p"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Lookup = toLoopback
			p := tt.start(t, tt.cfg)
			b := setup(t, trust, public, "127.0.0.0/8")
			addr := tt.scheme + "://" + p.Addr
			if tt.cfg.User != "" {
				addr = tt.scheme + "://" + url.UserPassword(tt.cfg.User, tt.cfg.Password).String() + "@" + p.Addr
			}
			opts := through(t, addr)
			var want []string
			for _, site := range []*httptest.Server{plain, secure} {
				u := named(site, "example.com") // a name that the test certificate has
				host := strings.SplitN(u, "/", 3)[2]
				got := b.do(t, u+"/a?b=c", opts)
				check(t, got, client200(host+" /a?b=c"))
				if got.RemoteAddr != p.Addr || got.Timings.Connect <= 0 || got.Timings.FirstByte <= 0 || site == secure && got.Timings.TLS <= 0 {
					t.Errorf("remote %s, timings %+v", got.RemoteAddr, got.Timings)
				}
				if site == plain && tt.scheme != "socks5" {
					want = append(want, "GET "+u+"/a?b=c")
				} else {
					want = append(want, "CONNECT "+host)
				}
			}
			if diff := cmp.Diff(want, p.Asked()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			var before []string
			if !b.kept(func() { before = p.Asked(); b.do(t, named(secure, "example.com"), opts) }) || len(p.Asked()) != len(before) {
				t.Errorf("the connection through the proxy was not kept: %q", p.Asked())
			}
		})
	}
}

func client200(body string) want { return want{status: 200, body: body} }

func TestProxyFailures(t *testing.T) {
	t.Parallel()
	plain, secure := sites(t)
	b := setup(t, secure.Client().Transport.(*http.Transport).TLSClientConfig, public, "127.0.0.0/8")
	garbage := rawServer(t, func(c net.Conn, _ <-chan struct{}) { _, _ = io.WriteString(c, "garbage\r\n\r\n") })
	httpWith := func(cfg proxytest.Config) string { return "http://u:wrong@" + proxytest.HTTP(t, cfg).Addr }
	socksWith := func(cfg proxytest.Config) string { return "socks5://u:wrong@" + proxytest.SOCKS5(t, cfg).Addr }
	nowhere := func(string) string { return "127.0.0.255" }
	tests := []struct {
		name, proxy string
		url         string
		class       crawl.Class
		detail      string
	}{
		{"refuses connections", "http://" + vacant.Addr(t), plain.URL, crawl.ClassProxy, "connection refused"},
		{"unknown", "http://none.example:1", plain.URL, crawl.ClassProxy, "no such host"},
		{"asks for a password, CONNECT", httpWith(proxytest.Config{User: "u", Password: "p"}), secure.URL, crawl.ClassProxy, "407 Proxy Authentication Required"},
		{"asks for a password, plain", httpWith(proxytest.Config{User: "u", Password: "p"}), plain.URL, crawl.ClassProxy, "it asks for a user and a password"},
		{"refuses to connect", httpWith(proxytest.Config{Status: 403}), secure.URL, crawl.ClassProxy, "403 Forbidden"},
		{"cannot reach the host", httpWith(proxytest.Config{Lookup: nowhere}), secure.URL, crawl.ClassProxy, "502 Bad Gateway"},
		{"stalls", httpWith(proxytest.Config{Stall: true}), secure.URL, crawl.ClassProxy, "after 1.5s"},
		{"garbage", "http://" + garbage, secure.URL, crawl.ClassProxy, "malformed HTTP"},
		{"no TLS where there should be", "https://" + garbage, secure.URL, crawl.ClassProxy, "proxy https://"},
		{"SOCKS5 wrong password", socksWith(proxytest.Config{User: "u", Password: "p"}), plain.URL, crawl.ClassProxy, "username/password"},
		{"SOCKS5 refuses", socksWith(proxytest.Config{Status: 2}), plain.URL, crawl.ClassProxy, "not allowed"},
		{"SOCKS5 cannot reach the host", socksWith(proxytest.Config{Lookup: nowhere}), secure.URL, crawl.ClassProxy, "refused"},
		{"SOCKS5 stalls", socksWith(proxytest.Config{Stall: true}), plain.URL, crawl.ClassProxy, "after 1.5s"},
		{"SOCKS5 garbage", "socks5://" + garbage, secure.URL, crawl.ClassProxy, "socks"},
		{"does not speak for the host", httpWith(proxytest.Config{Lookup: func(string) string { return "127.0.0.1" }}), named(secure, "other.test"), crawl.ClassTLS, "certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := through(t, tt.proxy)
			var got client.Result
			if strings.Contains(tt.detail, "1.5s") {
				got = b.doLate(t, tt.url, opts, want{class: tt.class}.reached)
			} else {
				got = b.do(t, tt.url, opts)
			}
			check(t, got, want{class: tt.class, status: got.Status, detail: tt.detail})
			if strings.Contains(got.Detail, "wrong") {
				t.Errorf("the password is in the detail: %s", got.Detail)
			}
		})
	}
}

// TestProxyIsNoWayRoundTheGuard: what may not be dialled is not asked of a proxy.
func TestProxyIsNoWayRoundTheGuard(t *testing.T) {
	t.Parallel()
	p := proxytest.HTTP(t, proxytest.Config{})
	socks := proxytest.SOCKS5(t, proxytest.Config{})
	b := setup(t, nil, public, "127.0.0.0/8")
	for _, proxy := range []string{"http://" + p.Addr, "socks5://" + socks.Addr} {
		for target, class := range map[string]crawl.Class{
			"http://169.254.169.254/":       crawl.ClassAddressDenied,
			"http://[::ffff:10.0.0.1]/":     crawl.ClassAddressDenied,
			"https://0xa9fea9fe/":           crawl.ClassAddressDenied,
			"https://[64:ff9b::a00:1]/":     crawl.ClassAddressDenied,
			"http://inside.example/":        crawl.ClassAddressDenied,
			"https://inside.example/":       crawl.ClassAddressDenied,
			"http://none.example/":          crawl.ClassDNSNXDomain,
			"http://2852039166/latest/meta": crawl.ClassAddressDenied,
		} {
			got := b.do(t, target, through(t, proxy))
			check(t, got, want{class: class})
		}
	}
	if asked := slices.Concat(p.Asked(), socks.Asked()); len(asked) > 0 {
		t.Errorf("the proxies were asked for %q", asked)
	}
	strict := setup(t, nil, public)
	got := strict.do(t, "http://shop.example/", through(t, "http://"+p.Addr))
	check(t, got, want{class: crawl.ClassAddressDenied, detail: "proxy http://" + p.Addr + ": 127.0.0.1 is a loopback address; allow it with --allow-net"})
}

// TestHostsMoveFromADeadProxy, and those of the others stay.
func TestHostsMoveFromADeadProxy(t *testing.T) {
	t.Parallel()
	plain, _ := sites(t)
	alive := proxytest.HTTP(t, proxytest.Config{Lookup: func(string) string { return "127.0.0.1" }})
	b := setup(t, nil, public, "127.0.0.0/8")
	opts := through(t, "http://"+vacant.Addr(t), "http://"+alive.Addr)
	failed := 0
	var left time.Time // when the dead proxy was
	for i := range 40 {
		if failed == 3 && time.Since(left) > 9*time.Second {
			break // on a machine this slow it is about to have another try
		}
		got := b.do(t, named(plain, "host"+string(rune('a'+i%20))+".example"), opts)
		if got.Class == crawl.ClassProxy {
			if failed++; failed == 3 {
				left = time.Now()
			}
		} else if got.Status != 200 {
			t.Errorf("%s %s", got.Class, got.Detail)
		}
	}
	if failed != 3 {
		t.Errorf("%d exchanges failed before the proxy was left, want 3", failed)
	}
}
