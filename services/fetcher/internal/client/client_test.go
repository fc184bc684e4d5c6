package client_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/vacant"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestRedirects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, location string
		status         int
		want           want // redirect without scheme is on the same server
	}{
		{"absolute", "http://other.example/a", 301, want{redirect: "http://other.example/a"}},
		{"scheme change", "https://other.example:443/", 302, want{redirect: "https://other.example/"}},
		{"path", "/b?c=d", 303, want{redirect: "/b?c=d"}},
		{"relative", "e", 307, want{redirect: "/dir/e"}},
		{"parent", "../f", 308, want{redirect: "/f"}},
		{"query only", "?g=h", 302, want{redirect: "/dir/page?g=h"}},
		{"scheme relative", "//other.example/i", 302, want{redirect: "http://other.example/i"}},
		{"request of a stranger", "/j#!method=POST&body=x", 307, want{redirect: "/j"}},
		{"fragment dropped", "/j#k", 302, want{redirect: "/j"}},
		{"spaces around", "  /l  ", 302, want{redirect: "/l"}},
		{"unencoded", "/caf\u00e9 x", 302, want{redirect: "/caf%C3%A9%20x"}},
		{"upper case host", "HTTP://Other.EXAMPLE/M", 302, want{redirect: "http://other.example/M"}},
		{"backslashes", "\\n", 302, want{redirect: "/n"}},
		{"multiple choices", "/o", 300, want{redirect: "/o"}},
		{"to itself", "/dir/page", 302, want{class: crawl.ClassRedirectLoop, redirect: "/dir/page"}},
		{"to itself by fragment", "#x", 302, want{class: crawl.ClassRedirectLoop, redirect: "/dir/page"}},
		{"none", "", 302, want{class: crawl.ClassBadResponse, detail: "without a Location"}},
		{"not modified", "/p", 304, want{class: crawl.ClassBadResponse}},
		{"mailto", "mailto:a@b.example", 302, want{class: crawl.ClassBadResponse, detail: "scheme"}},
		{"javascript", "javascript:alert(1)", 302, want{class: crawl.ClassBadResponse}},
		{"bad host", "http://[::/", 302, want{class: crawl.ClassBadResponse}},
		{"too long", "/" + strings.Repeat("q", 9000), 302, want{class: crawl.ClassBadResponse, detail: "too long"}},
		{"not on success", "/r", 200, want{}},
		{"not on errors", "/s", 404, want{class: crawl.ClassStatus4xx}},
	}
	b := setup(t, nil, local, "127.0.0.0/8")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.location != "" {
					w.Header()["Location"] = []string{tt.location}
				}
				w.WriteHeader(tt.status)
			}))
			t.Cleanup(s.Close)
			tt.want.status = tt.status
			if strings.HasPrefix(tt.want.redirect, "/") {
				tt.want.redirect = s.URL + tt.want.redirect
			}
			check(t, b.do(t, s.URL+"/dir/page", options()), tt.want)
		})
	}
}

func TestStatusesAndRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, retryAfter string
		status           int
		class            crawl.Class
		least, most      time.Duration
	}{
		{"seconds", "120", 429, crawl.ClassStatus429, 2 * time.Minute, 2 * time.Minute},
		{"date", "Fri, 31 Dec 2100 23:59:59 GMT", 503, crawl.ClassStatus5xx, 24 * time.Hour, 24 * time.Hour},
		{"date past", "Fri, 31 Dec 1999 23:59:59 GMT", 503, crawl.ClassStatus5xx, 0, 0},
		{"date soon", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 503, crawl.ClassStatus5xx, time.Minute, time.Hour},
		{"old date form", "Friday, 31-Dec-99 23:59:59 GMT", 503, crawl.ClassStatus5xx, 0, 24 * time.Hour},
		{"too long", "99999999999999999999999", 429, crawl.ClassStatus429, 24 * time.Hour, 24 * time.Hour},
		{"negative", "-5", 429, crawl.ClassStatus429, 0, 0},
		{"fraction", "1.5", 429, crawl.ClassStatus429, 0, 0},
		{"rubbish", "soon", 429, crawl.ClassStatus429, 0, 0},
		{"none", "", 500, crawl.ClassStatus5xx, 0, 0},
		{"not on success", "10", 200, crawl.ClassNone, 0, 0},
		{"404", "", 404, crawl.ClassStatus4xx, 0, 0},
	}
	b := setup(t, nil, local, "127.0.0.0/8")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", tt.retryAfter)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, "sorry")
			}))
			t.Cleanup(s.Close)
			got := b.do(t, s.URL, options())
			check(t, got, want{class: tt.class, status: tt.status, body: "sorry"})
			if got.RetryAfter < tt.least || got.RetryAfter > tt.most {
				t.Errorf("retry after %s, want %s to %s", got.RetryAfter, tt.least, tt.most)
			}
		})
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	names := func(ctx context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "none.example.":
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		case "busy.example.":
			return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
		case "slow.example.":
			<-ctx.Done()
			return nil, ctx.Err()
		case "inside.example.":
			return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("169.254.169.254")}, nil
		case "mixed.example.":
			return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.1")}, nil
		}
		return local(ctx, host)
	}
	closed := vacant.Addr(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())

	b := setup(t, nil, names, "127.0.0.0/8")
	guarded := setup(t, nil, names)
	tests := []struct {
		name, url string
		b         *bench
		want      want
	}{
		{"unknown name", "http://none.example/", b, want{class: crawl.ClassDNSNXDomain, detail: "look up none.example: no such host"}},
		{"resolver down", "http://busy.example/", b, want{class: crawl.ClassDNSTemporary, detail: "server misbehaving"}},
		{"resolver stalls", "http://slow.example/", b, want{class: crawl.ClassDNSTemporary, detail: "after 1.5s"}},
		{"refused", "http://" + closed + "/", b, want{class: crawl.ClassConnectRefused, detail: "refused"}},
		{"private by name", "http://inside.example/", b, want{class: crawl.ClassAddressDenied, detail: "10.0.0.1 is a private address; allow it with --allow-net 10.0.0.0/8"}},
		{"loopback", "http://" + closed + "/", guarded, want{class: crawl.ClassAddressDenied, detail: "127.0.0.1 is a loopback address; allow it with --allow-net 127.0.0.0/8"}},
		{"loopback in hex", "http://0x7f.1/", guarded, want{class: crawl.ClassAddressDenied, detail: "127.0.0.1 is a loopback address"}},
		{"loopback in decimal", "http://2130706433/", guarded, want{class: crawl.ClassAddressDenied, detail: "127.0.0.1 is a loopback address"}},
		{"loopback in octal", "http://0177.0.0.1/", guarded, want{class: crawl.ClassAddressDenied, detail: "127.0.0.1 is a loopback address"}},
		{"loopback by IPv6", "http://[::ffff:127.0.0.1]/", guarded, want{class: crawl.ClassAddressDenied, detail: "IPv4-mapped"}},
		{"loopback by name", "http://localhost.example/", guarded, want{class: crawl.ClassAddressDenied, detail: "127.0.0.1 is a loopback address"}},
		{"metadata", "http://169.254.169.254/latest/meta-data/", guarded, want{class: crawl.ClassAddressDenied, detail: "a cloud metadata address"}},
		{"by name", "http://site.example:" + port + "/", b, want{status: 200, body: "site.example:" + port}},
		{"second address answers", "http://mixed.example:" + port + "/", b, want{status: 200, body: "mixed.example:" + port}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(tt.want.detail, "1.5s") {
				check(t, tt.b.doLate(t, tt.url, options(), tt.want.reached), tt.want)
				return
			}
			check(t, tt.b.do(t, tt.url, options()), tt.want)
		})
	}
}

func TestRequestAndResponseHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	addr := rawServer(t, func(c net.Conn, _ <-chan struct{}) {
		got <- readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nSet-Cookie: b=2\r\nset-cookie: a=1\r\nContent-Encoding: identity\r\nX-Raw: \xff\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	})
	b := setup(t, nil, local, "127.0.0.0/8")
	opts := options()
	opts.Header.Set("X-Team", "crawling")
	res := b.do(t, "http://"+addr+"/a%zz|b//c?d=%&e", opts)
	wantRequest := lines("GET /a%zz|b//c?d=%&e HTTP/1.1", "Host: "+addr, "User-Agent: Weir/test",
		"Accept-Encoding: gzip, deflate, br, zstd", "X-Team: crawling", "")
	if diff := cmp.Diff(wantRequest, <-got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	wantHeader := []client.Header{
		{Name: "Content-Encoding", Value: "identity"}, {Name: "Set-Cookie", Value: "b=2"}, {Name: "Set-Cookie", Value: "a=1"},
		{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "X-Raw", Value: "\xff"},
	}
	if diff := cmp.Diff(wantHeader, res.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if res.RemoteAddr != addr || res.Protocol != "HTTP/1.1" || res.Start.IsZero() || res.Duration <= 0 {
		t.Errorf("result %+v", res)
	}
}

func TestRequestTargets(t *testing.T) {
	t.Parallel()
	targets := make(chan string, 1)
	addr := rawServer(t, func(c net.Conn, _ <-chan struct{}) {
		line, _, _ := strings.Cut(readRequest(c), "\r\n")
		targets <- line
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	b := setup(t, nil, local, "127.0.0.0/8")
	for path, want := range map[string]string{
		"/":            "/",
		"/a?":          "/a?",
		"/a?b=c":       "/a?b=c",
		"//x/y?z":      "//x/y?z",
		"//x%zz":       "http://" + addr + "//x%zz",
		"/%7Euser/|":   "/%7Euser/|",
		"/a;b=c/d,e'f": "/a;b=c/d,e'f",
	} {
		u := "http://" + addr + path
		canonical, err := options().Canon.Parse(u)
		if err != nil || canonical.String() != u {
			t.Errorf("%s is not canonical: %s %v", u, canonical, err)
			continue
		}
		b.do(t, u, options())
		if got := <-targets; got != "GET "+want+" HTTP/1.1" {
			t.Errorf("%s asked as %q", path, got)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("page ", 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if enc := r.URL.Query().Get("enc"); enc != "" {
			w.Header().Set("Content-Encoding", map[string]string{"zlib": "deflate", "flate": "deflate"}[enc]+strings.Trim(enc, "zlibfate"))
			if enc == "gzip" || enc == "br" || enc == "zstd" {
				w.Header().Set("Content-Encoding", enc)
			}
			_, _ = io.WriteString(w, coded(t, page, enc))
			w.(http.Flusher).Flush() // chunked
			return
		}
		_, _ = io.WriteString(w, page)
	}))
	t.Cleanup(s.Close)
	b := setup(t, nil, local, "127.0.0.0/8")
	for _, enc := range []string{"", "gzip", "zlib", "flate", "br", "zstd"} {
		exchange := func() { check(t, b.do(t, s.URL+"/?enc="+enc, options()), want{status: 200, body: page}) }
		exchange() // leaves its connection to the next
		if !b.kept(exchange) {
			t.Errorf("%q: every exchange has a connection of its own", enc)
		}
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	stopping := errors.New("stopping")
	arrived := make(chan struct{})
	addr := rawServer(t, func(c net.Conn, stop <-chan struct{}) {
		readRequest(c)
		close(arrived)
		<-stop
	})
	b := setup(t, nil, local, "127.0.0.0/8")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(stopping)
	}()
	acc, err := b.budget.Open(ctx, client.BaseWeight)
	if err != nil {
		t.Fatal(err)
	}
	defer acc.Close()
	u, _ := options().Canon.Parse("http://" + addr + "/")
	if _, err := b.client.Do(ctx, u, options(), acc); !errors.Is(err, stopping) {
		t.Errorf("cancelled exchange: %v", err)
	}
}

func TestLongBodiesShareMemory(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noise := make([]byte, 64<<10)
		for i := range noise {
			noise[i] = byte(i * i >> 3 * (i | 7) >> 5)
		}
		for range 8 {
			_, _ = w.Write(noise)
		}
	}))
	t.Cleanup(s.Close)
	b := setup(t, nil, local, "127.0.0.0/8")
	b.budget = newBudget(4 << 20)
	results := make(chan client.Result)
	for range 12 {
		go func() { results <- b.do(t, s.URL, options()) }()
	}
	for range 12 {
		if res := <-results; res.Class != crawl.ClassNone || res.Body.Size != 512<<10 {
			t.Errorf("%s %q, %d bytes", res.Class, res.Detail, res.Body.Size)
		}
	}
	if b.budget.Held() != 0 {
		t.Errorf("%d bytes still held", b.budget.Held())
	}
}
