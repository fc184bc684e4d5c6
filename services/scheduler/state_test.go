package scheduler

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestStateAndLife: what a scheduler says of itself after a crawl, and that a loop which
// stands still is found.
func TestStateAndLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result { return page(ref.GetDepth()) }).run(1)
	c := b.create(t, testSpec("state", pageURL(0), pageURL(1), pageURL(2)), true)
	b.wait(t, c.GetId())

	got, ok := b.svc.State(t.Context()).(State)
	if !ok || got.Error != "" {
		t.Fatalf("state %+v", got)
	}
	want := map[string]uint64{"discovered": 3, "done": 3, "queued": 0, "leased": 0, "delayed": 0, "failed": 0}
	if diff := cmp.Diff(want, got.URLs); diff != "" {
		t.Errorf("URLs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"finished": 1}, got.Crawls); diff != "" {
		t.Errorf("crawls (-want +got):\n%s", diff)
	}
	if got.Partitions != 2 || got.StorePartitions != 2 || got.Replicas != 1 || got.Leases != 0 {
		t.Errorf("state %+v", got)
	}
	if n := testutil.CollectAndCount(b.svc.m.visit); n != 1 {
		t.Errorf("%d histograms of visits", n)
	}
	if n := testutil.ToFloat64(b.svc.m.owned); n != 2 {
		t.Errorf("%v partitions owned, want 2", n)
	}

	if err := b.svc.Live(t.Context()); err != nil {
		t.Errorf("a scheduler that works: %v", err)
	}
	ses := b.svc.session.Load()
	goOn := stand(t, ses)
	ses.loop.turned.Store(time.Now().Add(-2 * hangs).UnixNano())
	if err := b.svc.Live(t.Context()); err == nil || !strings.Contains(err.Error(), "has hung for 10m") {
		t.Errorf("a loop that stands still: %v", err)
	}
	goOn()
	await(t, "the next turn", func() bool { return b.svc.Live(t.Context()) == nil })
}

// stand has the loop stand still in the middle of a turn, until goOn is called.
func stand(t *testing.T, ses *session) (goOn func()) {
	t.Helper()
	stands, on, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- ses.read(t.Context(), func(*loop, time.Time) error {
			close(stands)
			<-on
			return nil
		})
	}()
	<-stands
	return func() {
		t.Helper()
		close(on)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// watchedStore calls a function before each batch that it writes.
type watchedStore struct {
	frontier.Store
	before func()
}

func (s watchedStore) Apply(b *frontier.Batch) (frontier.Commit, error) {
	s.before()
	return s.Store.Apply(b)
}

// TestAnswersAreInTheStore: whoever learns of a change, such as the end of a crawl, and
// then asks for what is read of the store finds it there.
func TestAnswersAreInTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	var early, seen atomic.Bool
	b.watch = func() {
		if len(answer) > 0 {
			early.Store(true)
		}
	}
	b.start(t)
	ses := b.svc.session.Load()
	goOn := stand(t, ses)
	made := make(chan error, 1)
	go func() {
		_, err := b.svc.CreateCrawl(t.Context(), &schedulerv1.CreateCrawlRequest{Spec: testSpec("new", pageURL(0))})
		made <- err
	}()
	await(t, "the request", func() bool { return len(ses.loop.requests) > 0 })
	ses.loop.requests <- &request{read: true, done: answer, run: func(l *loop, _ time.Time) error {
		seen.Store(len(l.f.Crawls()) > 0)
		return nil
	}}
	goOn()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	if !seen.Load() || early.Load() {
		t.Errorf("the crawl was seen: %v, and told of before it was written: %v", seen.Load(), early.Load())
	}
}

// TestSetCensus: the ledger of all crawls as metrics adds up.
func TestSetCensus(t *testing.T) {
	t.Parallel()
	m := newMetrics(nil)
	m.setCensus(&frontier.Census{
		Ledger: frontier.Stats{Discovered: 10, Queued: 1, Leased: 2, Delayed: 1, Done: 2, Failed: 1, Dropped: map[string]uint64{"robots_denied": 2, "trap": 1}},
		Crawls: map[frontier.State]int{frontier.Running: 1}, Hosts: map[string]int{frontier.HostDelay: 4},
	})
	sum := 0.0
	for _, state := range []string{"queued", "leased", "delayed", "done", "failed", "dropped"} {
		sum += testutil.ToFloat64(m.ledger.WithLabelValues(state))
	}
	if all := testutil.ToFloat64(m.ledger.WithLabelValues("discovered")); all != 10 || sum != all {
		t.Errorf("discovered %v, the others %v together", all, sum)
	}
	if n := testutil.ToFloat64(m.dropped.WithLabelValues("robots_denied")); n != 2 {
		t.Errorf("%v URLs denied by robots.txt", n)
	}
	if n := testutil.ToFloat64(m.waits.WithLabelValues("delay")); n != 4 {
		t.Errorf("%v hosts in delay", n)
	}
	m.setCensus(&frontier.Census{})
	if n := testutil.CollectAndCount(m.dropped); n != 0 {
		t.Errorf("%d reasons are left of crawls that are gone", n)
	}
}
