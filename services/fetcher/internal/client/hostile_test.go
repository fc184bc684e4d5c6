package client_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// server behaviours, after the request has been read.
type serve func(c net.Conn, stop <-chan struct{})

func send(s string) serve { return func(c net.Conn, _ <-chan struct{}) { _, _ = io.WriteString(c, s) } }

func sendStall(s string) serve {
	return func(c net.Conn, stop <-chan struct{}) { _, _ = io.WriteString(c, s); <-stop }
}

// sendReset ends with RST instead of FIN.
func sendReset(s string) serve {
	return func(c net.Conn, _ <-chan struct{}) {
		_, _ = io.WriteString(c, s)
		if s != "" {
			// Let what was sent arrive first: an RST may overtake it. The peer sends
			// nothing, so this waits for no longer than the peer reads.
			_ = c.(*net.TCPConn).SetReadDeadline(time.Now().Add(time.Second))
			_, _ = c.Read(make([]byte, 1))
		}
		_ = c.(*net.TCPConn).SetLinger(0)
	}
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

type want struct {
	class     crawl.Class
	status    int
	body      string // exact, unless size is set
	size      int64
	truncated bool
	detail    string // part of it
	redirect  string
}

const short = 1500 * time.Millisecond // ends what never ends

func TestHostileSites(t *testing.T) {
	t.Parallel()
	ok := "HTTP/1.1 200 OK\r\n"
	big := strings.Repeat("x", 64<<10)
	tests := []struct {
		name    string
		serve   serve
		timeout time.Duration
		want    want
	}{
		{"plain", send(ok + lines("Content-Length: 5", "") + "hello"), 0, want{status: 200, body: "hello"}},
		{"HTTP/1.0 until close", send("HTTP/1.0 200 OK\r\n\r\nhello"), 0, want{status: 200, body: "hello"}},
		{"HTTP/1.1 until close", send(ok + "\r\nhello"), 0, want{status: 200, body: "hello"}},
		{"LF only", send("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), 0, want{status: 200, body: "hello"}},
		{"no reason phrase", send("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"), 0, want{status: 200, body: "hello"}},
		{"empty reason phrase", send("HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"), 0, want{status: 200, body: "hello"}},
		{"informational first", send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + lines("Content-Length: 5", "") + "hello"), 0, want{status: 200, body: "hello"}},
		{"odd charsets in headers", send(ok + lines("X-Latin: caf\xe9", "X-Utf: caf\u00e9", "X-Raw: \xff\xfe", "Content-Length: 5", "") + "hello"), 0, want{status: 200, body: "hello"}},
		{"no content", send("HTTP/1.1 204 No Content\r\n\r\n"), 0, want{status: 204}},
		{"chunked", send(ok + lines("Transfer-Encoding: chunked", "") + "5\r\nhello\r\n0\r\n\r\n"), 0, want{status: 200, body: "hello"}},

		{"close at once", send(""), 0, want{class: crawl.ClassReset, detail: "before the response headers"}},
		{"reset at once", sendReset(""), 0, want{class: crawl.ClassReset, detail: "before the response headers"}},
		{"close in status line", send("HTTP/1.1 20"), 0, want{class: crawl.ClassReset}},
		{"close in headers", send(ok + "Content-Le"), 0, want{class: crawl.ClassReset}},
		{"reset in headers", sendReset(ok + "Content-Le"), 0, want{class: crawl.ClassReset}},
		{"close in body", send(ok + lines("Content-Length: 10", "") + "hello"), 0, want{class: crawl.ClassReset, status: 200, body: "hello", truncated: true, detail: "after 5 bytes"}},
		{"reset in body", sendReset(ok + lines("Content-Length: 10", "") + "hello"), 0, want{class: crawl.ClassReset, status: 200, body: "hello", truncated: true, detail: "after 5 bytes"}},
		{"close in chunk", send(ok + lines("Transfer-Encoding: chunked", "") + "a\r\nhello"), 0, want{class: crawl.ClassReset, status: 200, body: "hello", truncated: true}},
		{"close before last chunk", send(ok + lines("Transfer-Encoding: chunked", "") + "5\r\nhello\r\n"), 0, want{class: crawl.ClassReset, status: 200, body: "hello", truncated: true}},
		{"bad chunk length", send(ok + lines("Transfer-Encoding: chunked", "") + "5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n"), 0, want{class: crawl.ClassBadResponse, status: 200, body: "hello", truncated: true}},
		{"huge chunk length", send(ok + lines("Transfer-Encoding: chunked", "") + "fffffffffffffffffff\r\nhello"), 0, want{class: crawl.ClassBadResponse, status: 200, truncated: true}},
		{"negative length", send(ok + lines("Content-Length: -5", "") + "hello"), 0, want{class: crawl.ClassBadResponse}},
		{"two lengths", send(ok + lines("Content-Length: 5", "Content-Length: 6", "") + "hello"), 0, want{class: crawl.ClassBadResponse}},
		{"length of letters", send(ok + lines("Content-Length: five", "") + "hello"), 0, want{class: crawl.ClassBadResponse}},
		{"too short a length", send(ok + lines("Content-Length: 3", "") + "hello"), 0, want{status: 200, body: "hel"}},
		{"unknown transfer coding", send(ok + lines("Transfer-Encoding: rot13", "") + "hello"), 0, want{class: crawl.ClassBadResponse}},
		{"garbage", send("\x00\x01\x02garbage\r\n\r\n"), 0, want{class: crawl.ClassBadResponse}},
		{"SSH", send("SSH-2.0-OpenSSH_9.6\r\n"), 0, want{class: crawl.ClassBadResponse}},
		{"TLS alert", send("\x15\x03\x01\x00\x02\x02\x46"), 0, want{class: crawl.ClassBadResponse}},
		{"bad status", send("HTTP/1.1 abc OK\r\n\r\n"), 0, want{class: crawl.ClassBadResponse}},
		{"bad version", send("HTTP/9x 200 OK\r\n\r\n"), 0, want{class: crawl.ClassBadResponse}},
		{"switching protocols", send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), 0, want{class: crawl.ClassBadResponse, status: 101}},
		{"status 999", send("HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"), 0, want{class: crawl.ClassBadResponse, status: 999}},
		{"header without colon", send(ok + lines("nonsense", "Content-Length: 5", "") + "hello"), 0, want{class: crawl.ClassBadResponse}},

		{"endless headers", repeat(ok, "X-A: "+strings.Repeat("a", 1000)+"\r\n"), 0, want{class: crawl.ClassTooLarge}},
		{"endless header line", repeat(ok+"X-A: ", big), 0, want{class: crawl.ClassTooLarge}},
		{"endless status line", repeat("HTTP/1.1 200 ", big), 0, want{class: crawl.ClassTooLarge}},
		{"endless informational", repeat("", "HTTP/1.1 102 Processing\r\nX-A: "+strings.Repeat("a", 1000)+"\r\n\r\n"), 0, want{class: crawl.ClassTooLarge}},
		{"endless body", repeat(ok+"\r\n", big), 0, want{status: 200, size: 1 << 20, truncated: true, detail: "body cut at 1048576 bytes"}},
		{"endless chunks", repeat(ok+lines("Transfer-Encoding: chunked", ""), "10000\r\n"+big+"\r\n"), 0, want{status: 200, size: 1 << 20, truncated: true}},
		{"endless lie about length", repeat(ok+lines("Content-Length: 9000000000", ""), big), 0, want{status: 200, size: 1 << 20, truncated: true}},
		{"endless redirect body", repeat("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", big), 0, want{status: 302, size: 1 << 20, truncated: true, redirect: "/x"}},

		{"stall before status", sendStall(""), short, want{class: crawl.ClassTimeoutHeaders, detail: "after 1.5s"}},
		{"stall in headers", sendStall(ok + "X-A: b\r\n"), short, want{class: crawl.ClassTimeoutHeaders}},
		{"stall in body", sendStall(ok + lines("Content-Length: 10", "") + "hello"), short, want{class: crawl.ClassTimeoutBody, status: 200, body: "hello", truncated: true, detail: "5 bytes came"}},
		{"stall before last chunk", sendStall(ok + lines("Transfer-Encoding: chunked", "") + "5\r\nhello\r\n"), short, want{class: crawl.ClassTimeoutBody, status: 200, body: "hello", truncated: true}},
		{"drip of headers", drip("", ok+strings.Repeat("X: y\r\n", 1000)), short, want{class: crawl.ClassTimeoutHeaders}},
		{"drip of body", drip(ok+"\r\n", "x"), short, want{class: crawl.ClassTimeoutBody, status: 200, size: -1, truncated: true}},
		{"stall in an error page", sendStall("HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nhello"), short, want{class: crawl.ClassStatus5xx, status: 503, body: "hello", truncated: true}},
	}
	b := setup(t, nil, local, "127.0.0.0/8")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := rawServer(t, func(c net.Conn, stop <-chan struct{}) {
				readRequest(c)
				tt.serve(c, stop)
			})
			opts := options()
			if tt.timeout > 0 {
				opts.Timeout = tt.timeout
			}
			if strings.HasPrefix(tt.want.redirect, "/") {
				tt.want.redirect = "http://" + addr + tt.want.redirect
			}
			check(t, b.do(t, "http://"+addr+"/", opts), tt.want)
		})
	}
}

func check(t *testing.T, got client.Result, w want) {
	t.Helper()
	if got.Class != w.class || got.Status != w.status || got.Truncated != w.truncated || got.Redirect != w.redirect {
		t.Errorf("got class=%s status=%d truncated=%v redirect=%q detail=%q, want %s %d %v %q",
			got.Class, got.Status, got.Truncated, got.Redirect, got.Detail, w.class, w.status, w.truncated, w.redirect)
	}
	if !strings.Contains(got.Detail, w.detail) || (w.class != crawl.ClassNone && got.Detail == "") {
		t.Errorf("detail %q lacks %q", got.Detail, w.detail)
	}
	if strings.ContainsAny(got.Detail, "\r\n") {
		t.Errorf("detail of several lines: %q", got.Detail)
	}
	body := text(t, got.Body)
	if int64(len(body)) != got.Body.Size {
		t.Errorf("size says %d, body has %d", got.Body.Size, len(body))
	}
	switch {
	case w.size > 0 && got.Body.Size != w.size:
		t.Errorf("%d bytes, want %d", got.Body.Size, w.size)
	case w.size == 0 && body != w.body:
		t.Errorf("body %.100q, want %.100q", body, w.body)
	}
}

func coded(t testing.TB, s string, codings ...string) string {
	t.Helper()
	for _, c := range codings {
		var b bytes.Buffer
		var w io.WriteCloser
		switch c {
		case "gzip":
			w = gzip.NewWriter(&b)
		case "zlib":
			w = zlib.NewWriter(&b)
		case "flate":
			w, _ = flate.NewWriter(&b, 6)
		case "br":
			w = brotli.NewWriterLevel(&b, 4)
		case "zstd":
			w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		}
		if _, err := io.WriteString(w, s); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s = b.String()
	}
	return s
}

func TestContentCodings(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>the quick brown fox</p>\n", 2000)
	bomb := strings.Repeat("\x00", 16<<20)
	gz := coded(t, page, "gzip")
	tests := []struct {
		name, encoding, body string
		want                 want
	}{
		{"gzip", "gzip", gz, want{status: 200, body: page}},
		{"x-gzip", "X-GZip", gz, want{status: 200, body: page}},
		{"zlib", "deflate", coded(t, page, "zlib"), want{status: 200, body: page}},
		{"raw deflate", "deflate", coded(t, page, "flate"), want{status: 200, body: page}},
		{"brotli", "br", coded(t, page, "br"), want{status: 200, body: page}},
		{"zstd", "zstd", coded(t, page, "zstd"), want{status: 200, body: page}},
		{"layers", "gzip, br", coded(t, page, "gzip", "br"), want{status: 200, body: page}},
		{"layered gzip", "gzip, gzip", coded(t, page, "gzip", "gzip"), want{status: 200, body: page}},
		{"identity", "identity", page, want{status: 200, body: page}},
		{"unknown", "utf-8", page, want{status: 200, body: page}},
		{"not gzip at all", "gzip", page, want{status: 200, body: page}},
		{"empty", "gzip", "", want{status: 200}},
		{"two members", "gzip", coded(t, "one ", "gzip") + coded(t, "two", "gzip"), want{status: 200, body: "one two"}},
		{"rubbish after gzip", "gzip", coded(t, "one", "gzip") + "rubbish", want{status: 200, body: "one"}},
		{"gzip cut", "gzip", gz[:len(gz)-20], want{status: 200, size: -1, truncated: true, detail: "too early"}},
		{"gzip without trailer", "gzip", gz[:len(gz)-8], want{status: 200, body: page, truncated: true}},
		{"gzip corrupt", "gzip", gz[:len(gz)/2] + strings.Repeat("\xff", 50), want{class: crawl.ClassBadResponse, status: 200, size: -1, truncated: true}},
		{"brotli of rubbish", "br", page, want{class: crawl.ClassBadResponse, status: 200, size: -1, truncated: true}},
		{"zstd of rubbish", "zstd", page, want{class: crawl.ClassBadResponse, status: 200, truncated: true}},
		{"too many layers", "gzip,gzip,gzip,gzip,gzip,gzip", gz, want{class: crawl.ClassBadResponse, status: 200, truncated: true}},
		{"gzip bomb", "gzip", coded(t, bomb, "gzip"), want{status: 200, size: 1 << 20, truncated: true}},
		{"brotli bomb", "br", coded(t, bomb, "br"), want{status: 200, size: 1 << 20, truncated: true}},
		{"zstd bomb", "zstd", coded(t, bomb, "zstd"), want{status: 200, size: 1 << 20, truncated: true}},
		{"bomb in layers", "gzip, gzip, gzip", coded(t, bomb, "gzip", "gzip", "gzip"), want{status: 200, size: 1 << 20, truncated: true}},
		{"bomb in the middle", "gzip, gzip", coded(t, strings.Repeat(coded(t, "", "gzip"), 1<<18), "gzip"), want{status: 200, truncated: true, detail: "longer than the limit"}},
	}
	b := setup(t, nil, local, "127.0.0.0/8")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", tt.encoding)
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, tt.body)
			}))
			t.Cleanup(s.Close)
			check(t, b.do(t, s.URL, options()), tt.want)
		})
	}
}

func TestHostileHTTP2(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/reset-in-body":
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/headers":
			for i := range 128 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("a", 1000))
			}
		case "/too-many-headers":
			for i := range 500 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("a", 1000))
			}
		case "/stall":
			<-r.Context().Done()
		case "/stall-in-body":
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/endless":
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 64<<10))
			}
		}
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	tests := []struct {
		path    string
		timeout time.Duration
		want    want
	}{
		{"/reset", 0, want{class: crawl.ClassReset}},
		{"/reset-in-body", 0, want{class: crawl.ClassReset, status: 200, body: "hello", truncated: true}},
		{"/headers", 0, want{class: crawl.ClassTooLarge}},
		{"/too-many-headers", 0, want{class: crawl.ClassReset}}, // breaks the connection
		{"/stall", short, want{class: crawl.ClassTimeoutHeaders}},
		{"/stall-in-body", short, want{class: crawl.ClassTimeoutBody, status: 200, body: "hello", truncated: true}},
		{"/endless", 0, want{status: 200, size: 1 << 20, truncated: true}},
		{"/", 0, want{status: 200}},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			// A client of its own: exchanges on one connection break each other.
			b := setup(t, s.Client().Transport.(*http.Transport).TLSClientConfig, local, "127.0.0.0/8")
			opts := options()
			if tt.timeout > 0 {
				opts.Timeout = tt.timeout
			}
			check(t, b.do(t, s.URL+tt.path, opts), tt.want)
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Proto)
	}))
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	trusting := setup(t, secure.Client().Transport.(*http.Transport).TLSClientConfig, local, "127.0.0.0/8")
	wary := setup(t, &tls.Config{MinVersion: tls.VersionTLS12}, local, "127.0.0.0/8")

	t.Run("HTTP/2", func(t *testing.T) {
		got := trusting.do(t, secure.URL, options())
		check(t, got, want{status: 200, body: "HTTP/2.0"})
		if got.Protocol != "HTTP/2.0" || got.RemoteAddr != secure.Listener.Addr().String() {
			t.Errorf("protocol %q, address %q", got.Protocol, got.RemoteAddr)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		check(t, wary.do(t, secure.URL, options()), want{class: crawl.ClassTLS, detail: "certificate"})
	})
	t.Run("plain port", func(t *testing.T) {
		url := "https" + strings.TrimPrefix(plain.URL, "http")
		check(t, wary.do(t, url, options()), want{class: crawl.ClassTLS})
	})
	t.Run("TLS port spoken to in plain", func(t *testing.T) {
		url := "http" + strings.TrimPrefix(secure.URL, "https")
		check(t, wary.do(t, url, options()), want{class: crawl.ClassStatus4xx, status: 400, size: -1})
	})
	for name, serve := range map[string]serve{"closes": send(""), "resets": sendReset(""), "rubbish": send("rubbish rubbish rubbish")} {
		t.Run(name, func(t *testing.T) {
			addr := rawServer(t, func(c net.Conn, stop <-chan struct{}) {
				_, _ = c.Read(make([]byte, 4096))
				serve(c, stop)
			})
			check(t, wary.do(t, "https://"+addr+"/", options()), want{class: crawl.ClassTLS})
		})
	}
	t.Run("stalls", func(t *testing.T) {
		addr := rawServer(t, func(_ net.Conn, stop <-chan struct{}) { <-stop })
		opts := options()
		opts.Timeout = short
		check(t, wary.do(t, "https://"+addr+"/", opts), want{class: crawl.ClassTLS, detail: "after 1.5s"})
	})
}
