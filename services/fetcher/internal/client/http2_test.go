package client_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// h2 is the server's side of a connection, on which a test does what it likes.
type h2 struct {
	*http2.Framer
	enc    *hpack.Encoder
	block  bytes.Buffer
	stream uint32 // of the request
	stop   <-chan struct{}
}

// header makes a block of header fields, name and value by turns.
func (h *h2) header(fields ...string) []byte {
	h.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return slices.Clone(h.block.Bytes())
}

// answer sends the header of a response with a body to come.
func (h *h2) answer(fields ...string) {
	_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, EndHeaders: true, BlockFragment: h.header(append([]string{":status", "200"}, fields...)...)})
}

// until reads frames, so that the client can write, until it is gone or the test ends.
func (h *h2) until() {
	for {
		if _, err := h.ReadFrame(); err != nil {
			return
		}
	}
}

// h2Server hands each connection to serve after its first request. The client gets the
// settings given.
func h2Server(t testing.TB, cert []tls.Certificate, settings []http2.Setting, serve func(*h2)) (addr string) {
	t.Helper()
	cfg := &tls.Config{Certificates: cert, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	return rawServer(t, func(c net.Conn, stop <-chan struct{}) {
		tc := tls.Server(c, cfg)
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			select {
			case <-stop:
				_ = c.Close()
			case <-done:
			}
		})
		defer wg.Wait()
		defer close(done)
		defer tc.Close()
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(tc, preface); err != nil {
			return
		}
		h := &h2{Framer: http2.NewFramer(tc, tc), stop: stop}
		h.enc = hpack.NewEncoder(&h.block)
		_ = h.WriteSettings(settings...)
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			if f.Header().Type == http2.FrameHeaders {
				h.stream = f.Header().StreamID
				serve(h)
				return
			}
		}
	})
}

func TestHostileFrames(t *testing.T) {
	t.Parallel()
	_, secure := sites(t)
	trust := secure.Client().Transport.(*http.Transport).TLSClientConfig
	data := func(h *h2, s string, end bool) { _ = h.WriteData(h.stream, end, []byte(s)) }
	flood := func(send func(*h2) error) func(*h2) {
		return func(h *h2) {
			var wg sync.WaitGroup
			wg.Go(h.until) // what the client answers must go somewhere
			defer wg.Wait()
			for send(h) == nil {
			}
		}
	}
	classes := func(c ...crawl.Class) []crawl.Class { return c }
	reset := classes(crawl.ClassReset)
	tests := []struct {
		name     string
		settings []http2.Setting
		serve    func(*h2)
		post     bool
		classes  []crawl.Class // any of them is right
		status   int
		body     string // kept
	}{
		{name: "plain", serve: func(h *h2) { h.answer(); data(h, "hello", true); h.until() }, classes: classes(crawl.ClassNone), status: 200, body: "hello"},
		{name: "reset before the header", serve: func(h *h2) { _ = h.WriteRSTStream(h.stream, http2.ErrCodeInternal); h.until() }, classes: reset},
		{name: "reset in the body", serve: func(h *h2) {
			h.answer()
			data(h, "hello", false)
			_ = h.WriteRSTStream(h.stream, http2.ErrCodeCancel)
			h.until()
		}, classes: reset, status: 200, body: "hello"},
		{name: "refused, again and again", serve: func(h *h2) { _ = h.WriteRSTStream(h.stream, http2.ErrCodeRefusedStream); h.until() }, classes: classes(crawl.ClassReset, crawl.ClassTimeoutHeaders)},
		{name: "goes away before the header", serve: func(h *h2) { _ = h.WriteGoAway(0, http2.ErrCodeNo, nil) }, classes: classes(crawl.ClassReset, crawl.ClassTimeoutHeaders)},
		{name: "goes away with an error", serve: func(h *h2) { _ = h.WriteGoAway(h.stream, http2.ErrCodeEnhanceYourCalm, []byte("no\r\nmore")) }, classes: reset},
		{name: "goes away in the body", serve: func(h *h2) {
			h.answer()
			data(h, "hello", false)
			_ = h.WriteGoAway(0, http2.ErrCodeProtocol, nil)
		}, classes: reset, status: 200, body: "hello"},
		{name: "closes in the body", serve: func(h *h2) { h.answer(); data(h, "hello", false) }, classes: reset, status: 200, body: "hello"},
		{name: "stalls before the header", serve: func(h *h2) { h.until() }, classes: classes(crawl.ClassTimeoutHeaders)},
		{name: "stalls in the body", serve: func(h *h2) { h.answer(); data(h, "hello", false); h.until() }, classes: classes(crawl.ClassTimeoutBody), status: 200, body: "hello"},
		{name: "takes no request body", settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, post: true, serve: func(h *h2) { h.until() }, classes: classes(crawl.ClassTimeoutHeaders)},
		{name: "more than the window", serve: func(h *h2) {
			h.answer()
			var wg sync.WaitGroup
			wg.Go(h.until)
			defer wg.Wait()
			for h.WriteData(h.stream, false, bytes.Repeat([]byte("x"), 16<<10)) == nil {
			}
		}, classes: classes(crawl.ClassReset, crawl.ClassNone), status: 200, body: "*"},
		{name: "huge header list", serve: func(h *h2) { h.answer("x-a", strings.Repeat("a", 15<<10)); data(h, "", true); h.until() }, classes: classes(crawl.ClassNone), status: 200},
		{name: "endless continuation", serve: func(h *h2) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, BlockFragment: h.header(":status", "200")})
			flood(func(h *h2) error {
				return h.WriteContinuation(h.stream, false, h.header("x-a", strings.Repeat("a", 4000)))
			})(h)
		}, classes: classes(crawl.ClassReset, crawl.ClassTooLarge)},
		{name: "endless informational", serve: flood(func(h *h2) error {
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, EndHeaders: true, BlockFragment: h.header(":status", "103", "x-a", strings.Repeat("a", 1000))})
		}), classes: classes(crawl.ClassReset, crawl.ClassTooLarge, crawl.ClassBadResponse)},
		{name: "pings without end", serve: flood(func(h *h2) error { return h.WritePing(false, [8]byte{}) }), classes: classes(crawl.ClassTimeoutHeaders, crawl.ClassReset)},
		{name: "settings without end", serve: flood(func(h *h2) error { return h.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 14}) }), classes: classes(crawl.ClassTimeoutHeaders, crawl.ClassReset)},
		{name: "empty data without end", serve: func(h *h2) { h.answer(); flood(func(h *h2) error { return h.WriteData(h.stream, false, nil) })(h) }, classes: classes(crawl.ClassTimeoutBody, crawl.ClassReset), status: 200},
		{name: "no status", serve: func(h *h2) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, EndHeaders: true, BlockFragment: h.header("x-a", "b")})
			h.until()
		}, classes: classes(crawl.ClassReset, crawl.ClassBadResponse)},
		{name: "data before the header", serve: func(h *h2) { data(h, "hello", true); h.until() }, classes: classes(crawl.ClassReset, crawl.ClassBadResponse)},
		{name: "window that overflows", serve: func(h *h2) {
			_ = h.WriteWindowUpdate(0, 1<<31-1)
			_ = h.WriteWindowUpdate(0, 1<<31-1)
			h.until()
		}, classes: reset},
		{name: "shorter than it says", serve: func(h *h2) { h.answer("content-length", "10"); data(h, "hello", true); h.until() }, classes: reset, status: 200, body: "hello"},
		{name: "longer than it says", serve: func(h *h2) { h.answer("content-length", "3"); data(h, "hello", true); h.until() }, classes: classes(crawl.ClassReset, crawl.ClassNone, crawl.ClassBadResponse), status: 200, body: "*"},
		{name: "frame beyond the limit", serve: func(h *h2) { _ = h.WriteRawFrame(http2.FrameData, 0, h.stream, make([]byte, 1<<20)); h.until() }, classes: classes(crawl.ClassReset, crawl.ClassBadResponse)},
		{name: "push", serve: func(h *h2) {
			_ = h.WritePushPromise(http2.PushPromiseParam{StreamID: h.stream, PromiseID: 2, EndHeaders: true, BlockFragment: h.header(":method", "GET")})
			h.until()
		}, classes: reset},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := h2Server(t, secure.TLS.Certificates, tt.settings, tt.serve)
			b := setup(t, trust, local, "127.0.0.0/8")
			opts := options()
			if tt.post {
				opts.Method, opts.Body = http.MethodPost, []byte("a=1")
			}
			endless := slices.Contains(tt.classes, crawl.ClassTimeoutHeaders) || slices.Contains(tt.classes, crawl.ClassTimeoutBody)
			var got client.Result
			if endless {
				got = b.doLate(t, "https://"+addr+"/", opts, func(got client.Result) bool {
					return slices.Contains(tt.classes, got.Class) && want{class: got.Class, status: tt.status, body: tt.body}.reached(got)
				})
			} else {
				got = b.do(t, "https://"+addr+"/", opts)
			}
			if !slices.Contains(tt.classes, got.Class) || got.Status != tt.status || strings.ContainsAny(got.Detail, "\r\n") {
				t.Errorf("%s %d %q, want one of %v %d", got.Class, got.Status, got.Detail, tt.classes, tt.status)
			}
			if body := text(t, got.Body); tt.body != "*" && body != tt.body {
				t.Errorf("body %.50q, want %q", body, tt.body)
			}
			if got.Body.Size > opts.MaxBody {
				t.Errorf("%d bytes kept", got.Body.Size)
			}
		})
	}
}

// TestHTTP2SharesOneConnection: exchanges at a time are streams of one.
func TestHTTP2SharesOneConnection(t *testing.T) {
	t.Parallel()
	_, secure := sites(t)
	var conns atomic.Int32
	release := make(chan struct{})
	addr := h2Server(t, secure.TLS.Certificates, nil, func(h *h2) {
		conns.Add(1)
		h.answer()
		_ = h.WriteData(h.stream, true, []byte("hello"))
		var ids []uint32
		for len(ids) < 8 {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			if f.Header().Type == http2.FrameHeaders {
				ids = append(ids, f.Header().StreamID)
			}
		}
		close(release)
		for _, h.stream = range ids {
			h.answer()
			_ = h.WriteData(h.stream, true, []byte("hello"))
		}
		h.until()
	})
	b := setup(t, secure.Client().Transport.(*http.Transport).TLSClientConfig, local, "127.0.0.0/8")
	check(t, b.do(t, "https://"+addr+"/", options()), want{status: 200, body: "hello"})
	results := make(chan client.Result)
	for range 8 {
		go func() { results <- b.do(t, "https://"+addr+"/", options()) }()
	}
	for range 8 {
		check(t, <-results, want{status: 200, body: "hello"})
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	<-release
}

// TestFewConnections: a host has no more connections than exchanges at a time. Each of
// the first exchanges is held until all have their connection: one that became free while
// another is being made would be taken, and the other be left over.
func TestFewConnections(t *testing.T) {
	t.Parallel()
	const workers, each = 4, 25
	var made, asked atomic.Int32
	all := make(chan struct{})
	addr := rawServer(t, func(c net.Conn, stop <-chan struct{}) {
		made.Add(1)
		for strings.HasSuffix(readRequest(c), "\r\n\r\n") {
			if asked.Add(1) == workers {
				close(all)
			}
			select {
			case <-all:
			case <-stop:
				return
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
				return
			}
		}
	})
	b := setup(t, nil, local, "127.0.0.0/8")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				check(t, b.do(t, "http://"+addr+"/", options()), want{status: 200, body: "hello"})
			}
		})
	}
	wg.Wait()
	// A few more, which the transport let go of: see kept.
	if n, fresh := made.Load(), b.client.Conns().Fresh.Load(); n < workers || n > 2*workers || fresh > 2*workers {
		t.Errorf("%d connections made, %d used for %d exchanges at a time, %d in all", n, fresh, workers, workers*each)
	}
}
