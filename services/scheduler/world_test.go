package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// world stands for the web and the three other services: it takes tasks and
// answers them with results, as the ring does.
type world struct {
	tb  testing.TB
	bus *bus.Bus
	// answer makes the result of a visit; it may block. The ref is filled in.
	answer func(*crawlv1.TaskRef) *crawlv1.Result
	// refuse returns why a task cannot be read, nil where it can. Nil: it always can.
	refuse func(url string) error

	mu     sync.Mutex
	visits map[string]int
	order  []string
	tasks  map[string][]*crawlv1.FetchTask
}

func newWorld(tb testing.TB, b *bus.Bus, answer func(*crawlv1.TaskRef) *crawlv1.Result) *world {
	return &world{tb: tb, bus: b, answer: answer, visits: map[string]int{}, tasks: map[string][]*crawlv1.FetchTask{}}
}

// run answers tasks until the test ends or stop is called.
func (w *world) run(concurrency int) (stop func()) { return w.runPool(Pool, concurrency) }

// runPool is run for the tasks of one pool.
func (w *world) runPool(pool string, concurrency int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := w.bus.Consume(ctx, bus.FetchConsumer(pool), bus.Options{Concurrency: concurrency, SoftStop: time.Second}, w.handle)
		if err != nil {
			w.tb.Errorf("consume tasks: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.tb.Cleanup(stop)
	return stop
}

func (w *world) handle(ctx context.Context, d bus.Delivery) error {
	t := new(crawlv1.FetchTask)
	if err := proto.Unmarshal(d.Data, t); err != nil {
		return err
	}
	ref := t.GetRef()
	if w.refuse != nil {
		if err := w.refuse(ref.GetUrl()); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.visits[ref.GetUrl()]++
	w.order = append(w.order, ref.GetUrl())
	w.tasks[ref.GetUrl()] = append(w.tasks[ref.GetUrl()], t)
	w.mu.Unlock()
	r := w.answer(ref)
	r.Ref, r.EndedAt, r.Duration = ref, timestamppb.Now(), durationpb.New(time.Millisecond)
	report := &crawlv1.FetchReport{CrawlId: ref.GetCrawlId(), Host: ref.GetHost(), Lease: ref.GetLease(), Status: r.GetStatus(), Error: r.GetError()}
	if err := w.bus.SendReport(ref.GetPartition(), report); err != nil {
		return err
	}
	return w.bus.PublishAll(ctx, bus.Result(r))
}

// tasksOf returns the tasks of a URL, in their order.
func (w *world) tasksOf(url string) []*crawlv1.FetchTask {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tasks[url])
}

func (w *world) visited() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]int, len(w.visits))
	for u, n := range w.visits {
		out[u] = n
	}
	return out
}

// page is a visit that went well and found links.
func page(depth uint32, links ...string) *crawlv1.Result {
	r := &crawlv1.Result{Status: 200, Items: 1, Bytes: 100}
	for _, l := range links {
		r.Outlinks = append(r.Outlinks, &crawlv1.Outlink{Url: l, Depth: depth + 1})
	}
	return r
}

// graph is a site of n pages in which page i links to 2i+1, 2i+2 and the root.
func graph(n int) func(*crawlv1.TaskRef) *crawlv1.Result {
	return func(ref *crawlv1.TaskRef) *crawlv1.Result {
		var i int
		if _, err := fmt.Sscanf(ref.GetUrl(), "http://site.example/%d", &i); err != nil {
			return &crawlv1.Result{Status: 404, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX}
		}
		links := []string{pageURL(0)}
		for _, j := range []int{2*i + 1, 2*i + 2} {
			if j < n {
				links = append(links, pageURL(j))
			}
		}
		return page(ref.GetDepth(), links...)
	}
}

func pageURL(i int) string { return fmt.Sprintf("http://site.example/%d", i) }

// bundle is a scheduler under test with a client to it.
type bundle struct {
	nats   *natstest.Server
	bus    *bus.Bus
	cfg    Config
	svc    *Service
	lookup resolve.Lookup
	watch  func() // called before each batch that is written; nil for none
	client schedulerv1.CrawlServiceClient
	// stop ends the scheduler as a terminated process would and returns what Run did.
	stop func() error
}

func setup(tb testing.TB) *bundle {
	tb.Helper()
	return setupWith(tb, nil)
}

// setupWith is setup with look-ups of names.
func setupWith(tb testing.TB, lookup resolve.Lookup) *bundle {
	tb.Helper()
	ns := natstest.Start(tb)
	cfg := DefaultConfig()
	cfg.Dir = tb.TempDir()
	cfg.Partitions = 2
	cfg.CacheSize = 64 << 20
	b := &bundle{nats: ns, cfg: cfg, bus: ns.Connect(bus.EmbeddedConfig()), lookup: lookup}
	b.start(tb)
	return b
}

// start runs a scheduler on the bundle's store.
func (b *bundle) start(tb testing.TB) {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	svc, err := New(b.cfg, Deps{Bus: b.bus, Log: log, Registry: prometheus.NewRegistry(), Lookup: b.lookup})
	if err != nil {
		tb.Fatalf("new scheduler: %v", err)
	}
	if b.watch != nil {
		svc.store = watchedStore{svc.store, b.watch}
	}
	server := rpc.NewInProcess(rpc.Deps{Log: log})
	svc.RegisterGRPC(server)
	conn, err := server.Dial()
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var runErr error
	wg.Go(func() { runErr = svc.Run(ctx) })
	serving, stopServing := context.WithCancel(context.Background())
	wg.Go(func() { _ = server.Serve(serving) })
	b.svc, b.client = svc, schedulerv1.NewCrawlServiceClient(conn)
	b.stop = sync.OnceValue(func() error {
		_ = conn.Close()
		stopServing()
		cancel()
		wg.Wait()
		return runErr
	})
	tb.Cleanup(func() {
		if err := b.stop(); err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	select {
	case <-svc.ready:
	case <-svc.stopped:
		tb.Fatalf("the scheduler did not start: %v", b.stop())
	}
}

// spec of a crawl of site.example without any wait or robots.txt.
func testSpec(name string, seeds ...string) *crawlv1.CrawlSpec {
	return &crawlv1.CrawlSpec{
		Name:  name,
		Seeds: &crawlv1.Seeds{Urls: seeds},
		Politeness: &crawlv1.Politeness{
			Delay:              durationpb.New(0),
			ConcurrencyPerHost: proto.Uint32(8),
			ObeyRobots:         proto.Bool(false),
		},
	}
}

// create creates a crawl that takes no more seeds.
func (b *bundle) create(tb testing.TB, s *crawlv1.CrawlSpec, closed bool) *crawlv1.Crawl {
	tb.Helper()
	r, err := b.client.CreateCrawl(context.Background(), &schedulerv1.CreateCrawlRequest{Spec: s, Close: closed})
	if err != nil {
		tb.Fatalf("create crawl: %v", err)
	}
	return r.GetCrawl()
}

// patience is for what takes seconds, on a machine that may have much else to do.
const patience = 5 * time.Minute

// wait waits for the end of a crawl.
func (b *bundle) wait(tb testing.TB, id string) *crawlv1.Crawl {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := b.client.WaitCrawl(ctx, &schedulerv1.WaitCrawlRequest{Crawl: id})
	if err != nil {
		c, gerr := b.client.GetCrawl(context.Background(), &schedulerv1.GetCrawlRequest{Crawl: id})
		tb.Fatalf("wait: %v; the crawl: %v %v", err, c, gerr)
	}
	return r.GetCrawl()
}

// balanced fails the test when a ledger does not add up.
func balanced(tb testing.TB, c *crawlv1.Crawl) {
	tb.Helper()
	l := c.GetStats().GetLedger()
	sum := l.GetQueued() + l.GetLeased() + l.GetDelayed() + l.GetDone() + l.GetFailed()
	for _, n := range l.GetDropped() {
		sum += n
	}
	if sum != l.GetDiscovered() {
		tb.Errorf("the ledger does not balance: %v", l)
	}
}
