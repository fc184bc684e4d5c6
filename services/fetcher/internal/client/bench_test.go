package client_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// pageServer answers every request on a connection with one page, at next to no
// cost of its own.
func pageServer(b *testing.B, size int) string {
	var page bytes.Buffer
	for i := 0; page.Len() < size; i++ {
		fmt.Fprintf(&page, "<p>Paragraph %d with <a href=\"/page/%d\">a link</a> and words %x.</p>\n", i, i*7919%1000, i*2654435761)
	}
	page.Truncate(size)
	answer := append([]byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nServer: bench\r\n"+
		"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: %d\r\n\r\n", size)), page.Bytes()...)
	return rawServer(b, func(c net.Conn, _ <-chan struct{}) {
		buf := make([]byte, 8192)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}
	})
}

// reportCPU reports the processor time of the whole process, server included: the
// figure to trust on a machine that others use too.
func reportCPU(b *testing.B) {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-start)/float64(max(b.N, 1)), "cpu-ns/op") })
}

// BenchmarkExchange is one exchange of a page of 16 KiB, with all that the fetcher
// does to it: guard, limits, hashes, compression.
func BenchmarkExchange(b *testing.B) {
	addr := pageServer(b, 16<<10)
	s := setup(b, nil, local, "127.0.0.0/8")
	opts := options()
	u, err := opts.Canon.Parse("http://" + addr + "/page")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	reportCPU(b)
	for b.Loop() {
		acc, err := s.budget.Open(b.Context(), client.BaseWeight)
		if err != nil {
			b.Fatal(err)
		}
		res, err := s.client.Do(b.Context(), u, opts, acc)
		acc.Close()
		if err != nil || res.Body.Size != 16<<10 {
			b.Fatalf("%v %+v", err, res)
		}
	}
}

// BenchmarkBare is the same page through nothing but net/http.
func BenchmarkBare(b *testing.B) {
	addr := pageServer(b, 16<<10)
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	b.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr}
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	reportCPU(b)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+addr+"/page", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("User-Agent", "Weir/test")
		req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
		resp, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.ReadFull(resp.Body, buf)
		if n != 16<<10 || err != io.ErrUnexpectedEOF {
			b.Fatal(n, err)
		}
		_ = resp.Body.Close()
	}
}
