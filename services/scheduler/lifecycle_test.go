package scheduler

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	site := graph(200)
	ten, paused := make(chan struct{}), make(chan struct{})
	var visits atomic.Int64
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		switch n := visits.Add(1); {
		case n == 10:
			close(ten)
		case n > 100:
			<-paused // lest the crawl be over before
		}
		return site(ref)
	})
	w.run(1)
	id := b.create(t, testSpec("pause", pageURL(0)), true).GetId()
	<-ten
	p, err := b.client.PauseCrawl(t.Context(), &schedulerv1.PauseCrawlRequest{Crawl: id})
	close(paused)
	if err != nil || p.GetCrawl().GetState() != crawlv1.CrawlState_CRAWL_STATE_PAUSED {
		t.Fatalf("pause: %v %v", p.GetCrawl().GetState(), err)
	}
	r, err := b.client.WaitCrawl(t.Context(), &schedulerv1.WaitCrawlRequest{Crawl: id, Timeout: durationpb.New(50 * time.Millisecond)})
	if err != nil || r.GetDone() {
		t.Fatalf("wait on a paused crawl: done %v, %v", r.GetDone(), err)
	}
	if _, err := b.client.CancelCrawl(t.Context(), &schedulerv1.CancelCrawlRequest{Crawl: id}); err != nil {
		t.Fatal(err)
	}
	c := b.wait(t, id)
	balanced(t, c)
	if c.GetState() != crawlv1.CrawlState_CRAWL_STATE_CANCELLED || c.GetStats().GetLedger().GetLeased() != 0 {
		t.Errorf("cancelled crawl is %s, %v", c.GetState(), c.GetStats().GetLedger())
	}
	if _, err := b.client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: id}); err != nil {
		t.Fatal(err)
	}
	c = b.wait(t, id)
	balanced(t, c)
	if c.GetStats().GetLedger().GetDone() != 200 {
		t.Errorf("after the resume: %v", c.GetStats().GetLedger())
	}
}

// A resume that comes while the cancel still clears the bus loses no task.
func TestResumeRightAfterCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, graph(300)).run(2)
	id := b.create(t, testSpec("hasty", pageURL(0)), true).GetId()
	for range 5 {
		cancelled := make(chan error, 1)
		go func() {
			_, err := b.client.CancelCrawl(context.Background(), &schedulerv1.CancelCrawlRequest{Crawl: id})
			cancelled <- err
		}()
		// Refused until the cancel has begun, and then, or after the end, not needed.
		_, _ = b.client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: id})
		if err := <-cancelled; err != nil && crawl.KindOf(err) != crawl.Precondition {
			t.Fatal(err)
		}
		_, _ = b.client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: id})
	}
	c := b.wait(t, id)
	balanced(t, c)
	if c.GetStats().GetLedger().GetDone() != 300 {
		t.Errorf("the crawl ended with %v", c.GetStats().GetLedger())
	}
}

func TestPageLimitIsExact(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, graph(500)).run(8)
	s := testSpec("limit", pageURL(0))
	s.Limits = &crawlv1.Limits{Pages: 37}
	c := b.wait(t, b.create(t, s, true).GetId())
	balanced(t, c)
	if c.GetReason() != "limit:pages" || c.GetStats().GetPages() != 37 {
		t.Errorf("reason %q, %d pages, want limit:pages and 37", c.GetReason(), c.GetStats().GetPages())
	}
}

func TestCreateIsIdempotentAndListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req := &schedulerv1.CreateCrawlRequest{Spec: testSpec("", "http://www.site.example/a"), RequestId: "r1"}
	first, err := b.client.CreateCrawl(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.client.CreateCrawl(t.Context(), req)
	if err != nil || second.GetCrawl().GetId() != first.GetCrawl().GetId() {
		t.Errorf("the second call made %s, want %s (%v)", second.GetCrawl().GetId(), first.GetCrawl().GetId(), err)
	}
	if got := first.GetCrawl().GetSpec().GetName(); got != "www-site-example" {
		t.Errorf("name is %q", got)
	}
	b.create(t, testSpec("b", pageURL(0)), false)
	newest := b.create(t, testSpec("b", pageURL(0)), false)
	got, err := b.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: "b"})
	if err != nil || got.GetCrawl().GetId() != newest.GetId() {
		t.Errorf("the name means %s, want the newest %s (%v)", got.GetCrawl().GetId(), newest.GetId(), err)
	}
	var ids []string
	for token := ""; ; {
		l, err := b.client.ListCrawls(t.Context(), &schedulerv1.ListCrawlsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range l.GetCrawls() {
			ids = append(ids, c.GetId())
		}
		if token = l.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(ids) != 3 || ids[0] != newest.GetId() || ids[2] != first.GetCrawl().GetId() {
		t.Errorf("listed %v", ids)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	foreign := testSpec("x", "http://b.example/")
	foreign.Scope = &crawlv1.Scope{Hosts: []string{"a.example"}}
	create := func(s *crawlv1.CrawlSpec) error {
		_, err := b.client.CreateCrawl(t.Context(), &schedulerv1.CreateCrawlRequest{Spec: s})
		return err
	}
	tests := []struct {
		name string
		err  error
		kind crawl.Kind
		text string
	}{
		{"a seed that is no URL", create(testSpec("x", "http://")), crawl.Invalid, "seeds.urls[0]"},
		{"a seed out of scope", create(foreign), crawl.Invalid, "out of the crawl's own scope"},
		{"a bad name", create(testSpec("No Good", pageURL(0))), crawl.Invalid, "name"},
		{"an unknown crawl", second(b.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: "nope"})), crawl.NotFound, "nope"},
		{"no crawl", second(b.client.PauseCrawl(t.Context(), &schedulerv1.PauseCrawlRequest{})), crawl.Invalid, "missing"},
		{"a made-up token", second(b.client.ListCrawls(t.Context(), &schedulerv1.ListCrawlsRequest{PageToken: "x"})), crawl.Invalid, "page_token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if crawl.KindOf(tt.err) != tt.kind || !strings.Contains(tt.err.Error(), tt.text) {
				t.Errorf("error is %v (%s), want kind %s and %q in it", tt.err, crawl.KindOf(tt.err), tt.kind, tt.text)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestDrainWaitsForWhatIsInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	started, release := make(chan struct{}), make(chan struct{})
	newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		close(started)
		<-release
		return page(0, pageURL(1))
	}).run(1)
	id := b.create(t, testSpec("drain", pageURL(0)), true).GetId()
	<-started
	drained := make(chan error, 1)
	go func() { drained <- b.svc.Drain(context.Background()) }()
	// The link would be handed out before.
	await(t, "the drain", func() bool { return b.svc.State(t.Context()).(State).Draining })
	close(release)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	c, err := b.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: id})
	if err != nil {
		t.Fatal(err)
	}
	if l := c.GetCrawl().GetStats().GetLedger(); l.GetDone() != 1 || l.GetQueued() != 1 || l.GetLeased() != 0 {
		t.Errorf("after the drain: %v, want 1 done and its link queued", l)
	}
}
