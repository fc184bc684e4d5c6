package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/testkit/proxytest"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

// TestDialFor: what a page asks for goes where the page itself may go, and by the
// same proxy.
func TestDialFor(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	b := setup(t, nil, local, "127.0.0.0/8")
	via := map[string]*proxytest.Proxy{"http": proxytest.HTTP(t, proxytest.Config{}), "socks5": proxytest.SOCKS5(t, proxytest.Config{})}
	for _, scheme := range []string{"", "http", "socks5"} {
		opts := options()
		if scheme != "" {
			u := &url.URL{Scheme: scheme, Host: via[scheme].Addr}
			opts.Proxies = client.NewProxies([]client.Proxy{{URL: u, Name: u.String()}})
		}
		page, err := opts.Canon.Parse("http://site.example/")
		if err != nil {
			t.Fatal(err)
		}
		dial := b.client.DialFor(page, opts)
		conn, err := dial(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("%q: %v", scheme, err)
			continue
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Error(err)
		}
		if answer, _ := io.ReadAll(conn); !strings.HasSuffix(string(answer), "here") {
			t.Errorf("%q: %s", scheme, answer)
		}
		_ = conn.Close()
		if scheme != "" && len(via[scheme].Asked()) != 1 {
			t.Errorf("%s was asked for %v", scheme, via[scheme].Asked())
		}
		_, err = dial(t.Context(), "tcp", "10.0.0.1:80")
		if _, ok := errors.AsType[*guard.Denied](err); !ok {
			t.Errorf("%q: a private address: %v", scheme, err)
		}
	}
}
