package frontier_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestCensus: the sum of all crawls, and what each host with work waits for.
func TestCensus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.crawl(frontier.Crawl{Delay: time.Second}), b.crawl(frontier.Crawl{Delay: time.Second})
	paused := b.crawl(frontier.Crawl{})
	_ = b.f.SetState(b.now, paused, frontier.Paused, "")
	b.urls(paused, "http://nobody.test", 5)
	b.urls(one, "http://a.test", 3)
	first := b.one() // a.test is being visited from here on
	b.urls(two, "http://b.test", 2)
	second := b.one()
	if first.Delay != 0 || second.Delay != 0 {
		t.Errorf("first visits after a delay of %s and %s", first.Delay, second.Delay)
	}
	b.f.Report(b.now, second.ID, frontier.Exchange{Status: 200})
	b.urls(two, "http://c.test", 1)
	b.urls(two, "http://d.test", 1)
	b.policy("http://d.test", frontier.HostPolicy{Blocked: true}, false)

	b.now = b.now.Add(100 * time.Millisecond)
	got := b.f.Census(b.now)
	want := map[string]int{frontier.HostVisited: 1, frontier.HostDelay: 1, frontier.HostReady: 1, frontier.HostBlocked: 1}
	if diff := cmp.Diff(want, got.Hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[frontier.State]int{frontier.Running: 2, frontier.Paused: 1}, got.Crawls); diff != "" {
		t.Errorf("crawls (-want +got):\n%s", diff)
	}
	l := &got.Ledger
	if l.Discovered != 12 || l.Queued != 10 || l.Leased != 2 || l.Accounted() != l.Discovered {
		t.Errorf("ledger %+v", l)
	}
	if age, ok := b.f.Age(b.now, first.ID); !ok || age.Round(time.Microsecond) != 100*time.Millisecond {
		t.Errorf("age %s, %v", age, ok)
	}
	if _, ok := b.f.Age(b.now, 12345); ok {
		t.Error("an unknown lease has an age")
	}
	_ = b.f.SetState(b.now, two, frontier.Paused, "")
	b.f.Report(b.now, first.ID, frontier.Exchange{Status: 200})
	b.now = b.now.Add(time.Second)
	if d := b.one().Delay; d != time.Second {
		t.Errorf("the second visit of a host after a delay of %s, want a second", d)
	}
}
