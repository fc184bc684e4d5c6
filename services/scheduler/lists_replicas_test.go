package scheduler

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// TestListsOfAnyReplica: whichever is asked answers for all partitions, each row once,
// and passes changes on to the owner.
func TestListsOfAnyReplica(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	s := sites{hosts: 12, pages: 5}
	w := newWorld(t, c.bus, s.answer)
	w.run(8)
	id := c.replicas[0].create(t, s.spec("lists"), true)
	c.replicas[1].wait(t, id)
	for i, r := range c.replicas {
		b := &bundle{client: r.client}
		urls, _ := b.urls(t, &schedulerv1.ListURLsRequest{Crawl: "lists", PageSize: 7})
		if slices.Sort(urls); len(urls) != s.hosts*s.pages || len(slices.Compact(urls)) != len(urls) {
			t.Errorf("replica %d: %d URLs, want %d", i, len(urls), s.hosts*s.pages)
		}
		if hosts := b.hosts(t, &schedulerv1.ListHostsRequest{Crawl: id, PageSize: 5}); len(hosts) != s.hosts {
			t.Errorf("replica %d: hosts %v", i, hosts)
		}
		for h := range s.hosts {
			want := durationpb.New(1e9)
			set, err := r.client.SetHostPolicy(t.Context(), &schedulerv1.SetHostPolicyRequest{Host: s.url(h, 0), Policy: &schedulerv1.HostPolicy{Delay: want, Note: r.name}})
			if err != nil || set.GetHost().GetPolicy().GetNote() != r.name {
				t.Errorf("replica %d: set %v, %v", i, set, err)
			}
			got, err := c.replicas[(i+1)%3].client.GetHost(t.Context(), &schedulerv1.GetHostRequest{Host: s.url(h, 0)})
			if err != nil || got.GetHost().GetPolicy().GetNote() != r.name {
				t.Errorf("replica %d: got %v, %v", i, got, err)
			}
		}
	}
	if _, err := c.replicas[2].client.DeleteCrawl(t.Context(), &schedulerv1.DeleteCrawlRequest{Crawl: "lists"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.replicas {
		c.eventually("the crawl is gone from "+r.name, func() bool {
			_, err := r.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: id})
			return crawl.KindOf(err) == crawl.NotFound
		})
	}
}
