package scheduler

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// TestFrontierOfYesterday: the bus remembers a crawl that the frontier has lost, by a
// restore from a backup or with its database. A new crawl with its number is another
// one, and what is still under way of the lost one holds nobody up.
func TestFrontierOfYesterday(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	lost := c.replicas[0].create(t, testSpec("lost", "http://lost.example/"), false)
	number := c.replicas[0].get(t, lost).GetNumber()
	c.eventually("the crawl is announced", func() bool {
		_, err := c.replicas[1].client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: lost})
		return err == nil
	})
	for _, r := range c.replicas {
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	c.replicas, c.dsn = nil, pgtest.Database(t)
	err := c.bus.PublishAll(t.Context(), bus.Result(&crawlv1.Result{Ref: &crawlv1.TaskRef{CrawlId: lost, Url: "http://lost.example/", Lease: 7}, Status: 200}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.start()
	}
	c.settle()
	fresh := c.replicas[0].create(t, testSpec("fresh", "http://fresh.example/"), false)
	if fresh == lost {
		t.Fatal("the lost crawl was answered for the new one")
	}
	for _, r := range c.replicas {
		c.eventually(r.name+" knows the new crawl", func() bool {
			resp, err := r.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: fresh})
			return err == nil && resp.GetCrawl().GetNumber() == number && resp.GetCrawl().GetSpec().GetName() == "fresh"
		})
		list, err := r.client.ListCrawls(t.Context(), &schedulerv1.ListCrawlsRequest{})
		if err != nil || len(list.GetCrawls()) != 1 {
			t.Errorf("%s lists %v, %v", r.name, list.GetCrawls(), err)
		}
	}
	// The result of the lost crawl is taken and dropped.
	c.eventually("nothing waits for the schedulers", func() bool {
		lag, err := c.bus.Lag(t.Context())
		left := uint64(0)
		for consumer, n := range lag {
			if strings.HasPrefix(consumer, bus.StreamResults+"/") {
				left += n
			}
		}
		return err == nil && len(lag) > 0 && left == 0
	})
}
