package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a client with its budget.
type bench struct {
	client *client.Client
	budget *budget.Budget
}

func testConfig() client.Config {
	return client.Config{DialTimeout: 10 * time.Second, TLSTimeout: 10 * time.Second, MaxIdle: 64, MaxIdlePerHost: 64, IdleTimeout: time.Minute}
}

func setup(t testing.TB, tlsConfig *tls.Config, lookup resolve.Lookup, allow ...string) *bench {
	t.Helper()
	var nets []netip.Prefix
	for _, a := range allow {
		nets = append(nets, netip.MustParsePrefix(a))
	}
	cfg := testConfig()
	cfg.TLS = tlsConfig
	c := client.New(cfg, guard.New(nets), resolve.New(resolve.DefaultConfig(), lookup))
	t.Cleanup(c.Close)
	return &bench{client: c, budget: budget.New(64 << 20)}
}

// local answers every name with the loopback address.
func local(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func options() *client.Options {
	return &client.Options{
		Header: http.Header{
			"User-Agent":      {"Weir/test"},
			"Accept-Encoding": {inflate.AcceptEncoding},
		},
		Timeout: 30 * time.Second,
		MaxBody: 1 << 20,
		Canon:   weburl.New(weburl.Options{}),
	}
}

func (b *bench) do(t testing.TB, url string, opts *client.Options) client.Result {
	t.Helper()
	u, err := opts.Canon.Parse(url)
	if err != nil {
		t.Fatalf("parse %s: %v", url, err)
	}
	acc, err := b.budget.Open(t.Context(), client.BaseWeight)
	if err != nil {
		t.Fatal(err)
	}
	defer acc.Close()
	res, err := b.client.Do(t.Context(), u, opts, acc)
	if err != nil {
		t.Fatalf("fetch %s: %v", url, err)
	}
	// Far over the limit only by the time that a busy machine takes.
	if res.Duration > opts.Timeout+30*time.Second {
		t.Errorf("took %s with a timeout of %s", res.Duration, opts.Timeout)
	}
	return res
}

// doLate does an exchange that only its time limit ends. Where the machine is so busy
// that the limit came before what the test is about, which is an outcome too, it has
// another try with more time.
func (b *bench) doLate(t testing.TB, url string, opts *client.Options, reached func(client.Result) bool) client.Result {
	t.Helper()
	for limit := short; ; limit *= 4 {
		timed := *opts
		timed.Timeout = limit
		got := b.do(t, url, &timed)
		if reached(got) || limit > 20*time.Second {
			got.Detail = strings.ReplaceAll(got.Detail, "after "+limit.String(), "after "+short.String())
			return got
		}
		t.Logf("%s after %s (%s), which may be too short", got.Class, limit, got.Detail)
	}
}

// kept reports whether an exchange ran on a connection that was there before. That is
// tried again: the transport lets go of a connection when the goroutine that wrote the
// request has not said so 50 ms after the answer.
func (b *bench) kept(exchange func()) bool {
	for range 10 {
		before := b.client.Conns().Fresh.Load()
		if exchange(); b.client.Conns().Fresh.Load() == before {
			return true
		}
	}
	return false
}

// text decompresses a body.
func text(t testing.TB, b body.Body) string {
	t.Helper()
	if len(b.Segments) == 0 {
		return ""
	}
	r := flate.NewReader(bytes.NewReader(b.Bytes()))
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("inflate the kept body: %v", err)
	}
	return string(out)
}

// rawServer hands every connection to serve, which ends when stop is closed.
func rawServer(t testing.TB, serve func(c net.Conn, stop <-chan struct{})) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c, stop)
			})
		}
	})
	t.Cleanup(func() {
		close(stop)
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// serve answers a request that has been read, until stop is closed. What sites do to
// their clients is in package hostile; these are for other tests.
type serve func(c net.Conn, stop <-chan struct{})

func send(s string) serve { return func(c net.Conn, _ <-chan struct{}) { _, _ = io.WriteString(c, s) } }

func sendStall(s string) serve {
	return func(c net.Conn, stop <-chan struct{}) { _, _ = io.WriteString(c, s); <-stop }
}

// repeat sends head, then piece until the connection is gone.
func repeat(head, piece string) serve {
	return func(c net.Conn, _ <-chan struct{}) {
		_, err := io.WriteString(c, head)
		for err == nil {
			_, err = io.WriteString(c, piece)
		}
	}
}

// drip sends a byte every 10 ms for ever.
func drip(head, s string) serve {
	return func(c net.Conn, stop <-chan struct{}) {
		_, err := io.WriteString(c, head)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; err == nil; i++ {
			select {
			case <-tick.C:
				_, err = c.Write([]byte{s[i%len(s)]})
			case <-stop:
				return
			}
		}
	}
}

// readRequest reads a request's header.
func readRequest(c net.Conn) string {
	var got []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(got, []byte("\r\n\r\n")) {
		if _, err := c.Read(one); err != nil {
			return string(got)
		}
		got = append(got, one[0])
	}
	return string(got)
}

// lines joins header lines as HTTP wants them.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

func newBudget(n int64) *budget.Budget { return budget.New(n) }
