package client_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

// hasty is a client that judges the speed of bodies over half a second.
func hasty(t testing.TB) *bench {
	t.Helper()
	cfg := testConfig()
	cfg.SpeedWindow = 500 * time.Millisecond
	c := client.New(cfg, guard.New(loopback()), resolve.New(resolve.DefaultConfig(), local))
	t.Cleanup(c.Close)
	return &bench{client: c, budget: newBudget(64 << 20)}
}

func TestMinSpeed(t *testing.T) {
	t.Parallel()
	ok := "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name  string
		serve serve
		speed int64
		want  want
	}{
		// Far below and far above the least speed: a byte each 10 ms is at most 100 a second.
		{"drip", drip(ok+"\r\n", "x"), 1000, want{class: crawl.ClassTooSlow, status: 200, size: -1, truncated: true, detail: "slower than 1000 bytes a second (fetch.min_speed)"}},
		{"stall", sendStall(ok + lines("Content-Length: 10", "") + "hello"), 1, want{class: crawl.ClassTooSlow, status: 200, body: "hello", truncated: true, detail: "5 bytes came"}},
		{"stall of a coded body", sendStall(ok + lines("Content-Encoding: gzip", "") + coded(t, "hello", "gzip")[:12]), 1, want{class: crawl.ClassTooSlow, status: 200, size: -1, truncated: true}},
		{"no bound", drip(ok+"\r\n", "x"), 0, want{class: crawl.ClassTimeoutBody, status: 200, size: -1, truncated: true}},
		{"fast enough", repeat(ok+"\r\n", strings.Repeat("x", 64<<10)), 1000, want{status: 200, size: 1 << 20, truncated: true}},
		{"an error page", drip("HTTP/1.1 404 Not Found\r\n\r\n", "x"), 1000, want{class: crawl.ClassStatus4xx, status: 404, size: -1, truncated: true}},
		{"over before it is judged", send(ok + lines("Content-Length: 5", "") + "hello"), 10 << 20, want{status: 200, body: "hello"}},
	}
	b := hasty(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := rawServer(t, func(c net.Conn, stop <-chan struct{}) {
				readRequest(c)
				tt.serve(c, stop)
			})
			opts := options()
			opts.MinSpeed = tt.speed
			opts.Timeout = time.Minute
			if tt.speed == 0 {
				check(t, b.doLate(t, "http://"+addr+"/", opts, tt.want.reached), tt.want)
				return
			}
			check(t, b.do(t, "http://"+addr+"/", opts), tt.want)
		})
	}
}

// TestWaitingForMemoryIsNotSlow: a body that waits for others is read by nobody.
func TestWaitingForMemoryIsNotSlow(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("x", 300<<10)
	addr := rawServer(t, func(c net.Conn, _ <-chan struct{}) {
		readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+page)
	})
	b := hasty(t)
	b.budget = newBudget(4 << 20)
	hold := make(chan struct{})
	held, err := b.budget.Open(t.Context(), 2<<20-client.BaseWeight)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Grow(t.Context(), 2<<20); err != nil { // all the rest, and the lane with it
		t.Fatal(err)
	}
	go func() {
		defer close(hold)
		timer := time.NewTimer(1500 * time.Millisecond) // three windows
		defer timer.Stop()
		<-timer.C
		held.Close()
	}()
	opts := options()
	opts.MinSpeed = 1000
	check(t, b.do(t, "http://"+addr+"/", opts), want{status: 200, body: page})
	<-hold
}

func TestTimings(t *testing.T) {
	t.Parallel()
	_, secure := sites(t)
	b := setup(t, secure.Client().Transport.(*http.Transport).TLSClientConfig, local, "127.0.0.0/8")
	first := b.do(t, named(secure, "example.com"), options())
	tm := first.Timings
	if tm.Reused || tm.DNS <= 0 || tm.Connect <= 0 || tm.TLS <= 0 || tm.FirstByte <= 0 || tm.Body <= 0 {
		t.Errorf("fresh: %+v", tm)
	}
	if sum := tm.DNS + tm.Connect + tm.TLS + tm.FirstByte; sum > first.Duration {
		t.Errorf("steps of %s in %s", sum, first.Duration)
	}
	b.kept(func() { tm = b.do(t, named(secure, "example.com"), options()).Timings })
	if !tm.Reused || tm.DNS != 0 || tm.Connect != 0 || tm.TLS != 0 || tm.FirstByte <= 0 || tm.Body <= 0 {
		t.Errorf("reused: %+v", tm)
	}
	gone := b.do(t, "http://127.0.0.1:1/", options())
	if gone.Timings.FirstByte != 0 || gone.Timings.Body != 0 {
		t.Errorf("no connection: %+v", gone.Timings)
	}
}

func TestWireSize(t *testing.T) {
	t.Parallel()
	packed := coded(t, strings.Repeat("hello ", 1000), "gzip")
	addr := rawServer(t, func(c net.Conn, _ <-chan struct{}) {
		readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n"+packed)
	})
	got := setup(t, nil, local, "127.0.0.0/8").do(t, "http://"+addr+"/", options())
	if got.WireSize != int64(len(packed)) || got.Body.Size != 6000 {
		t.Errorf("%d bytes on the wire, want %d; body of %d", got.WireSize, len(packed), got.Body.Size)
	}
}
