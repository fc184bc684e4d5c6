package storage

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	"github.com/weircrawl/weir/internal/warc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
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

// htmlPage is about 16 KiB with 41 links, which compresses to about a fifth.
func htmlPage(n int) string {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	words := strings.Fields("the of and water river fish weir stone flow measured rate keeps stream gate level upstream bank bridge mill pond season spring autumn")
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!doctype html><html><head><title>Page %d</title></head><body>", n)
	for link := 0; b.Len() < 16<<10; link++ {
		b.WriteString("<p class=\"text\">")
		for range 40 {
			b.WriteString(words[rng.IntN(len(words))])
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "<a href=\"/section/%d/page-%d.html\">Link %d</a></p>\n", rng.IntN(20), rng.IntN(10000), link)
	}
	return b.String()
}

// benchRecord is a record of a page of 16 KiB, 41 outlinks and one item.
func benchRecord(n int, body *crawlv1.Body) *crawlv1.Record {
	r := recordOf(n, body)
	r.Parsed.Outlinks = nil
	for i := range 41 {
		r.Parsed.Outlinks = append(r.Parsed.Outlinks, &crawlv1.Outlink{Url: fmt.Sprintf("http://example.com/section/%d/page-%d.html", n%20, (n*41+i)%10000), Depth: 3})
	}
	r.Parsed.Items[0].Json = fmt.Appendf(nil, `{"bytes":16384,"content_type":"text/html","depth":2,"description":"","language":"en","links":41,"status":200,"title":"Page %d","_url":%q,"_rule":"page","_fetched_at":"2026-11-22T10:11:12.345Z"}`, n, r.Ref.Url)
	return r
}

func benchBodies() []*crawlv1.Body {
	var bodies []*crawlv1.Body
	for n := range 20 {
		bodies = append(bodies, bodyOf(htmlPage(n)))
	}
	return bodies
}

func openBench(b *testing.B, nc *bus.Bus) *Service {
	b.Helper()
	cfg := DefaultConfig()
	cfg.Dir = b.TempDir()
	s, err := New(cfg, Deps{Bus: nc, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkStore is decoding, archive, catalogue and making results, fsyncs
// included, without the bus, in batches of 128.
func BenchmarkStore(b *testing.B) {
	s := openBench(b, nil)
	defer s.Close()
	bodies := benchBodies()
	const batch = 128
	n := 0
	var used time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		ds := make([]bus.Delivery, batch)
		for i := range ds {
			ds[i] = bus.Delivery{Data: marshal(b, benchRecord(n, bodies[n%len(bodies)])), Number: 1}
			n++
		}
		runtime.GC() // of the making of records
		b.StartTimer()
		start := cpuTime(b)
		e, err := s.decode(ds)
		if err == nil {
			err = s.store(context.Background(), e)
		}
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range e.entries {
			if _, err := s.result(context.Background(), e); err != nil {
				b.Fatal(err)
			}
		}
		e.close()
		used += cpuTime(b) - start
	}
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/page")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "pages/s")
}

// BenchmarkServer is the whole service with an embedded NATS server in the same
// process: its CPU is in the figure, as is the publishing of the records.
func BenchmarkServer(b *testing.B) {
	nc := natstest.Bus(b)
	s := openBench(b, nc)
	bodies := benchBodies()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	results := make(chan struct{}, 1024)
	drained := make(chan error, 1)
	go func() {
		drained <- nc.ConsumeBatch(ctx, bus.NewConsumerSet(bus.ResultConsumer(0)), bus.BatchOptions{Max: 64, Age: 2 * time.Millisecond}, func(_ context.Context, ds []bus.Delivery) error {
			for range ds {
				results <- struct{}{}
			}
			return nil
		})
	}()
	n := 0
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		msgs := make([]bus.Message, 512)
		for i := range msgs {
			msgs[i] = bus.Record(benchRecord(n, bodies[n%len(bodies)]))
			n++
		}
		b.StartTimer()
		start := cpuTime(b)
		if err := nc.PublishAll(ctx, msgs...); err != nil {
			b.Fatal(err)
		}
		for range msgs {
			<-results
		}
		used += cpuTime(b) - start
	}
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/page")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "pages/s")
	cancel()
	<-done
	_ = s.Close() // nothing is read after it
	<-drained
}

// BenchmarkTrim shows what the sync marker is worth.
func BenchmarkTrim(b *testing.B) {
	text := htmlPage(1)
	sum := warc.Sum{Size: int64(len(text)), CRC32: bodyOf(text).GetCrc32()}
	for name, stream := range map[string][]byte{"flushed": deflated(text), "only closed": closedOnly(text)} {
		b.Run(name, func(b *testing.B) {
			b.ReportMetric(float64(len(stream)), "bytes")
			var rs warc.Resyncer
			for b.Loop() {
				if _, _, err := trim(&rs, stream, sum); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
