package client_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
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
	"github.com/weircrawl/weir/internal/testkit/hostile"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

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

// reached reports whether an exchange got as far as is wanted before its time was over.
func (w want) reached(got client.Result) bool {
	return got.Class == w.class && got.Status == w.status && (w.size != 0 || got.Body.Size >= int64(len(w.body)))
}

// TestHostileSite fetches each behaviour of the hostile site once, and after it a page
// of the same host.
func TestHostileSite(t *testing.T) {
	t.Parallel()
	site, err := hostile.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	b := setup(t, nil, local, hostile.Net)
	for _, target := range site.Targets() {
		t.Run(strings.TrimPrefix(target.Name, "/"), func(t *testing.T) {
			t.Parallel()
			opts := options()
			hw := target.Want.For(opts.MaxBody)
			w := want{class: hw.Class, status: hw.Status, body: hw.Body, size: hw.Size, truncated: hw.Truncated, detail: hw.Detail, redirect: hw.Redirect}
			var got client.Result
			if hw.Slow {
				got = b.doLate(t, target.URL, opts, w.reached)
			} else {
				got = b.do(t, target.URL, opts)
			}
			if hw.Class == crawl.ClassStatus429 && got.Status == 200 && site.Requests(target.Name) > 1 {
				// Its connection held what another behaviour had said too much, so that the
				// page was asked for twice; and the second answer is the page.
				w = want{status: 200, size: -1}
			}
			check(t, got, w)
			after := b.do(t, site.Good("after"), options())
			check(t, after, want{status: 200, size: -1})
			if body := text(t, after.Body); !strings.Contains(body, "/good/after") {
				t.Errorf("the next page is %q", body)
			}
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
		{"bomb in the middle", "gzip, gzip", coded(t, strings.Repeat(coded(t, "", "gzip"), 1<<18), "gzip"), want{class: crawl.ClassTooLarge, status: 200, truncated: true, detail: "longer than the limit"}},
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
		path string
		slow bool
		want want
	}{
		{"/reset", false, want{class: crawl.ClassReset}},
		{"/reset-in-body", false, want{class: crawl.ClassReset, status: 200, body: "hello", truncated: true}},
		{"/headers", false, want{class: crawl.ClassTooLarge}},
		{"/too-many-headers", false, want{class: crawl.ClassReset}}, // breaks the connection
		{"/stall", true, want{class: crawl.ClassTimeoutHeaders}},
		{"/stall-in-body", true, want{class: crawl.ClassTimeoutBody, status: 200, body: "hello", truncated: true}},
		{"/endless", false, want{status: 200, size: 1 << 20, truncated: true}},
		{"/", false, want{status: 200}},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			// A client of its own: exchanges on one connection break each other.
			b := setup(t, s.Client().Transport.(*http.Transport).TLSClientConfig, local, "127.0.0.0/8")
			if tt.slow {
				check(t, b.doLate(t, s.URL+tt.path, options(), tt.want.reached), tt.want)
				return
			}
			check(t, b.do(t, s.URL+tt.path, options()), tt.want)
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
	t.Run("TLS port spoken to in plain", func(t *testing.T) {
		url := "http" + strings.TrimPrefix(secure.URL, "https")
		check(t, wary.do(t, url, options()), want{class: crawl.ClassStatus4xx, status: 400, size: -1})
	})
}
