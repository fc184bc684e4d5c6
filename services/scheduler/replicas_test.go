package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/testkit/natstest"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// replicaPartitions are enough that each of three replicas has some, and few enough
// that tests start fast.
const replicaPartitions = 12

// cluster is schedulers that share a database and a NATS server.
type cluster struct {
	tb   testing.TB
	nats *natstest.Server
	dsn  string
	bus  *bus.Bus // of the rest of the ring
	// life is that of a lease without its holder.
	life time.Duration

	replicas []*replica
}

// replica is one of them.
type replica struct {
	name   string
	svc    *Service
	bus    *bus.Bus
	client schedulerv1.CrawlServiceClient
	// stop ends it as a terminated process would.
	stop func() error
}

// connect has leases that live as long as the cluster's.
func (c *cluster) connect() *bus.Bus {
	cfg := bus.EmbeddedConfig()
	cfg.LeaseTTL = c.life
	return c.nats.Connect(cfg)
}

// newCluster starts n replicas and waits until the partitions are shared out. Their
// leases outlive the pauses of a busy machine: a replica that loses one begins anew, and
// answers no call meanwhile.
func newCluster(tb testing.TB, n int) *cluster {
	tb.Helper()
	return newClusterWith(tb, n, 2*bus.DefaultConfig().LeaseTTL)
}

// newClusterWith is newCluster with leases of another life.
func newClusterWith(tb testing.TB, n int, life time.Duration) *cluster {
	tb.Helper()
	c := &cluster{tb: tb, nats: natstest.Start(tb), dsn: pgtest.Database(tb), life: life}
	c.bus = c.connect()
	for range n {
		c.start()
	}
	c.settle()
	return c
}

// start adds a replica.
func (c *cluster) start() *replica {
	tb := c.tb
	tb.Helper()
	r := &replica{name: fmt.Sprintf("r%d", len(c.replicas)), bus: c.connect()}
	log := slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("replica", r.name)
	sc := rpc.DefaultConfig()
	sc.Listen, sc.SoftStop = "127.0.0.1:0", 100*time.Millisecond
	server, err := rpc.NewServer(sc, rpc.Deps{Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Store, cfg.Partitions, cfg.Replica, cfg.Advertise = c.dsn, replicaPartitions, r.name, server.Addr()
	r.svc, err = New(cfg, Deps{Bus: r.bus, Log: log, Registry: prometheus.NewRegistry()})
	if err != nil {
		tb.Fatal(err)
	}
	r.svc.RegisterGRPC(server)
	conn, err := rpc.Dial(server.Addr())
	if err != nil {
		tb.Fatal(err)
	}
	r.client = schedulerv1.NewCrawlServiceClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var runErr error
	wg.Go(func() { runErr = r.svc.Run(ctx) })
	serving, stopServing := context.WithCancel(context.Background())
	wg.Go(func() { _ = server.Serve(serving) })
	r.stop = sync.OnceValue(func() error {
		cancel()
		<-r.svc.stopped
		_ = conn.Close()
		stopServing()
		wg.Wait()
		return runErr
	})
	tb.Cleanup(func() {
		if err := r.stop(); err != nil {
			tb.Errorf("%s: %v", r.name, err)
		}
	})
	select {
	case <-r.svc.ready:
	case <-r.svc.stopped:
		tb.Fatalf("%s did not start: %v", r.name, r.stop())
	}
	c.replicas = append(c.replicas, r)
	return r
}

// remove takes a replica out of those that are looked at.
func (c *cluster) remove(r *replica) {
	for i, o := range c.replicas {
		if o == r {
			c.replicas = append(c.replicas[:i:i], c.replicas[i+1:]...)
			return
		}
	}
}

// owned returns the partitions of a replica.
func (r *replica) owned() []uint32 {
	ses, err := r.svc.current()
	if err != nil {
		return nil
	}
	var out []uint32
	for p := range ses.held {
		if ses.held[p].Load() != nil {
			out = append(out, uint32(p))
		}
	}
	return out
}

// settle waits until the partitions are shared out evenly, each to one.
func (c *cluster) settle() {
	c.tb.Helper()
	most := (replicaPartitions + len(c.replicas) - 1) / len(c.replicas)
	c.eventually("the partitions are shared out", func() bool {
		owners := make([]int, replicaPartitions)
		for _, r := range c.replicas {
			ps := r.owned()
			if len(ps) > most {
				return false
			}
			for _, p := range ps {
				owners[p]++
			}
		}
		for _, n := range owners {
			if n != 1 {
				return false
			}
		}
		return true
	})
}

// eventually waits for something that takes seconds.
func (c *cluster) eventually(what string, ok func() bool) {
	c.tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			for _, r := range c.replicas {
				c.tb.Logf("%s owns %v", r.name, r.owned())
			}
			c.tb.Fatalf("never came: %s", what)
		}
	}
}

// sites are hosts h0.example … with pages that link to the next pages of their host
// and to the same page of the next hosts.
type sites struct{ hosts, pages int }

func (s sites) url(host, page int) string {
	return fmt.Sprintf("http://h%d.example/%d", host%s.hosts, page)
}

func (s sites) answer(ref *crawlv1.TaskRef) *crawlv1.Result {
	var host, n int
	if _, err := fmt.Sscanf(ref.GetUrl(), "http://h%d.example/%d", &host, &n); err != nil {
		return &crawlv1.Result{Status: 404, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX}
	}
	links := []string{s.url(host+1, n), s.url(host+3, n)}
	for _, next := range []int{2*n + 1, 2*n + 2} {
		if next < s.pages {
			links = append(links, s.url(host, next))
		}
	}
	return page(ref.GetDepth(), links...)
}

// spec of a crawl of all the sites from one seed.
func (s sites) spec(name string) *crawlv1.CrawlSpec {
	spec := testSpec(name, s.url(0, 0))
	spec.Scope = &crawlv1.Scope{}
	for h := range s.hosts {
		spec.Scope.Hosts = append(spec.Scope.Hosts, fmt.Sprintf("h%d.example", h))
	}
	return spec
}

func (r *replica) create(tb testing.TB, spec *crawlv1.CrawlSpec, closed bool) string {
	tb.Helper()
	resp, err := r.client.CreateCrawl(tb.Context(), &schedulerv1.CreateCrawlRequest{Spec: spec, Close: closed})
	if err != nil {
		tb.Fatalf("%s: create crawl: %v", r.name, err)
	}
	return resp.GetCrawl().GetId()
}

func (r *replica) get(tb testing.TB, id string) *crawlv1.Crawl {
	tb.Helper()
	resp, err := r.client.GetCrawl(tb.Context(), &schedulerv1.GetCrawlRequest{Crawl: id})
	if err != nil {
		tb.Fatalf("%s: get crawl: %v", r.name, err)
	}
	return resp.GetCrawl()
}

func (r *replica) wait(tb testing.TB, id string) *crawlv1.Crawl {
	tb.Helper()
	resp, err := r.client.WaitCrawl(tb.Context(), &schedulerv1.WaitCrawlRequest{Crawl: id, Timeout: durationpb.New(patience)})
	if err != nil {
		tb.Fatalf("%s: wait: %v", r.name, err)
	}
	if !resp.GetDone() {
		tb.Fatalf("%s: the crawl does not end: %v", r.name, resp.GetCrawl())
	}
	return resp.GetCrawl()
}

// complete checks a finished crawl of all the sites.
func (s sites) complete(tb testing.TB, c *crawlv1.Crawl, visits map[string]int) {
	tb.Helper()
	balanced(tb, c)
	want := uint64(s.hosts * s.pages)
	if l := c.GetStats().GetLedger(); l.GetDone() != want || l.GetDiscovered() != want || c.GetReason() != "done" {
		tb.Errorf("%s (%s): %v, want %d pages", c.GetState(), c.GetReason(), l, want)
	}
	if len(visits) != int(want) {
		tb.Errorf("%d distinct URLs visited, want %d", len(visits), want)
	}
}

// Every replica sees the whole crawl, though each has done only its part.
func TestReplicasShareACrawl(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	s := sites{hosts: 24, pages: 20}
	w := newWorld(t, c.bus, s.answer)
	w.run(16)
	id := c.replicas[0].create(t, s.spec("shared"), true)
	for _, r := range c.replicas {
		s.complete(t, r.wait(t, id), w.visited())
		if n := len(r.owned()); n != replicaPartitions/3 {
			t.Errorf("%s owns %d partitions", r.name, n)
		}
	}
	for u, n := range w.visited() {
		if n != 1 {
			t.Errorf("%s visited %d times", u, n)
		}
	}
}

// A replica that stops gives its partitions away; one that starts gets its share.
func TestReplicaStopsAndStarts(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	s := sites{hosts: 24, pages: 30}
	w := newWorld(t, c.bus, s.answer)
	w.run(4)
	id := c.replicas[1].create(t, s.spec("moving"), true)
	c.eventually("a part is done", func() bool { return len(w.visited()) > 100 })
	leaving := c.replicas[1]
	c.remove(leaving)
	if err := leaving.stop(); err != nil {
		t.Fatal(err)
	}
	c.settle()
	c.start()
	c.settle()
	for _, r := range c.replicas {
		s.complete(t, r.wait(t, id), w.visited())
	}
	for u, n := range w.visited() {
		if n != 1 {
			t.Errorf("%s visited %d times", u, n)
		}
	}
}

// A replica that loses NATS cannot tell anybody; the others take over when its
// leases have run out.
func TestReplicaDies(t *testing.T) {
	t.Parallel()
	// Calls wait for the new owner for longer than this.
	c := newClusterWith(t, 3, bus.DefaultConfig().LeaseTTL)
	s := sites{hosts: 24, pages: 30}
	var visits atomic.Int64
	paused := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(paused) })
	defer goOn()
	w := newWorld(t, c.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		if visits.Add(1) > 300 {
			<-paused // lest the crawl be over before
		}
		return s.answer(ref)
	})
	w.run(4)
	id := c.replicas[0].create(t, s.spec("orphaned"), true)
	c.eventually("a part is done", func() bool { return len(w.visited()) > 100 })
	dead := c.replicas[0]
	dead.bus.Close()
	c.remove(dead)
	// The crawl's home was there: the call waits until it is somewhere else.
	if _, err := c.replicas[0].client.PauseCrawl(t.Context(), &schedulerv1.PauseCrawlRequest{Crawl: id}); err != nil {
		t.Errorf("pause: %v", err)
	}
	goOn()
	if _, err := c.replicas[1].client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: id}); err != nil {
		t.Errorf("resume: %v", err)
	}
	c.settle()
	for _, r := range c.replicas {
		s.complete(t, r.wait(t, id), w.visited())
	}
}

// Somebody takes a partition away behind its owner's back: what the owner writes is
// refused, and it begins anew.
func TestZombieIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	s := sites{hosts: 24, pages: 20}
	thief, err := openStore(t.Context(), c.replicas[0].svc.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if _, err := thief.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := c.replicas[0].svc.session.Load()
	for _, p := range c.replicas[0].owned() {
		if _, err := thief.Acquire(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, c.bus, s.answer)
	w.run(8)
	id := c.replicas[1].create(t, s.spec("stolen"), true)
	s.complete(t, c.replicas[1].wait(t, id), w.visited())
	c.eventually("the replica has begun anew", func() bool {
		ses := c.replicas[0].svc.session.Load()
		return ses != nil && ses != before
	})
	c.settle()
}

// A call that writes by itself finds out that a partition is somebody else's: memory
// is ahead of the store then, and the replica begins anew as after any refused batch.
func TestZombieIsRefusedByACall(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	r := c.replicas[0]
	thief, err := openStore(t.Context(), r.svc.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if _, err := thief.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := r.svc.session.Load()
	for _, p := range r.owned() {
		if _, err := thief.Acquire(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	req := &schedulerv1.SetHostPolicyRequest{Host: "http://h0.example", Policy: &schedulerv1.HostPolicy{Blocked: true}}
	c.eventually("the policy is set, by a new session", func() bool {
		_, err := r.client.SetHostPolicy(t.Context(), req)
		return err == nil && r.svc.session.Load() != before
	})
}

func TestPageLimitOverReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	s := sites{hosts: 24, pages: 30}
	w := newWorld(t, c.bus, s.answer)
	w.run(16)
	for _, limit := range []uint64{1, 10, 137} {
		spec := s.spec(fmt.Sprintf("limit-%d", limit))
		spec.Limits = &crawlv1.Limits{Pages: limit}
		crawl := c.replicas[1].wait(t, c.replicas[1].create(t, spec, false))
		balanced(t, crawl)
		if got := crawl.GetStats().GetPages(); got != limit || crawl.GetReason() != "limit:pages" {
			t.Errorf("%d pages (%s), want %d", got, crawl.GetReason(), limit)
		}
	}
}

// Whatever a replica does not own it passes on; errors keep their kinds.
func TestEveryReplicaAnswers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	s := sites{hosts: 24, pages: 3}
	for i, r := range c.replicas {
		other := c.replicas[(i+1)%3]
		id := r.create(t, s.spec(fmt.Sprintf("from-%d", i)), false)
		if _, err := other.client.PauseCrawl(t.Context(), &schedulerv1.PauseCrawlRequest{Crawl: id}); err != nil {
			t.Fatalf("pause: %v", err)
		}
		c.eventually("all know that the crawl is paused", func() bool {
			for _, o := range c.replicas {
				if o.get(t, id).GetState() != crawlv1.CrawlState_CRAWL_STATE_PAUSED {
					return false
				}
			}
			return true
		})
		if _, err := other.client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: id}); err != nil {
			t.Fatalf("resume: %v", err)
		}
		_, err := other.client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: "nothing"})
		if crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("resume nothing: %v", err)
		}
		explain := func(u string) schedulerv1.URLState {
			got, err := other.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: id, Url: u})
			if err != nil {
				t.Fatalf("explain: %v", err)
			}
			return got.GetState()
		}
		// Its links may still be on their way to its partition.
		c.eventually("the seed is known", func() bool { return explain(s.url(0, 0)) != schedulerv1.URLState_URL_STATE_UNSPECIFIED })
		for h := range s.hosts {
			if got := explain(s.url(h, 1)); got != schedulerv1.URLState_URL_STATE_UNSPECIFIED {
				t.Errorf("%s is %v", s.url(h, 1), got)
			}
		}
		if _, err := other.client.CancelCrawl(t.Context(), &schedulerv1.CancelCrawlRequest{Crawl: id}); err != nil {
			t.Fatalf("cancel: %v", err)
		}
		_, err = r.client.PauseCrawl(t.Context(), &schedulerv1.PauseCrawlRequest{Crawl: id})
		if crawl.KindOf(err) != crawl.Precondition {
			t.Errorf("pause a cancelled crawl: %v", err)
		}
	}
	if list, err := c.replicas[0].client.ListCrawls(t.Context(), &schedulerv1.ListCrawlsRequest{}); err != nil || len(list.GetCrawls()) != 3 {
		t.Errorf("%d crawls listed, %v", len(list.GetCrawls()), err)
	}
}

// Seeds may come to any replica, on hosts that nobody knows yet.
func TestSeedsToAnyReplica(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	s := sites{hosts: 24, pages: 1}
	w := newWorld(t, c.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result { return page(ref.GetDepth()) })
	w.run(8)
	id := c.replicas[0].create(t, testSpec("seeds", s.url(0, 0)), false)
	for i, r := range c.replicas {
		stream, err := r.client.AddURLs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for h := range s.hosts {
			if h%3 != i {
				continue
			}
			if err := stream.Send(&schedulerv1.AddURLsRequest{Crawl: id, Urls: []string{s.url(h, 0)}}); err != nil {
				t.Fatal(err)
			}
			if got, err := stream.Recv(); err != nil || len(got.GetRefused()) > 0 {
				t.Fatalf("%s: add: %v, %v", r.name, got, err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.replicas[2].client.CloseCrawl(t.Context(), &schedulerv1.CloseCrawlRequest{Crawl: id}); err != nil {
		t.Fatal(err)
	}
	s.complete(t, c.replicas[1].wait(t, id), w.visited())
}

// The same request makes one crawl, whoever is asked.
func TestRequestIDOverReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	s := sites{hosts: 2, pages: 1}
	ids := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 3 {
		for _, r := range c.replicas {
			wg.Go(func() {
				resp, err := r.client.CreateCrawl(t.Context(), &schedulerv1.CreateCrawlRequest{
					Spec: proto.CloneOf(s.spec("once")), RequestId: "the-same",
				})
				if err != nil {
					t.Errorf("%s: %v", r.name, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[resp.GetCrawl().GetId()] = true
			})
		}
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("%d crawls, want 1", len(ids))
	}
}
