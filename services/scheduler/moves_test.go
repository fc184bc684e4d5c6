package scheduler

import (
	"fmt"
	"strings"
	"testing"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
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
