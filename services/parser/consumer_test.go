package parser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// ring is a parser on a real bus, and what comes out of it.
type ring struct {
	bus     *bus.Bus
	service *Service
	stop    func() error // stops the parser and waits for it

	mu      sync.Mutex
	records []*crawlv1.Record
	came    chan struct{} // gets a token for each record
}

func newRing(t *testing.T) *ring {
	t.Helper()
	r := &ring{bus: natstest.Bus(t), came: make(chan struct{}, 1000)}
	s, err := New(DefaultConfig(), Deps{Bus: r.bus})
	if err != nil {
		t.Fatal(err)
	}
	r.service = s
	if err := r.bus.PutCrawl(t.Context(), testCrawl()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := r.bus.Consume(ctx, bus.StoreConsumer(), bus.Options{Concurrency: 4}, func(_ context.Context, d bus.Delivery) error {
			var rec crawlv1.Record
			if err := proto.Unmarshal(d.Data, &rec); err != nil {
				return err
			}
			r.mu.Lock()
			r.records = append(r.records, &rec)
			r.mu.Unlock()
			r.came <- struct{}{}
			return nil
		})
		if err != nil {
			t.Errorf("records: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait(); s.Close() })
	return r
}

// start runs the parser.
func (r *ring) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.service.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func (r *ring) publish(t *testing.T, pages ...*crawlv1.Page) {
	t.Helper()
	for _, p := range pages {
		if err := r.bus.PublishAll(t.Context(), bus.Page(p)); err != nil {
			t.Fatal(err)
		}
	}
}

// wait waits for n records.
func (r *ring) wait(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(2 * time.Minute)
	for range n {
		select {
		case <-r.came:
		case <-timeout:
			t.Fatal("records did not come")
		}
	}
}

// all returns the records that have come.
func (r *ring) all() []*crawlv1.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

func TestPagesBecomeRecords(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	if err := r.service.Ready(t.Context()); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("ready before Run: %v", err)
	}
	r.start(t)
	const n = 50
	for i := range n {
		r.publish(t, newPage(t, fmt.Sprintf("https://site.example/%d", i), html))
	}
	r.wait(t, n)
	if err := r.service.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	seen := map[string]bool{}
	for _, rec := range r.all() {
		if rec.GetParsed().GetTitle() != "A & B" || len(rec.GetParsed().GetItems()) != 1 || len(rec.GetBody().GetDeflate()) == 0 {
			t.Errorf("record %v", rec)
		}
		seen[rec.GetRef().GetUrl()] = true
	}
	if len(seen) != n {
		t.Errorf("%d pages of %d", len(seen), n)
	}
}

// TestRedeliveryIsIdempotent: a page that comes again, as after a crash between
// its record and its acknowledgement, gives the same record and no second one.
func TestRedeliveryIsIdempotent(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	p := newPage(t, "https://site.example/p", html)
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	specs, err := r.bus.WatchCrawls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		if err := r.service.handle(t.Context(), specs, bus.Delivery{Data: data, Number: uint64(n + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	// A last page marks the end of what may come.
	last, err := proto.Marshal(newPage(t, "https://site.example/last", html))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.service.handle(t.Context(), specs, bus.Delivery{Data: last, Number: 1}); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 2)
	if got := r.all(); len(got) != 2 || len(r.came) != 0 {
		t.Errorf("%d records of 2 pages", len(got))
	}
}

func TestHostilePageDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	r.start(t)
	r.publish(t, newPage(t, "https://site.example/deep", strings.Repeat("<div>", 100_000)), newPage(t, "https://site.example/good", html))
	r.wait(t, 2)
}

// TestUnreadableMessage: what is no page is not delivered for ever.
func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	err := s.handle(t.Context(), fixedSpecs{}, bus.Delivery{Data: []byte("\xff\xff"), Number: 1})
	if crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("kind of %v", err)
	}
}

// TestStopFinishesPages: a parser that is stopped finishes what it has, and the
// next one does the rest.
func TestStopFinishesPages(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	r.start(t)
	const n = 200
	for i := range n {
		r.publish(t, newPage(t, fmt.Sprintf("https://site.example/%d", i), html))
		if i == n/2 {
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.start(t)
	r.wait(t, n)
	if got := r.all(); len(got) != n {
		t.Errorf("%d records of %d pages", len(got), n)
	}
}

func TestRunNeedsABus(t *testing.T) {
	t.Parallel()
	if err := newService(t, nil).Run(t.Context()); err == nil {
		t.Error("Run without a bus")
	}
}
