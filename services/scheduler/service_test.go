package scheduler

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func TestCrawlVisitsEveryPageOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, graph(300))
	w.run(8)
	c := b.wait(t, b.create(t, testSpec("graph", pageURL(0)), true).GetId())
	balanced(t, c)
	if c.GetState() != crawlv1.CrawlState_CRAWL_STATE_FINISHED || c.GetReason() != "done" {
		t.Errorf("state is %s (%s), want finished (done)", c.GetState(), c.GetReason())
	}
	if got := c.GetStats().GetLedger().GetDone(); got != 300 {
		t.Errorf("done is %d, want 300", got)
	}
	if got := c.GetStats().GetItems(); got != 300 {
		t.Errorf("items are %d, want 300", got)
	}
	visits := w.visited()
	for u, n := range visits {
		if n != 1 {
			t.Errorf("%s was visited %d times", u, n)
		}
	}
	if len(visits) != 300 {
		t.Errorf("%d pages were visited, want 300", len(visits))
	}
}

// A scheduler that is stopped again and again goes on where it was.
func TestRestartLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var visits atomic.Int64
	reached := make(chan struct{}, 4)
	site := graph(400)
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		if visits.Add(1)%90 == 0 {
			reached <- struct{}{}
		}
		return site(ref)
	})
	w.run(8)
	id := b.create(t, testSpec("graph", pageURL(0)), true).GetId()
	for range 3 {
		<-reached
		if err := b.stop(); err != nil {
			t.Fatalf("run: %v", err)
		}
		b.start(t)
	}
	c := b.wait(t, id)
	balanced(t, c)
	if got := c.GetStats().GetLedger().GetDone(); got != 400 {
		t.Errorf("done is %d, want 400: %v", got, c.GetStats())
	}
	if got := c.GetStats().GetItems(); got != 400 {
		t.Errorf("items are %d, want 400", got)
	}
}

// A scheduler that leaves finishes the results in hand, hands out nothing more and
// takes none, and answers until it is stopped.
func TestLeave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var visits atomic.Int64
	reached, left := make(chan struct{}, 1), make(chan struct{})
	site := graph(400)
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		switch n := visits.Add(1); {
		case n == 60:
			reached <- struct{}{}
		case n > 200:
			<-left // lest the crawl be over before anybody has left
		}
		return site(ref)
	})
	w.run(8)
	id := b.create(t, testSpec("graph", pageURL(0)), true).GetId()
	<-reached
	err := b.svc.Leave(t.Context())
	close(left)
	if err != nil {
		t.Fatal(err)
	}
	done := func() uint64 {
		t.Helper()
		resp, err := b.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: id})
		if err != nil {
			t.Fatalf("a scheduler that has left does not answer: %v", err)
		}
		return resp.GetCrawl().GetStats().GetLedger().GetDone()
	}
	before := done()
	// The ring goes on with what it has.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for left := 1; left > 0; <-tick.C {
		log, err := b.bus.FetchBacklog(t.Context(), Pool)
		if err != nil {
			t.Fatal(err)
		}
		left = log.Waiting + log.Working
	}
	if after := done(); after != before || after == 400 {
		t.Errorf("%d pages are done, %d were when it had left", after, before)
	}
	if err := b.svc.Leave(t.Context()); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := b.stop(); err != nil {
		t.Fatalf("run: %v", err)
	}
	b.start(t)
	if got := b.wait(t, id).GetStats().GetLedger().GetDone(); got != 400 || visits.Load() != 400 {
		t.Errorf("%d pages done by %d visits, want 400 by 400", got, visits.Load())
	}
}

// Leases whose tasks are on no stream come back at the next start, at once.
func TestStartReturnsLostLeases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, testSpec("lost", pageURL(0)), true).GetId()
	awaitLeased(t, b, id, 1)
	if err := b.stop(); err != nil {
		t.Fatalf("run: %v", err)
	}
	// The bus loses everything it has.
	if err := b.bus.PurgeCrawl(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	newWorld(t, b.bus, graph(1)).run(1)
	if c := b.wait(t, id); c.GetStats().GetLedger().GetDone() != 1 {
		t.Errorf("the crawl ended with %v", c.GetStats())
	}
}

// A server that comes back without its streams is set up again, and the work that
// it lost is done when the leases' time is up.
func TestServerLosesItsDisk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.stop(); err != nil {
		t.Fatalf("run: %v", err)
	}
	b.cfg.LeaseTime = time.Second
	b.start(t)
	id := b.create(t, testSpec("lost", pageURL(0)), true).GetId()
	awaitLeased(t, b, id, 1)
	b.nats.Lose()
	b.nats.Restart()
	newWorld(t, b.bus, graph(20)).run(4)
	c := b.wait(t, id)
	balanced(t, c)
	if c.GetStats().GetLedger().GetDone() != 20 {
		t.Errorf("the crawl ended with %v", c.GetStats())
	}
	crawls, err := b.bus.WatchCrawls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The streams are there again before the crawls are shared, so work may end first.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := crawls.Get(ctx, id)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("the crawl is not shared again: %v", err)
		}
	}
}

// awaitLeased waits until n URLs of a crawl are leased.
func awaitLeased(t *testing.T, b *bundle, id string, n uint64) {
	t.Helper()
	stream, err := b.client.WatchCrawl(t.Context(), &schedulerv1.WatchCrawlRequest{Crawl: id, Interval: durationpb.New(leastInterval)})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		if m.GetCrawl().GetStats().GetLedger().GetLeased() >= n {
			return
		}
	}
}

// A result that comes again changes nothing.
func TestDuplicateResultsChangeNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	site := graph(50)
	w := newWorld(t, b.bus, nil)
	w.answer = func(ref *crawlv1.TaskRef) *crawlv1.Result {
		twin := site(ref)
		twin.Ref = ref
		m := bus.Result(twin)
		m.ID += "-again"
		if err := b.bus.PublishAll(context.Background(), m, m); err != nil {
			t.Errorf("publish: %v", err)
		}
		return site(ref)
	}
	w.run(4)
	c := b.wait(t, b.create(t, testSpec("twice", pageURL(0)), true).GetId())
	balanced(t, c)
	if s := c.GetStats(); s.GetLedger().GetDone() != 50 || s.GetItems() != 50 || s.GetPages() != 50 {
		t.Errorf("counted twice: %v", s)
	}
}

func TestFailuresAreRetriedThenFail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		switch {
		case strings.HasSuffix(ref.GetUrl(), "/0"):
			return page(0, pageURL(1), pageURL(2))
		case strings.HasSuffix(ref.GetUrl(), "/1") && ref.GetAttempt() == 1:
			return &crawlv1.Result{Error: crawlv1.ErrorClass_ERROR_CLASS_RESET}
		case strings.HasSuffix(ref.GetUrl(), "/1"):
			return page(1)
		default:
			return &crawlv1.Result{Status: 404, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX}
		}
	}).run(2)
	c := b.wait(t, b.create(t, testSpec("flaky", pageURL(0)), true).GetId())
	balanced(t, c)
	s := c.GetStats()
	if s.GetLedger().GetDone() != 2 || s.GetLedger().GetFailed() != 1 {
		t.Errorf("ledger is %v, want 2 done and 1 failed", s.GetLedger())
	}
	if s.GetErrors()["reset"] != 1 || s.GetErrors()["status_4xx"] != 1 || s.GetStatuses()[404] != 1 {
		t.Errorf("errors are %v, statuses %v", s.GetErrors(), s.GetStatuses())
	}
}

func TestRedirectsGoThroughTheFrontier(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		target := map[string]string{
			pageURL(0): pageURL(1),                // in scope
			pageURL(1): "http://other.example/",   // out of scope
			pageURL(2): pageURL(2),                // a circle
			pageURL(3): "http://site.example/3/x", // an endless chain
		}[ref.GetUrl()]
		if strings.HasPrefix(ref.GetUrl(), pageURL(3)+"/") {
			target = ref.GetUrl() + "x"
		}
		return &crawlv1.Result{Status: 302, RedirectUrl: target}
	})
	w.run(2)
	s := testSpec("redirects", pageURL(0), pageURL(2), pageURL(3))
	s.Fetch = &crawlv1.Fetch{MaxRedirects: proto.Uint32(3)}
	c := b.wait(t, b.create(t, s, true).GetId())
	balanced(t, c)
	l := c.GetStats().GetLedger()
	// Done: 0, 1, 3 and the first two of its chain; failed: 2 and the chain's end.
	if l.GetDiscovered() != 7 || l.GetFailed() != 2 || l.GetDone() != 5 {
		t.Errorf("ledger is %v, errors %v, visited %v", l, c.GetStats().GetErrors(), w.visited())
	}
	if got := c.GetStats().GetErrors()["redirect_loop"]; got != 2 {
		t.Errorf("redirect_loop is %d, want 2", got)
	}
}

// A seed that moved inside its site takes the crawl with it; one that moved to
// another site does not, nor does a page that is no seed.
func TestScopeFollowsSeedsThatMoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		switch ref.GetUrl() {
		case "http://moved.example/":
			return &crawlv1.Result{Status: 301, RedirectUrl: "https://www.moved.example/"}
		case "https://www.moved.example/":
			return page(0, "https://www.moved.example/a")
		case "https://www.moved.example/a":
			return &crawlv1.Result{Status: 302, RedirectUrl: "https://blog.moved.example/"}
		case "http://sold.example/":
			return &crawlv1.Result{Status: 301, RedirectUrl: "https://parking.test/"}
		default:
			return page(0)
		}
	})
	w.run(2)
	c := b.wait(t, b.create(t, testSpec("moved", "http://moved.example/", "http://sold.example/"), true).GetId())
	balanced(t, c)
	got := w.visited()
	if len(got) != 4 || got["https://www.moved.example/a"] != 1 {
		t.Errorf("visited %v, want both seeds, the new home and its page", got)
	}
}

func TestDeadLetterFailsItsURL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := newWorld(t, b.bus, graph(1)).run(1)
	stop()
	id := b.create(t, testSpec("dead", pageURL(0)), true).GetId()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- b.bus.Consume(ctx, bus.FetchConsumer(Pool), bus.Options{Concurrency: 1}, func(context.Context, bus.Delivery) error {
			return crawl.Errorf(crawl.Invalid, "nobody can read this")
		})
	}()
	c := b.wait(t, id)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("consume: %v", err)
	}
	balanced(t, c)
	if c.GetStats().GetLedger().GetFailed() != 1 || c.GetStats().GetErrors()["dead_letter"] != 1 {
		t.Errorf("stats are %v", c.GetStats())
	}
}

// Credentials are for the seeds' hosts, also in a crawl with a scope of its own.
func TestSeedsWithAScope(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := testSpec("scoped", pageURL(0))
	s.Scope = &crawlv1.Scope{Hosts: []string{"site.example", "other.example"}}
	if c := b.create(t, s, true); len(c.GetSeedHosts()) != 0 {
		t.Errorf("seed hosts %v, which nothing is for", c.GetSeedHosts())
	}
	s.Name, s.Fetch = "login", &crawlv1.Fetch{BearerAuth: &crawlv1.BearerAuth{TokenEnv: "WEIR_SECRET_A"}}
	if c := b.create(t, s, true); !slices.Equal(c.GetSeedHosts(), []string{"site.example"}) {
		t.Errorf("seed hosts %v, want that of the seed", c.GetSeedHosts())
	}
}

func TestAddURLs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, graph(10))
	w.run(2)
	id := b.create(t, testSpec("open"), false).GetId()
	stream, err := b.client.AddURLs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(urls ...string) *schedulerv1.AddURLsResponse {
		t.Helper()
		if err := stream.Send(&schedulerv1.AddURLsRequest{Crawl: id, Urls: urls}); err != nil {
			t.Fatal(err)
		}
		r, err := stream.Recv()
		if err != nil {
			t.Fatalf("add: %v", err)
		}
		return r
	}
	if r := send(pageURL(0), "http://SITE.example:80/0#x", "mailto:x@site.example", "::"); r.GetAdded() != 1 || r.GetKnown() != 1 || len(r.GetRefused()) != 2 {
		t.Errorf("first answer is %v, want 1 added, 1 known, 2 refused", r)
	}
	// A new host among the seeds belongs to the crawl from now on.
	if r := send("http://second.example/"); r.GetAdded() != 2 || r.GetBatches() != 2 {
		t.Errorf("second answer is %v, want 2 added in 2 batches", r)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last batch: %v, want EOF", err)
	}
	if _, err := b.client.CloseCrawl(t.Context(), &schedulerv1.CloseCrawlRequest{Crawl: "open"}); err != nil {
		t.Fatal(err)
	}
	c := b.wait(t, id)
	if l := c.GetStats().GetLedger(); l.GetDone() != 10 || l.GetFailed() != 1 {
		t.Errorf("ledger is %v, want 10 done and the second host's 404", l)
	}
	if len(c.GetSeedHosts()) != 2 || c.GetRevision() < 2 {
		t.Errorf("seed hosts %v, revision %d", c.GetSeedHosts(), c.GetRevision())
	}
	stream, err = b.client.AddURLs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&schedulerv1.AddURLsRequest{Crawl: id, Urls: []string{pageURL(11)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("adding to a finished crawl: %v, want a precondition error", err)
	}
}

// A caller who goes away while a crawl is made finds it whole or not at all: one
// without its seeds would end at once, with nothing.
func TestCreateIsWholeWhenItsCallerGoesAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ses := b.svc.session.Load()
	goOn := stand(t, ses)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.svc.CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: testSpec("gone", pageURL(0)), Close: true})
		ended <- err
	}()
	await(t, "the request", func() bool { return len(ses.loop.requests) > 0 })
	cancel() // when the loop has it, and has not done it
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	goOn()
	err := b.svc.read(t.Context(), func(l *loop, _ time.Time) error {
		if n := len(l.f.Crawls()); n != 1 {
			t.Errorf("%d crawls, want the one that the loop had", n)
		}
		for _, no := range l.f.Crawls() {
			if c, stats, _ := l.f.Crawl(no); stats.Discovered != 1 || c.State != frontier.Closing || l.crawls.number(no) == nil {
				t.Errorf("crawl %d is %s with %d URLs", no, c.State, stats.Discovered)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// brokenStore applies batches that never become durable.
type brokenStore struct{ frontier.Store }

// brokenCommit is one of them.
type brokenCommit struct{}

var errBroken = crawl.Errorf(crawl.Unavailable, "the disk is gone")

func (brokenCommit) Wait() error { return errBroken }

func (s brokenStore) Apply(b *frontier.Batch) (frontier.Commit, error) {
	_, err := s.Store.Apply(b)
	return brokenCommit{}, err
}

// A commit that failed ends the scheduler, even if nothing else ever happens.
func TestFailedCommitEndsTheScheduler(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Dir, cfg.Partitions = t.TempDir(), 1
	svc, err := New(cfg, Deps{Bus: natstest.Bus(t), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	svc.store = brokenStore{svc.store}
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(t.Context()) }()
	<-svc.ready
	req := &schedulerv1.CreateCrawlRequest{Spec: testSpec("broken", pageURL(0))}
	if _, err := svc.CreateCrawl(t.Context(), req); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("create: %v", err)
	}
	if err := <-ended; !errors.Is(err, errBroken) {
		t.Errorf("run ended with %v", err)
	}
}

// A host whose URLs are all denied needs nobody's help to come to their end, not
// even where most of them are on the disk.
func TestDeniedURLsEndWithoutAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		return &crawlv1.Result{Status: 200, Robots: []byte("User-agent: *\nDisallow: /\n")}
	}).run(1)
	seeds := make([]string, 1000)
	for i := range seeds {
		seeds[i] = pageURL(i)
	}
	s := testSpec("denied", seeds...)
	s.Politeness.ObeyRobots = proto.Bool(true)
	c := b.wait(t, b.create(t, s, true).GetId())
	balanced(t, c)
	if got := c.GetStats().GetLedger().GetDropped()["robots_denied"]; got != 1000 {
		t.Errorf("%d URLs dropped, want 1000: %v", got, c.GetStats())
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, graph(3)).run(1)
	s := testSpec("explain", pageURL(0))
	s.Scope = &crawlv1.Scope{Hosts: []string{"site.example"}, Rules: []*crawlv1.ScopeRule{
		{Action: &crawlv1.ScopeRule_Reject{Reject: "*/private/*"}},
	}}
	id := b.wait(t, b.create(t, s, true).GetId()).GetId()
	explain := func(u string) *schedulerv1.ExplainURLResponse {
		t.Helper()
		r, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: id, Url: u})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := explain("http://site.EXAMPLE:80/1?utm_source=x#y"); r.GetState() != schedulerv1.URLState_URL_STATE_DONE || r.GetCanonicalUrl() != pageURL(1) || r.GetDepth() != 1 || r.GetStatus() != 200 {
		t.Errorf("a visited URL: %v", r)
	}
	if r := explain("http://site.example/private/a"); r.GetInScope() || !strings.Contains(r.GetScopeRule(), "*/private/*") {
		t.Errorf("a rejected URL: %v", r)
	}
	if r := explain(pageURL(99)); !r.GetInScope() || r.GetState() != schedulerv1.URLState_URL_STATE_UNSPECIFIED {
		t.Errorf("an unknown URL: %v", r)
	}
}
