package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

// leftovers is a transport whose first connections hold an answer before they are asked.
type leftovers struct {
	early int   // connections
	err   error // what the transport makes of such an answer; nil: a response
	asked int
}

// RoundTrip implements http.RoundTripper.
func (l *leftovers) RoundTrip(r *http.Request) (*http.Response, error) {
	l.asked++
	c := &conn{}
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GotConn(httptrace.GotConnInfo{Conn: c, Reused: true})
	body := "poison"
	if l.asked > l.early {
		c.heard.Store(true)
		body = "good"
	}
	trace.GotFirstResponseByte()
	if l.asked <= l.early && l.err != nil {
		return nil, l.err
	}
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
}

// over does an exchange over a transport.
func over(t *testing.T, transport http.RoundTripper, method string) Result {
	t.Helper()
	c := New(Config{}, guard.New(nil), resolve.New(resolve.DefaultConfig(), nil))
	t.Cleanup(c.Close)
	c.transports.usual.RegisterProtocol("http", transport)
	opts := &Options{Method: method, Header: http.Header{}, Timeout: time.Minute, MaxBody: 1 << 20, Canon: weburl.New(weburl.Options{})}
	u, err := opts.Canon.Parse("http://site.test/")
	if err != nil {
		t.Fatal(err)
	}
	acc, err := budget.New(64<<20).Open(t.Context(), BaseWeight)
	if err != nil {
		t.Fatal(err)
	}
	defer acc.Close()
	got, err := c.Do(t.Context(), u, opts, acc)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBeginsAgain: what a connection held before the question is nobody's answer, and the
// page is asked for on another, not for ever.
func TestBeginsAgain(t *testing.T) {
	t.Parallel()
	malformed := errors.New(`malformed HTTP response "x"`)
	for _, tc := range []struct {
		name   string
		conns  leftovers
		method string
		asked  int
		class  crawl.Class
	}{
		{"a good connection", leftovers{}, "", 1, crawl.ClassNone},
		{"an answer too early", leftovers{early: 1}, "", 2, crawl.ClassNone},
		{"rubbish too early", leftovers{early: 2, err: malformed}, "", 3, crawl.ClassNone},
		{"broken in the middle of it", leftovers{early: 1, err: io.ErrUnexpectedEOF}, "", 2, crawl.ClassNone},
		{"again and again", leftovers{early: 10}, "", 3, crawl.ClassReset},
		{"not for what may have been heard", leftovers{early: 1}, http.MethodPost, 1, crawl.ClassReset},
		{"a stream of HTTP/2 is its own", leftovers{early: 1, err: errors.New("stream error: stream ID 1")}, "", 1, crawl.ClassReset},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := over(t, &tc.conns, tc.method)
			if got.Class != tc.class || tc.conns.asked != tc.asked {
				t.Errorf("asked %d times: %s (%s); want %d times and %s", tc.conns.asked, got.Class, got.Detail, tc.asked, tc.class)
			}
			if got.Class == crawl.ClassNone && got.Body.Size != 4 {
				t.Errorf("%d bytes, want those of the good answer", got.Body.Size)
			}
		})
	}
}

// greeter is a transport whose connection is greeted by the server, and closed for that.
type greeter struct{ err error }

// RoundTrip implements http.RoundTripper.
func (g greeter) RoundTrip(r *http.Request) (*http.Response, error) {
	c := &conn{}
	c.tail.Store('\n')
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{Conn: c})
	return nil, g.err
}

// TestSpokeFirst: whichever way the transport stumbles over it.
func TestSpokeFirst(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"reading": errors.New("readLoopPeekFailLocked: %!w(<nil>)"), "writing": &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := over(t, greeter{err}, ""); got.Class != crawl.ClassBadResponse || got.Detail != "the server spoke before it was asked" {
				t.Errorf("%s (%s)", got.Class, got.Detail)
			}
		})
	}
}
