package trace

import (
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/otlptest"
)

// BenchmarkSpan is what one span of a traced visit costs, its export included, and what
// it costs to find that a message is not traced.
func BenchmarkSpan(b *testing.B) {
	c := otlptest.Start(b)
	e, err := New(Config{Endpoint: c.Addr(), Sample: 1, Insecure: true}, Deps{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Shutdown(b.Context()) }()
	t := e.Tracer("x")
	first := t.Begin("crawl", 1, "schedule", time.Now())
	defer first.End(nil)
	run := func(name, place string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			begin := cpu(b)
			n := 0
			for b.Loop() {
				n++
				s := t.Receive(place, time.Time{}, "tasks", "fetch")
				if s != nil {
					s.Set(URL("http://a.test/page"), Crawl("crawl"), Status(200))
				}
				_ = s.Place()
				s.End(nil)
			}
			b.ReportMetric(float64(cpu(b)-begin)/float64(n), "cpu-ns/op")
		})
	}
	run("traced", first.Place())
	run("not traced", "")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
