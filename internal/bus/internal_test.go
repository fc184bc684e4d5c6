package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestSubjects(t *testing.T) {
	t.Parallel()
	ref := &crawlv1.TaskRef{CrawlId: "c1", UrlKey: []byte{0xab, 0xcd}, Generation: 2, Attempt: 3, Lease: 0xff01, Partition: 5}
	type brief struct {
		Subject string
		Lease   uint64
	}
	var got []brief
	for _, m := range stages(ref) {
		got = append(got, brief{m.Subject, m.Lease})
	}
	want := []brief{{"weir.task.http.c1", 0xff01}, {"weir.page.c1", 0xff01}, {"weir.record.c1", 0xff01}, {"weir.result.5", 0xff01}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// stages are the messages of one visit.
func stages(ref *crawlv1.TaskRef) []Message {
	return []Message{
		Task("http", &crawlv1.FetchTask{Ref: ref}), Page(&crawlv1.Page{Ref: ref}),
		Record(&crawlv1.Record{Ref: ref}), Result(&crawlv1.Result{Ref: ref}),
	}
}

// TestIDs: one stage's work on one visit has one id, and nothing else has it.
func TestIDs(t *testing.T) {
	t.Parallel()
	visit := func(change func(*crawlv1.TaskRef)) *crawlv1.TaskRef {
		r := &crawlv1.TaskRef{CrawlId: "c1", UrlKey: []byte("twelve bytes"), Generation: 2, Attempt: 3, Lease: 0xff01, Partition: 5}
		change(r)
		return r
	}
	of := map[string]int{}
	for n, r := range []*crawlv1.TaskRef{
		visit(func(*crawlv1.TaskRef) {}),
		visit(func(r *crawlv1.TaskRef) { r.CrawlId = "c2" }),
		visit(func(r *crawlv1.TaskRef) { r.UrlKey = []byte("twelve bites") }),
		visit(func(r *crawlv1.TaskRef) { r.Generation, r.Attempt = 3, 2 }),
		visit(func(r *crawlv1.TaskRef) { r.Attempt = 4 }),
		visit(func(r *crawlv1.TaskRef) { r.Lease = 0xff02 }),
	} {
		again := stages(proto.CloneOf(r))
		for i, m := range stages(r) {
			if other, ok := of[m.ID]; ok {
				t.Errorf("visit %d, %s: the id %s of visit %d", n, m.Subject, m.ID, other)
			}
			of[m.ID] = n
			if m.ID != again[i].ID || len(m.ID) > 24 {
				t.Errorf("%s: ids %s and %s", m.Subject, m.ID, again[i].ID)
			}
		}
	}
}

func TestValidSubject(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"weir.page.c1": true, "a": true, "": false, ".a": false, "a.": false, "a..b": false,
		"a b": false, "a.*": false, "a.>": false, "a\nb": false,
	} {
		if got := validSubject(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestDispositions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "ack"},
		{crawl.Errorf(crawl.Conflict, "x"), "ack"},
		{crawl.Errorf(crawl.Precondition, "x"), "ack"},
		{crawl.Errorf(crawl.Throttled, "x"), "ack"},
		{crawl.Errorf(crawl.Invalid, "x"), "dead"},
		{crawl.Errorf(crawl.NotFound, "x"), "dead"},
		{crawl.Errorf(crawl.Unavailable, "x"), "retry"},
		{fmt.Errorf("publish: %w", ErrFull), "retry"},
		{crawl.Errorf(crawl.Internal, "x"), "bug"},
		{errors.New("x"), "bug"},
		{context.Canceled, "bug"},
	} {
		if got := dispositionOf(tc.err).String(); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	b := backoff{50 * time.Millisecond, 5 * time.Second}
	for n, want := range map[int]time.Duration{0: 50 * time.Millisecond, 3: 400 * time.Millisecond, 7: 5 * time.Second, 1 << 20: 5 * time.Second} {
		if lo, hi := b.Delay(n, func() float64 { return 0 }), b.Delay(n, func() float64 { return 1 }); lo != want/2 || hi != want {
			t.Errorf("try %d: %s to %s, want %s to %s", n, lo, hi, want/2, want)
		}
	}
	for n, want := range map[uint64]time.Duration{1: 200 * time.Millisecond, 4: 1600 * time.Millisecond, 1 << 60: 10 * time.Second} {
		if got := nakDelay(n); got != want {
			t.Errorf("delivery %d: %s, want %s", n, got, want)
		}
	}
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if !sleep(ctx, 2*time.Second) || sleep(ctx, 2*time.Second) {
			t.Error("sleep misjudges its context")
		}
	})
}

func TestTermBody(t *testing.T) {
	t.Parallel()
	if got := string(termBody(errors.New("bad\nstack"))); got != "+TERM bad" {
		t.Errorf("got %q", got)
	}
	if got := len(termBody(errors.New(strings.Repeat("x", 1000)))); got != 206 {
		t.Errorf("%d bytes", got)
	}
}

func TestAckTokens(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string][2]uint64{
		"$JS.ACK.WEIR_PAGES.parse.3.77.80.1700000000000000000.5":               {3, 77},
		"$JS.ACK._.hash.WEIR_PAGES.parse.3.77.80.1700000000000000000.5":        {3, 77},
		"$JS.ACK.dom.hash.WEIR_PAGES.parse.3.77.80.1700000000000000000.5.rand": {3, 77},
	} {
		number, seq, ok := ackTokens(reply)
		if !ok || [2]uint64{number, seq} != want {
			t.Errorf("%s: %d, %d, %v", reply, number, seq, ok)
		}
	}
	for _, reply := range []string{"", "_INBOX.x", "$JS.ACK.a.b", "$JS.ACK.s.c.x.77.80.1.5", "$JS.ACK.s.c.3..80.1.5"} {
		if _, _, ok := ackTokens(reply); ok {
			t.Errorf("%q is taken", reply)
		}
	}
}

func FuzzAckTokens(f *testing.F) {
	f.Add("$JS.ACK.S.c.3.77.80.1700000000000000000.5")
	f.Add("$JS.ACK.d.h.S.c.3.77.80.17.5.r")
	f.Add("$JS.ACK.........")
	f.Fuzz(func(t *testing.T, s string) {
		if _, _, ok := ackTokens(s); ok && !strings.HasPrefix(s, "$JS.ACK.") {
			t.Errorf("%q is taken", s)
		}
	})
}

func TestMetricsAreSharedInAProcess(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	a, b := newMetrics(reg), newMetrics(reg)
	a.publish("weir.task.http.c1", nil)
	b.publish("weir.task.http.c2", fmt.Errorf("x: %w", ErrFull))
	b.publish("weir.page.c2", crawl.Errorf(crawl.Unavailable, "x"))
	want := `
		# HELP weir_bus_published_total Messages published, by stage and outcome. Many "full" mean that the next stage is too slow: add replicas of it.
		# TYPE weir_bus_published_total counter
		weir_bus_published_total{outcome="ack",stage="task"} 1
		weir_bus_published_total{outcome="full",stage="task"} 1
		weir_bus_published_total{outcome="unavailable",stage="page"} 1
	`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "weir_bus_published_total"); err != nil {
		t.Error(err)
	}
}

// What a server that was away delivers anew is not handled beside itself.
func TestMessageInHandIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	sub := new(nats.Subscription)
	src := &source{sub: sub}
	s := &session{log: slog.New(slog.DiscardHandler), bySub: map[*nats.Subscription]*source{sub: src}}
	receive := func(deliveries, seq int) int {
		s.receive(&nats.Msg{Sub: sub, Reply: fmt.Sprintf("$JS.ACK.WEIR_TASKS.fetch-http.%d.%d.1.0.0", deliveries, seq), Data: []byte("x")})
		return len(s.inHand)
	}
	for _, c := range []struct{ deliveries, seq, want int }{{1, 7, 1}, {2, 7, 1}, {2, 8, 2}, {3, 8, 2}} {
		if got := receive(c.deliveries, c.seq); got != c.want {
			t.Errorf("delivery %d of %d: %d in hand, want %d", c.deliveries, c.seq, got, c.want)
		}
	}
	s.inHand[0].settled = true // given back, and here again
	if got := receive(3, 7); got != 3 {
		t.Errorf("after a nak: %d in hand, want 3", got)
	}
}

// TestRaisedLimitIsHeard: what waits for a free worker begins when there is one more, and
// not with the next message or look at what is due.
func TestRaisedLimitIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, begun, raised := atomic.Int64{}, atomic.Int64{}, make(chan struct{}, 1)
		s := &session{
			set: NewConsumerSet(), workers: 2, running: 1, waiting: []*delivery{{}}, tick: time.NewTicker(time.Hour), stopping: true,
			limit: func() int { return int(limit.Load()) }, raised: raised,
			unit: func(time.Time, int) int { return 1 }, wake: time.Now, begin: func([]*delivery) { begun.Add(1) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.loop(ctx, nil, nil) }()
		synctest.Wait()
		if begun.Load() != 0 {
			t.Error("begun beyond the limit")
		}
		limit.Store(2)
		raised <- struct{}{}
		synctest.Wait()
		if begun.Load() != 1 {
			t.Error("what waits has not begun")
		}
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}
