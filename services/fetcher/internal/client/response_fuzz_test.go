package client_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weircrawl/weir/internal/crawl"
)

// FuzzResponse answers a request with anything and checks that the exchange ends,
// with an outcome of a closed set, within its bounds, and that the next one is not
// the worse for it.
func FuzzResponse(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, s := range []string{
		"", ok, ok + "\r\nhello", ok + "Content-Length: 5\r\n\r\nhello", ok + "Content-Length: 3\r\n\r\nhello" + ok, "HTTP/1.0 200\n\nx",
		ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", ok + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nfffffffffffffff1\r\n",
		ok + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x01\x00\xfe\xffx", ok + "Content-Encoding: br, zstd, deflate\r\n\r\n\xcb\xff\xff\xff\x3f\x00\x24\x00",
		"HTTP/1.1 302 Found\r\nLocation: //[::1]:\xff/a\r\nSet-Cookie: a=b\r\n\r\n", "HTTP/1.1 503 x\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nDate: 1\r\n\r\n",
		"HTTP/1.1 100 \r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 204 \r\n\r\nx", "HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 001 \r\n\r\n", "HTTP/1.1 204\n\n\n ",
		ok + "X: a\r\n b\r\n\tc\r\nx\x00y: \xff\r\n\r\n", ok + "Set-Cookie: a=\"\x01\"; Domain=.; Path=/; Max-Age=-9999999999999999999\r\n\r\n", "HTTP/1.1 304 \r\nETag: \xff\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
	var answer atomic.Pointer[[]byte]
	addr := rawServer(f, func(c net.Conn, _ <-chan struct{}) {
		// What the fuzzer makes goes out whole, and then nothing more.
		if strings.HasPrefix(readRequest(c), "GET /good ") {
			_, _ = c.Write([]byte(good))
			return
		}
		_, _ = c.Write(*answer.Load())
	})
	b := setup(f, nil, local, "127.0.0.0/8")
	opts := options()
	opts.MaxBody, opts.Timeout = 64<<10, 10*time.Second
	f.Fuzz(func(t *testing.T, raw []byte) {
		answer.Store(&raw)
		got := b.do(t, "http://"+addr+"/x", opts)
		if int(got.Class) >= crawl.Classes || got.Class != crawl.ClassNone && got.Detail == "" {
			t.Errorf("class %d, detail %q", got.Class, got.Detail)
		}
		if strings.ContainsAny(got.Detail, "\r\n") || !utf8.ValidString(got.Detail) || len(got.Detail) > 310 {
			t.Errorf("detail %q", got.Detail)
		}
		if got.Status < 0 || got.Status > 999 || got.Status > 0 && got.Status < 200 && got.Class != crawl.ClassBadResponse || got.RetryAfter < 0 || got.RetryAfter > 24*time.Hour {
			t.Errorf("status %d, wait %s", got.Status, got.RetryAfter)
		}
		if int64(len(text(t, got.Body))) != got.Body.Size || got.Body.Size > opts.MaxBody {
			t.Errorf("body of %d bytes says %d", len(text(t, got.Body)), got.Body.Size)
		}
		if got.Redirect != "" {
			if again, err := opts.Canon.Parse(got.Redirect); err != nil || again.String() != got.Redirect {
				t.Errorf("redirect %q is not canonical: %q, %v", got.Redirect, again, err)
			}
		}
		for _, h := range got.Header {
			if h.Name == "" || strings.ContainsAny(h.Value, "\r\n") {
				t.Errorf("header %q: %q", h.Name, h.Value)
			}
		}
		// A connection on which there was more to read is no use to the next.
		if next := b.do(t, "http://"+addr+"/good", opts); next.Class != crawl.ClassReset && (next.Class != crawl.ClassNone || text(t, next.Body) != "good") {
			t.Errorf("the next exchange: %s, %q", next.Class, next.Detail)
		}
	})
}
