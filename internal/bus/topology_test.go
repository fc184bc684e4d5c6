package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/embednats"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestEnsureTopologyIsIdempotent(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	publish(t, b, page, 1, 5)
	for _, partitions := range []uint32{1, 3, 3, 2} {
		if err := b.EnsureTopology(t.Context(), partitions); err != nil {
			t.Fatalf("partitions %d: %v", partitions, err)
		}
	}
	want := map[string]uint64{
		"WEIR_TASKS/fetch-http": 0, "WEIR_TASKS/fetch-render": 0, "WEIR_PAGES/parse": 5, "WEIR_RECORDS/store": 0, "WEIR_DEAD/dead": 0,
		"WEIR_RESULTS/result-0": 0, "WEIR_RESULTS/result-1": 0, "WEIR_RESULTS/result-2": 0,
		"WEIR_RESULTS/links-0": 0, "WEIR_RESULTS/links-1": 0, "WEIR_RESULTS/links-2": 0,
	}
	eventually(t, "each consumer is there once, and the pages are counted", func() bool {
		got, err := b.Lag(t.Context())
		return err == nil && cmp.Equal(want, got)
	})
}

func TestPublishOnceWithinTheDuplicateWindow(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	for range 3 {
		publish(t, b, page, 1, 4)
	}
	if n := stored(t, b, bus.StreamPages); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
}

func TestFullStream(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.TasksPerCrawl = 10
	_, b := start(t, cfg)
	publish(t, b, task, 1, 10)
	if err := b.Publish(t.Context(), task(11)).Wait(t.Context()); !errors.Is(err, bus.ErrFull) || crawl.KindOf(err) != crawl.Unavailable {
		t.Fatalf("full stream: %v", err)
	}
	// Other crawls have room of their own.
	other := &crawlv1.FetchTask{Ref: ref(1)}
	other.Ref.CrawlId = "06fooooooooooooooooooooo02"
	if err := b.Publish(t.Context(), bus.Task("http", other)).Wait(t.Context()); err != nil {
		t.Fatalf("other crawl: %v", err)
	}
	// PublishAll waits until there is room.
	got := newSeen(20)
	published := make(chan error, 1)
	go func() {
		var more []bus.Message
		for i := uint64(11); i <= 20; i++ {
			more = append(more, task(i))
		}
		published <- b.PublishAll(t.Context(), more...)
	}()
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.FetchConsumer("http"), bus.Options{Concurrency: 2}, func(_ context.Context, d bus.Delivery) error {
			if strings.HasSuffix(d.Subject, crawlID) {
				got.add(leaseOf(t, d))
			}
			return nil
		})
	})
	if err := await(t, published, "PublishAll"); err != nil {
		t.Fatalf("publish: %v", err)
	}
	got.wait(t)
}

func TestPublishAllEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.TasksPerCrawl = 1
	_, b := start(t, cfg)
	publish(t, b, task, 1, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.PublishAll(ctx, task(2)); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	big := &crawlv1.Page{Ref: ref(1), Body: &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: make([]byte, 2<<20)}}}
	for name, m := range map[string]bus.Message{
		"no crawl":     bus.Page(&crawlv1.Page{}),
		"wildcard":     bus.Task("*", &crawlv1.FetchTask{Ref: ref(1)}),
		"too long":     bus.Page(big),
		"invalid UTF8": bus.Page(&crawlv1.Page{Ref: &crawlv1.TaskRef{CrawlId: crawlID, Url: "\xff"}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := b.PublishAll(t.Context(), m); crawl.KindOf(err) != crawl.Invalid {
				t.Errorf("got %v, want kind invalid", err)
			}
		})
	}
}

func TestPurgeCrawl(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	publish(t, b, task, 1, 7)
	other := &crawlv1.FetchTask{Ref: ref(1)}
	other.Ref.CrawlId = "06fooooooooooooooooooooo02"
	if err := b.PublishAll(t.Context(), bus.Task("http", other)); err != nil {
		t.Fatal(err)
	}
	if err := b.PurgeCrawl(t.Context(), crawlID); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, b, bus.StreamTasks); n != 1 {
		t.Errorf("%d tasks left, want 1", n)
	}
	eventually(t, "it waits for fetchers", func() bool { return lag(t, b, "WEIR_TASKS/fetch-http") == 1 })
}

func TestConnectNamesURLAndRemedy(t *testing.T) {
	t.Parallel()
	cfg := bus.DefaultConfig()
	cfg.URL = "nats://127.0.0.1:1"
	cfg.ConnectTimeout = 200 * time.Millisecond
	_, err := bus.Connect(t.Context(), cfg, bus.Deps{Name: "test"})
	if err == nil || !strings.Contains(err.Error(), cfg.URL) || !strings.Contains(err.Error(), "--nats.url") {
		t.Errorf("got %v", err)
	}
}

func TestConnectOverTCP(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	cfg := bus.DefaultConfig()
	cfg.URL = s.URL()
	b, err := bus.Connect(t.Context(), cfg, bus.Deps{Name: "fetcher"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.EnsureTopology(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := b.Healthy(); err != nil {
		t.Error(err)
	}
	s.Stop()
	eventually(t, "the bus is unhealthy", func() bool { return b.Healthy() != nil })
	s.Restart()
	eventually(t, "the bus is healthy", func() bool { return b.Healthy() == nil })
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, good := range []bus.Config{bus.DefaultConfig(), bus.EmbeddedConfig()} {
		if err := good.Validate(); err != nil {
			t.Errorf("defaults: %v", err)
		}
	}
	bad := bus.DefaultConfig()
	bad.URL, bad.Replicas, bad.Pools, bad.Fetch.MaxDeliver = "", 2, []string{"A.b"}, 0
	err := bad.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four mistakes, got %v", err)
	}
}

// A server that may not store what the streams may hold says so in words of ours.
func TestNoRoomForTheStreams(t *testing.T) {
	t.Parallel()
	ns, err := embednats.Start(embednats.Config{Dir: t.TempDir(), MaxStore: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Shutdown)
	b, err := bus.Connect(t.Context(), bus.EmbeddedConfig(), bus.Deps{Name: "test", InProcess: ns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.EnsureTopology(t.Context(), 1); crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "lower nats.pages.max-bytes") {
		t.Errorf("got %v", err)
	}
}
