package archive

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/testkit/s3test"
	"github.com/weircrawl/weir/internal/warc"
)

// cpuTime is what this process has used so far, in all threads.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pageText is about 16 KiB of HTML, which compresses to a third.
func pageText(n int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	var b bytes.Buffer
	for link := 0; b.Len() < 16<<10; link++ {
		b.WriteString("<p class=\"text\">")
		for range 30 {
			fmt.Fprintf(&b, "%s%x ", []string{"river", "weir", "stone", "fish", "gate"}[rng.IntN(5)], rng.IntN(4096))
		}
		fmt.Fprintf(&b, "<a href=\"/section/%d/page-%d.html\">Link %d</a></p>\n", rng.IntN(20), rng.IntN(10000), link)
	}
	return b.Bytes()
}

// benchExchanges are pages of 16 KiB with headers and facts as a crawl has them.
func benchExchanges(b *testing.B, n, crawls int) []*Exchange {
	b.Helper()
	xs := make([]*Exchange, n)
	for i := range xs {
		text := pageText(i % 32)
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, 1)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = w.Write(text)
		_, _ = w.Flush(), w.Close()
		trimmed, _ := warc.Trim(packed.Bytes())
		sum := sha256.Sum256(text)
		id := sha256.Sum256(fmt.Append(nil, i))
		xs[i] = &Exchange{
			Crawl: fmt.Sprint("crawl", i%crawls), ID: NewID(id[:]), URL: fmt.Sprintf("https://shop.example/section/%d/page-%d.html", i%20, i), At: when,
			Remote: netip.MustParseAddr("192.0.2.1"), Protocol: "HTTP/1.1", Status: 200,
			Request: []Header{{"User-Agent", []byte("WeirBot/1.0 (+https://weir.example/bot)")}, {"Accept", []byte("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")}, {"Accept-Encoding", []byte("gzip, deflate, br, zstd")}},
			Response: []Header{{"Content-Type", []byte("text/html; charset=utf-8")}, {"Content-Encoding", []byte("gzip")}, {"Date", []byte("Sun, 22 Nov 2026 10:11:12 GMT")},
				{"Etag", []byte(`"5f3-5e9a"`)}, {"Server", []byte("nginx")}, {"Vary", []byte("Accept-Encoding")}},
			Facts: []Header{{"crawl", []byte("0ikq5c2mvtqfl1s8g8c1hmk3d0")}, {"generation", []byte("1")}, {"attempt", []byte("1")}, {"lease", []byte("123456789")}, {"depth", []byte("3")}, {"fetchTimeMs", []byte("87")}, {"charset", []byte("utf-8")}},
			Body:  Body{Deflate: trimmed, Sum: warc.Sum{Size: int64(len(text)), CRC32: crc32.ChecksumIEEE(text)}, SHA256: sum[:]},
		}
	}
	return xs
}

// BenchmarkAppend is a batch of 256 pages of so many crawls, durable, without the
// compression of their bodies: see BenchmarkDeflate. The S3 server is in the same
// process, so that its CPU is in the figure.
func BenchmarkAppend(b *testing.B) {
	if err := s3test.Credentials(os.Setenv); err != nil {
		b.Fatal(err)
	}
	for _, crawls := range []int{1, 16, 256} {
		for _, medium := range []string{"files", "s3"} {
			b.Run(fmt.Sprintf("%s/crawls=%d", medium, crawls), func(b *testing.B) {
				cfg := Config{Dir: b.TempDir(), MaxSize: 1 << 40, MaxAge: time.Hour, Suffix: "b", Software: "Weir/bench"}
				var server *s3test.Server
				if medium == "s3" {
					server = s3test.Start(b)
					var err error
					if cfg.Store, err = blob.Open(b.Context(), server.URL("a")); err != nil {
						b.Fatal(err)
					}
				}
				idx := &memIndex{}
				a, err := Open(b.Context(), cfg, idx, nil, slog.New(slog.DiscardHandler))
				if err != nil {
					b.Fatal(err)
				}
				defer a.Close()
				xs := benchExchanges(b, 256, crawls)
				var written int64
				pages, syncs := 0, 0
				start := cpuTime(b)
				for b.Loop() {
					r, err := a.Append(b.Context(), when, xs)
					if err != nil {
						b.Fatal(err)
					}
					idx.keep(a, r)
					for _, n := range r.Bytes {
						written += n
					}
					pages, syncs = pages+len(xs), syncs+len(r.Sizes)
				}
				b.ReportMetric(float64((cpuTime(b)-start).Nanoseconds())/float64(pages)/1000, "cpu-µs/page")
				b.ReportMetric(float64(written)/float64(pages), "B/page")
				if server == nil {
					b.ReportMetric(float64(syncs)/float64(pages), "fsyncs/page")
				} else {
					b.ReportMetric(float64(server.Requests()["PUT"])/float64(pages), "PUTs/page")
				}
			})
		}
	}
}

// BenchmarkDeflate is what the fetcher pays for the compression of a page.
func BenchmarkDeflate(b *testing.B) {
	text := pageText(1)
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		out.Reset()
		w.Reset(&out)
		_, _ = w.Write(text)
		_, _ = w.Flush(), w.Close()
	}
	b.ReportMetric(float64(out.Len()), "B/page")
}

// BenchmarkFinish is the merging, indexing and sealing of a segment of 8,192 pages.
func BenchmarkFinish(b *testing.B) {
	if err := s3test.Credentials(os.Setenv); err != nil {
		b.Fatal(err)
	}
	for _, medium := range []string{"files", "s3"} {
		b.Run(medium, func(b *testing.B) {
			xs := benchExchanges(b, 256, 1)
			pages := 0
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				cfg := Config{Dir: b.TempDir(), MaxSize: 1 << 40, MaxAge: time.Hour, Suffix: "b", Software: "Weir/bench"}
				if medium == "s3" {
					var err error
					if cfg.Store, err = blob.Open(b.Context(), s3test.Start(b).URL("a")); err != nil {
						b.Fatal(err)
					}
				}
				idx := &memIndex{}
				a, err := Open(b.Context(), cfg, idx, nil, slog.New(slog.DiscardHandler))
				if err != nil {
					b.Fatal(err)
				}
				for range 32 {
					r, err := a.Append(b.Context(), when, xs)
					if err != nil {
						b.Fatal(err)
					}
					idx.keep(a, r)
					pages += len(xs)
				}
				b.StartTimer()
				start := cpuTime(b)
				if n, err := a.Tend(b.Context(), when.Add(2*time.Hour)); n != 1 || err != nil {
					b.Fatal(n, err)
				}
				used += cpuTime(b) - start
				_ = a.Close()
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(pages)/1000, "cpu-µs/page")
		})
	}
}
