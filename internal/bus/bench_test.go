package bus_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// BenchmarkHop is one message published, taken and acked, with the server's
// share of the work, since it runs in the process.
func BenchmarkHop(b *testing.B) {
	body := &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: make([]byte, 4096)}}
	const window = 200 // in flight at once, as in a busy ring
	hop := func(consume func(*bus.Bus, context.Context, func(int)) error) func(*testing.B) {
		return func(b *testing.B) {
			_, bs := start(b, bus.EmbeddedConfig())
			room := make(chan struct{}, window)
			stop := background(b, func(ctx context.Context) error {
				return consume(bs, ctx, func(n int) {
					for range n {
						<-room
					}
				})
			})
			b.ReportAllocs()
			var pendings []bus.Pending
			n := uint64(0)
			for b.Loop() {
				n++
				room <- struct{}{}
				pendings = append(pendings, bs.Publish(b.Context(), bus.Page(&crawlv1.Page{Ref: ref(n), Body: body})))
				if len(pendings) == window {
					for _, p := range pendings {
						if err := p.Wait(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					pendings = pendings[:0]
				}
			}
			for range window { // all taken
				room <- struct{}{}
			}
			for range window {
				<-room
			}
			stop()
		}
	}
	b.Run("consume", hop(func(bs *bus.Bus, ctx context.Context, took func(int)) error {
		return bs.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 64}, func(context.Context, bus.Delivery) error {
			took(1)
			return nil
		})
	}))
	b.Run("batch", hop(func(bs *bus.Bus, ctx context.Context, took func(int)) error {
		return bs.ConsumeBatch(ctx, bus.NewConsumerSet(bus.ParseConsumer()), bus.BatchOptions{Max: 100}, func(_ context.Context, ds []bus.Delivery) error {
			took(len(ds))
			return nil
		})
	}))
}

// BenchmarkPublishTask is one task published and acked, many in flight: what the
// fence and the age of each cost, the server's share included.
func BenchmarkPublishTask(b *testing.B) {
	run := func(b *testing.B, fenced bool, change func(*bus.Message)) {
		cfg := bus.EmbeddedConfig()
		cfg.TasksPerCrawl, cfg.Tasks.Messages, cfg.Tasks.Bytes = 1<<40, -1, 64<<30
		_, bs := start(b, cfg)
		seq := uint64(0)
		if fenced {
			seq = fence(b, bs, 0)
		}
		const window = 200
		var pendings []bus.Pending
		wait := func() {
			for _, p := range pendings {
				if err := p.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			pendings = pendings[:0]
		}
		b.ReportAllocs()
		n := uint64(0)
		begin := cpu(b)
		for b.Loop() {
			n++
			m := fencedTask(0, seq)(n)
			if change != nil {
				change(&m)
			}
			pendings = append(pendings, bs.Publish(b.Context(), m))
			if len(pendings) == window {
				wait()
			}
		}
		wait()
		b.ReportMetric(float64(cpu(b)-begin)/float64(n), "cpu-ns/op")
	}
	b.Run("plain", func(b *testing.B) { run(b, false, nil) })
	b.Run("without age", func(b *testing.B) {
		run(b, false, func(m *bus.Message) { *m = bus.Message{Subject: m.Subject, ID: m.ID, Lease: m.Lease, Body: m.Body} })
	})
	b.Run("traced", func(b *testing.B) {
		run(b, false, func(m *bus.Message) { m.Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" })
	})
	b.Run("fenced", func(b *testing.B) { run(b, true, nil) })
}

// cpu is the time that the process has worked: it says more than the clock on a
// machine that does other things, too.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
