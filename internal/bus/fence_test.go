package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func fencedTask(partition uint32, fence uint64) func(uint64) bus.Message {
	return func(n uint64) bus.Message {
		m := task(n)
		m.Partition, m.Fence = partition, fence
		return m
	}
}

func fence(tb testing.TB, b *bus.Bus, partition uint32) uint64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	seq, err := b.Fence(ctx, partition, "replica")
	if err != nil || seq == 0 {
		tb.Fatalf("fence: %d, %v", seq, err)
	}
	return seq
}

func TestFencedPublisher(t *testing.T) {
	t.Parallel()
	s, b := start(t, bus.EmbeddedConfig())
	old := fence(t, b, 3)
	other := fence(t, b, 4)
	publish(t, b, fencedTask(3, old), 1, 50)
	publish(t, b, fencedTask(4, other), 51, 60)

	successor := s.Connect(bus.EmbeddedConfig())
	next := fence(t, successor, 3)
	if next <= old {
		t.Errorf("fence %d after %d", next, old)
	}
	// Many in flight, as a scheduler has them: all are refused, each by name.
	var pendings []bus.Pending
	for n := range uint64(100) {
		pendings = append(pendings, b.Publish(t.Context(), fencedTask(3, old)(100+n)))
	}
	for _, p := range pendings {
		if err := p.Wait(t.Context()); !errors.Is(err, bus.ErrFenced) || crawl.KindOf(err) != crawl.Conflict {
			t.Fatalf("stale fence: %v", err)
		}
	}
	if err := b.PublishAll(t.Context(), fencedTask(3, old)(300)); !errors.Is(err, bus.ErrFenced) {
		t.Errorf("stale fence, all: %v", err)
	}
	// Neither the other partition nor the new owner is disturbed, and the refused
	// messages' ids were not remembered.
	publish(t, b, fencedTask(4, other), 61, 70)
	publish(t, successor, fencedTask(3, next), 100, 110)
	publish(t, b, task, 400, 400)
	if n := stored(t, b, bus.StreamTasks); n != 50+10+10+11+1+2 {
		t.Errorf("%d messages, want 82 tasks and 2 fences", n)
	}
	eventually(t, "the tasks wait for fetchers, and no fence does", func() bool { return lag(t, b, "WEIR_TASKS/fetch-http") == 82 })
}

func TestFenceThatWasNeverSetRefuses(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	if err := b.PublishAll(t.Context(), fencedTask(1, 7)(1)); !errors.Is(err, bus.ErrFenced) {
		t.Errorf("got %v", err)
	}
}

// Fences outlive the age of the stream, its purges and restarts, and are no tasks.
func TestFenceStays(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.DuplicateWindow = 500 * time.Millisecond
	cfg.Tasks.Age = time.Second
	s, b := start(t, cfg)
	seq := fence(t, b, 0)
	publish(t, b, fencedTask(0, seq), 1, 5)
	eventually(t, "the tasks are too old", func() bool { return stored(t, b, bus.StreamTasks) == 1 }) // the fence
	publish(t, b, fencedTask(0, seq), 6, 10)
	if err := b.PurgeCrawl(t.Context(), crawlID); err != nil {
		t.Fatal(err)
	}
	if err := b.ResetConsumers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureTopology(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if leases, err := b.InFlight(t.Context()); err != nil || len(leases) != 0 {
		t.Errorf("in flight %v, %v", leases, err)
	}
	publish(t, b, fencedTask(0, seq), 11, 15)
	s.Restart()
	publish(t, b, fencedTask(0, seq), 16, 20)
}

// A fence goes in when tasks fill the room of their crawl, and waits while the whole
// stream is full.
func TestFenceOfAFullStream(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig()
	cfg.TasksPerCrawl, cfg.Tasks.Messages = 10, 12
	_, b := start(t, cfg)
	publish(t, b, task, 1, 10)
	fence(t, b, 0)
	fence(t, b, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := b.Fence(ctx, 2, "replica"); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("full: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.Fence(t.Context(), 0, "replica")
		done <- err
	}()
	if err := b.PurgeCrawl(t.Context(), crawlID); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done, "the fence"); err != nil {
		t.Error(err)
	}
}

func TestFetchBacklog(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	fence(t, b, 0)
	publish(t, b, task, 1, 10)
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	background(t, func(ctx context.Context) error {
		return b.Consume(ctx, bus.FetchConsumer("http"), bus.Options{Concurrency: 3, Prefetch: -1}, func(context.Context, bus.Delivery) error {
			entered <- struct{}{}
			<-leave
			return nil
		})
	})
	for range 3 {
		await(t, entered, "a fetcher")
	}
	// The server counts a moment after it stores.
	eventually(t, "7 wait and 3 are worked on", func() bool {
		got, err := b.FetchBacklog(t.Context(), "http")
		return err == nil && got == (bus.Backlog{Waiting: 7, Working: 3, Manned: true})
	})
	close(leave)
	eventually(t, "all is done", func() bool {
		got, err := b.FetchBacklog(t.Context(), "http")
		return err == nil && got == (bus.Backlog{Manned: true}) // they ask for more
	})
	if got, err := b.FetchBacklog(t.Context(), "render"); err != nil || got != (bus.Backlog{}) {
		t.Errorf("nobody is there: %+v, %v", got, err)
	}
	if _, err := b.FetchBacklog(t.Context(), "none"); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("unknown pool: %v", err)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	b := start2(t, 3)
	m := bus.Links(2, &crawlv1.Links{CrawlId: crawlID, Source: 1, Epoch: 5, Sequence: 9})
	if m.Subject != "weir.links.2."+crawlID || m.ID != "links-1-5-9" {
		t.Errorf("subject %s, id %s", m.Subject, m.ID)
	}
	if err := b.PublishAll(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := b.PublishAll(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, b, bus.StreamResults); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	eventually(t, "it waits for its consumer", func() bool { return lag(t, b, "WEIR_RESULTS/links-2") == 1 })
	for id, want := range map[string]uint64{crawlID: 1, "other": 0} {
		if n, err := b.LinksUnderWay(t.Context(), id); n != want || err != nil {
			t.Errorf("%d messages of %s under way, %v, want %d", n, id, err, want)
		}
	}
	if !bus.IsLinks(bus.Delivery{Subject: m.Subject}) || bus.IsLinks(bus.Delivery{Subject: "weir.result.2"}) {
		t.Error("links are not told from results")
	}
}

func TestFollowCrawls(t *testing.T) {
	t.Parallel()
	b := start2(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	type news struct {
		id string
		c  *crawlv1.Crawl
	}
	seen := make(chan news, 16)
	failed := false
	done := make(chan error, 1)
	go func() {
		done <- b.FollowCrawls(ctx, func(_ context.Context, id string, c *crawlv1.Crawl) error {
			if id == "a" && !failed {
				failed = true
				return errors.New("not now")
			}
			seen <- news{id, c}
			return nil
		})
	}()
	put := func(id string, version uint64) {
		t.Helper()
		if err := b.PutCrawl(t.Context(), &crawlv1.Crawl{Id: id, Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", 1)
	if n := <-seen; n.id != "a" || n.c.GetVersion() != 1 {
		t.Errorf("got %v", n)
	}
	put("a", 2)
	if n := <-seen; n.c.GetVersion() != 2 {
		t.Errorf("got %v", n)
	}
	if c, err := b.GetCrawl(t.Context(), "a"); err != nil || c.GetVersion() != 2 {
		t.Errorf("read %v, %v", c, err)
	}
	if err := b.DeleteCrawl(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if n := <-seen; n.id != "a" || n.c != nil {
		t.Errorf("got %v of a crawl that was taken back", n)
	}
	for _, id := range []string{"a", "never", "no.t an id"} {
		if c, err := b.GetCrawl(t.Context(), id); err != nil || c != nil {
			t.Errorf("read %q: %v, %v", id, c, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
