package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// direct dials what it is told.
func direct(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func start(t *testing.T) *Proxy {
	t.Helper()
	p, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// through is a client that goes through the proxy with a pass; nil for none.
func through(t *testing.T, p *Proxy, pass *Pass, site *httptest.Server) *http.Client {
	t.Helper()
	u := &url.URL{Scheme: "http", Host: p.Addr()}
	if pass != nil {
		u.User = url.UserPassword(pass.Credentials())
	}
	tr := &http.Transport{Proxy: http.ProxyURL(u)}
	if c, ok := site.Client().Transport.(*http.Transport); ok {
		tr.TLSClientConfig = c.TLSClientConfig
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(c *http.Client, u string) (int, string, error) {
	resp, err := c.Get(u)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// sites are one without and one with TLS that say what the proxy sent.
func sites(t *testing.T) []*httptest.Server {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path+" "+r.Header.Get("Proxy-Authorization")+r.Header.Get("X-Forwarded-For")+r.Header.Get("Via"))
		if r.URL.Path == "/long" {
			_, _ = io.WriteString(w, strings.Repeat("x", 4<<20))
		}
	})
	out := []*httptest.Server{httptest.NewServer(h), httptest.NewTLSServer(h)}
	for _, s := range out {
		t.Cleanup(s.Close)
	}
	return out
}

func TestPass(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, s := range sites(t) {
		pass := p.Open(direct, 1<<20)
		c := through(t, p, pass, s)
		if status, body, err := get(c, s.URL+"/a"); err != nil || status != 200 || body != "/a " {
			t.Errorf("%s: %d %q %v", s.URL, status, body, err)
		}
		if pass.Received() == 0 || pass.Spent() {
			t.Errorf("received %d", pass.Received())
		}
		// The bound holds in the middle of an answer.
		if _, body, err := get(c, s.URL+"/long"); err == nil || len(body) > 2<<20 || !pass.Spent() {
			t.Errorf("%s: %d bytes of too many, %v", s.URL, len(body), err)
		}
		if _, _, err := get(c, s.URL+"/a"); err == nil {
			t.Errorf("%s: a pass that is spent lets through", s.URL)
		}
		pass.Close()
		pass.Close()
		if status, _, err := get(c, s.URL+"/a"); err == nil && status == 200 {
			t.Errorf("%s: a pass that is closed lets through", s.URL)
		}
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	p := start(t)
	wrong := p.Open(direct, 1<<20)
	wrong.password = "guessed" // what the stranger shows
	real := p.Open(direct, 1<<20)
	stranger := &Pass{user: real.user, password: "guessed"}
	for _, s := range sites(t) {
		for name, pass := range map[string]*Pass{"nobody": nil, "a wrong password": stranger, "an unknown name": {user: "page-0", password: "x"}} {
			if status, _, err := get(through(t, p, pass, s), s.URL+"/a"); err == nil && status != http.StatusProxyAuthRequired {
				t.Errorf("%s: %s got %d", s.URL, name, status)
			}
		}
	}
	resp, err := http.Get("http://" + p.Addr() + "/") // not as a proxy
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusProxyAuthRequired {
		t.Errorf("asked for a page of its own: %d", resp.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestDenied: what may not be dialled is a failure of the network for the page.
func TestDenied(t *testing.T) {
	t.Parallel()
	p := start(t)
	pass := p.Open(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("denied") }, 1<<20)
	defer pass.Close()
	for _, s := range sites(t) {
		if status, body, err := get(through(t, p, pass, s), s.URL+"/a"); err == nil {
			t.Errorf("%s: %d %q", s.URL, status, body)
		}
	}
	if pass.Refused() == 0 {
		t.Error("nothing was refused")
	}
}

// TestClose ends what is under way.
func TestClose(t *testing.T) {
	t.Parallel()
	p := start(t)
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	for _, s := range []*httptest.Server{httptest.NewServer(h), httptest.NewTLSServer(h)} {
		pass := p.Open(direct, 1<<20)
		over := make(chan error, 1)
		go func() {
			_, _, err := get(through(t, p, pass, s), s.URL+"/a")
			over <- err
		}()
		<-arrived
		pass.Close()
		if err := <-over; err == nil {
			t.Errorf("%s: it had an answer", s.URL)
		}
		s.Close()
	}
	close(release)
}
