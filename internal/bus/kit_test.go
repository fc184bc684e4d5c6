package bus_test

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

const crawlID = "06fooooooooooooooooooooo01"

// deadline bounds what a test waits for; far above what it takes, also beside many others
// on few processors.
const deadline = 3 * time.Minute

func ref(n uint64) *crawlv1.TaskRef {
	key := binary.BigEndian.AppendUint64(make([]byte, 4, 12), n)
	return &crawlv1.TaskRef{CrawlId: crawlID, UrlKey: key, Generation: 1, Attempt: 1, Lease: n, Url: "http://a/"}
}

func page(n uint64) bus.Message   { return bus.Page(&crawlv1.Page{Ref: ref(n)}) }
func record(n uint64) bus.Message { return bus.Record(&crawlv1.Record{Ref: ref(n)}) }
func result(n uint64) bus.Message { return bus.Result(&crawlv1.Result{Ref: ref(n)}) }
func task(n uint64) bus.Message   { return bus.Task("http", &crawlv1.FetchTask{Ref: ref(n)}) }

// leaseOf reads any message of the ring: the reference is its first field.
func leaseOf(tb testing.TB, d bus.Delivery) uint64 {
	tb.Helper()
	p := new(crawlv1.FetchTask)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(d.Data, p); err != nil {
		tb.Errorf("unmarshal: %v", err)
	}
	return p.GetRef().GetLease()
}

// publish publishes n messages with leases from 1.
func publish(tb testing.TB, b *bus.Bus, make func(uint64) bus.Message, from, to uint64) {
	tb.Helper()
	var msgs []bus.Message
	for i := from; i <= to; i++ {
		msgs = append(msgs, make(i))
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := b.PublishAll(ctx, msgs...); err != nil {
		tb.Fatalf("publish: %v", err)
	}
}

// seen collects leases and says when enough different ones have come.
type seen struct {
	mu    sync.Mutex
	count map[uint64]int
	want  int
	done  chan struct{}
}

func newSeen(want int) *seen {
	return &seen{count: make(map[uint64]int), want: want, done: make(chan struct{})}
}

func (s *seen) add(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[n]++
	if len(s.count) == s.want && s.count[n] == 1 {
		close(s.done)
	}
}

func (s *seen) wait(tb testing.TB) {
	tb.Helper()
	select {
	case <-s.done:
	case <-time.After(deadline):
		s.mu.Lock()
		defer s.mu.Unlock()
		tb.Fatalf("saw %d of %d messages", len(s.count), s.want)
	}
}

func (s *seen) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.count {
		n += c
	}
	return n
}

// await waits for a signal.
func await[T any](tb testing.TB, ch <-chan T, what string) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(deadline):
		tb.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

// eventually waits until f holds, looking again and again.
func eventually(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	settles(tb, what, func() string {
		if f() {
			return ""
		}
		return "not yet"
	})
}

// settles waits until f finds nothing missing any more.
func settles(tb testing.TB, what string, f func() (missing string)) {
	tb.Helper()
	end := time.After(deadline)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for missing := f(); missing != ""; missing = f() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("timed out waiting until %s: %s", what, missing)
		}
	}
}

// crowd counts who is somewhere at the moment, and how many there were at most.
type crowd struct {
	mu        sync.Mutex
	now, most int
}

func (c *crowd) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// forget begins anew with who is there.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = c.now
}

func (c *crowd) peak() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// background runs f until stop is called or the test ends, and fails the test
// with its error.
func background(tb testing.TB, f func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			tb.Errorf("background: %v", err)
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	tb.Cleanup(stop)
	return stop
}

// stored returns the messages of a stream: those of a work queue wait or are in the hands
// of a consumer. It is exact as soon as the messages' acks are there.
func stored(tb testing.TB, b *bus.Bus, stream string) uint64 {
	tb.Helper()
	_, queues, err := b.Stages(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return queues[slices.IndexFunc(queues, func(q bus.Queue) bool { return q.Name == stream })].Messages
}

// lag returns what waits for or is in the hands of a consumer. The server counts a moment
// after it stores: what must be there at once is asked of stored.
func lag(tb testing.TB, b *bus.Bus, consumer string) uint64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	l, err := b.Lag(ctx)
	if err != nil {
		tb.Fatalf("lag: %v", err)
	}
	return l[consumer]
}

// patient is a configuration whose leases outlast every test.
func patient() bus.Config {
	c := bus.EmbeddedConfig()
	c.LeaseTTL = time.Hour
	return c
}

func start(tb testing.TB, cfg bus.Config) (*natstest.Server, *bus.Bus) {
	tb.Helper()
	s := natstest.Start(tb)
	return s, s.Bus(cfg)
}
