package scheduler

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

func TestUpdateCrawl(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, graph(50))
	w.run(1)
	spec := testSpec("update", pageURL(0))
	spec.Limits = &crawlv1.Limits{Pages: 10}
	made := b.create(t, spec, true)
	id, revision := made.GetId(), made.GetRevision()
	if c := b.wait(t, id); c.GetStats().GetPages() != 10 {
		t.Fatalf("%d pages", c.GetStats().GetPages())
	}
	next := proto.CloneOf(spec)
	next.Name, next.Seeds = "", nil
	next.Limits.Pages = 20
	next.Extract = []*crawlv1.ExtractRule{{Name: "page", Fields: map[string]*crawlv1.FieldRule{"title": {Css: "title"}}}}
	canonical, order, wrong := proto.CloneOf(next), proto.CloneOf(next), proto.CloneOf(next)
	canonical.Canonical = &crawlv1.Canonical{SortQuery: proto.Bool(false)}
	order.Order = crawlv1.Order_ORDER_DEPTH_FIRST
	wrong.Extract[0].Name = "No Name"
	refused := []struct {
		name string
		req  *schedulerv1.UpdateCrawlRequest
		code codes.Code
		want string
	}{
		{"no spec", &schedulerv1.UpdateCrawlRequest{Crawl: id}, codes.InvalidArgument, "spec: is missing"},
		{"a wrong one", &schedulerv1.UpdateCrawlRequest{Crawl: id, Spec: wrong}, codes.InvalidArgument, "extract[0].name"},
		{"another canonical form", &schedulerv1.UpdateCrawlRequest{Crawl: id, Spec: canonical}, codes.InvalidArgument, "canonical: cannot change"},
		{"another order", &schedulerv1.UpdateCrawlRequest{Crawl: id, Spec: order}, codes.InvalidArgument, "order: cannot change"},
		{"another revision", &schedulerv1.UpdateCrawlRequest{Crawl: id, Spec: next, Revision: revision + 7}, codes.FailedPrecondition, "read it again"},
		{"no crawl", &schedulerv1.UpdateCrawlRequest{Crawl: "nobody", Spec: next}, codes.NotFound, "nobody"},
	}
	for _, tt := range refused {
		if _, err := b.client.UpdateCrawl(t.Context(), tt.req); status.Code(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for range 2 { // the second time it is the spec that it has
		r, err := b.client.UpdateCrawl(t.Context(), &schedulerv1.UpdateCrawlRequest{Crawl: "update", Spec: next})
		if err != nil || r.GetCrawl().GetRevision() != revision+1 || r.GetCrawl().GetSpec().GetName() != "update" || len(r.GetCrawl().GetSpec().GetSeeds().GetUrls()) != 1 {
			t.Fatalf("revision %d, %v, %v", r.GetCrawl().GetRevision(), r.GetCrawl().GetSpec(), err)
		}
	}
	specs, err := b.bus.WatchCrawls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := specs.At(t.Context(), id, revision+1); err != nil || len(c.Rules) != 1 {
		t.Errorf("what the other services know: %+v, %v", c, err)
	}
	// The crawl goes on by its new limit.
	if _, err := b.client.ResumeCrawl(t.Context(), &schedulerv1.ResumeCrawlRequest{Crawl: id}); err != nil {
		t.Fatal(err)
	}
	if c := b.wait(t, id); c.GetStats().GetPages() != 20 {
		t.Errorf("%d pages after the update", c.GetStats().GetPages())
	}
}
