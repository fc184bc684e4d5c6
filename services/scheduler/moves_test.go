package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// A seed that moves to another host of its site is followed wherever the crawl's home
// is, also when the crawl takes no more seeds.
func TestMovedSeedOverReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	w := newWorld(t, c.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		if rest, ok := strings.CutPrefix(ref.GetUrl(), "http://site"); ok {
			return &crawlv1.Result{Status: 301, RedirectUrl: "http://www.site" + rest}
		}
		return page(ref.GetDepth())
	})
	w.run(8)
	for i := range replicaPartitions {
		seed := fmt.Sprintf("http://site%d.example/", i)
		spec := testSpec(fmt.Sprintf("moved-%d", i), seed)
		got := c.replicas[i%3].wait(t, c.replicas[i%3].create(t, spec, true))
		balanced(t, got)
		if l := got.GetStats().GetLedger(); l.GetDone() != 2 {
			t.Errorf("%s: %v, want the seed and where it moved", seed, l)
		}
	}
}

// A partition that moves while pages of a limit are moved costs nobody the others.
func TestGrantsWhilePartitionsMove(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	s := sites{hosts: 24, pages: 60}
	w := newWorld(t, c.bus, s.answer)
	w.run(2)
	spec := s.spec("granted")
	spec.Limits = &crawlv1.Limits{Pages: 1200}
	id := c.replicas[0].create(t, spec, false)
	c.eventually("a part is done", func() bool { return len(w.visited()) > 100 })
	first := c.replicas[0].svc.session.Load()
	c.start()
	c.settle()
	got := c.replicas[1].wait(t, id)
	balanced(t, got)
	if n := got.GetStats().GetPages(); n != 1200 || got.GetReason() != "limit:pages" {
		t.Errorf("%d pages (%s)", n, got.GetReason())
	}
	if c.replicas[0].svc.session.Load() != first {
		t.Error("the first replica has begun anew")
	}
}

// The owner of a crawl may die before it has announced it: whoever takes up another of
// its partitions first finds the crawl in the store, and all of its URLs are visited.
func TestCrawlThatWasNeverAnnounced(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	r := c.replicas[0]
	ses := r.svc.session.Load()
	s := sites{hosts: 24, pages: 3}
	w := newWorld(t, c.bus, s.answer)
	w.run(8)

	id, err := newCrawlID()
	if err != nil {
		t.Fatal(err)
	}
	u, err := weburl.FromCanonical(s.url(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	home, of := ses.home(id), ses.partition(u)
	moved := []uint32{of, home}
	if home == of {
		moved = moved[:1]
	}
	for _, p := range moved {
		if err := ses.giveUp(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	dead, err := openStore(t.Context(), r.svc.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	start, err := dead.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	f := frontier.New(r.svc.frontierConfig(), start, now)
	for _, p := range moved {
		snapshot, err := dead.Acquire(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		f.Own(now, snapshot)
	}
	no, id, err := dead.NextCrawl(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	draft, seeds, err := r.svc.draft(t.Context(), &schedulerv1.CreateCrawlRequest{Spec: s.spec("unheard-of")}, no, id)
	if err != nil {
		t.Fatal(err)
	}
	core, err := draft.core(replicaPartitions, frontier.Running)
	if err != nil {
		t.Fatal(err)
	}
	f.PutCrawl(now, core)
	f.Add(now, no, []frontier.Candidate{{Ref: f.Ref(no, seeds[0]), URL: seeds[0]}}, []bool{false})
	if err := f.SetState(now, no, frontier.Closing, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Apply(f.Flush()); err != nil {
		t.Fatal(err)
	}
	for _, p := range moved {
		if err := ses.takeUp(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	s.complete(t, r.wait(t, id), w.visited())
}
