package frontier_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestWaitingHostHoldsUpNobody: while one host with many URLs waits for its delay, each
// of the others gets its visit, at the same moment.
func TestWaitingHostHoldsUpNobody(t *testing.T) {
	t.Parallel()
	const others = 2000
	b := setup(t)
	no := b.crawl(frontier.Crawl{Delay: time.Minute, Concurrency: 1})
	for i := range others {
		b.add(no, fmt.Sprintf("http://slow.example/%d", i))
	}
	for i := range others {
		b.add(no, fmt.Sprintf("http://other%d.example/", i))
	}
	visits := map[string]int{}
	for {
		ls := b.f.Next(b.now, 100)
		if len(ls) == 0 {
			break
		}
		for _, l := range ls {
			visits[l.Item.URL.Origin()]++
			b.f.Report(b.now, l.ID, frontier.Exchange{Status: 200})
			b.done(l, frontier.Exchange{Status: 200})
		}
		b.f.Flush()
	}
	if len(visits) != others+1 || visits["http://slow.example"] != 1 {
		t.Errorf("%d hosts visited, the slow one %d times; want %d and once", len(visits), visits["http://slow.example"], others+1)
	}
	if got := b.f.WakeAt(b.now).Sub(b.now); got != time.Minute {
		t.Errorf("wake in %v, want the delay of the slow host", got)
	}
}

// TestMemoryFollowsHosts: beyond what the windows hold, more URLs of the same hosts take
// no memory.
func TestMemoryFollowsHosts(t *testing.T) {
	const hosts, few, many, most = 20, 20_000, 200_000, 4 << 20
	b := setup(t, func(c *frontier.Config) { c.MaxItems = 1000 })
	no := b.crawl(frontier.Crawl{})
	grow := func(from, to int) uint64 {
		for i := from; i < to; i++ {
			b.add(no, fmt.Sprintf("http://host%d.example/an-article-of-some-length-about-%d.html", i%hosts, i))
			if i%500 == 0 {
				b.f.Flush()
			}
		}
		b.f.Flush()
		b.f.Flush() // both batches are empty now
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		runtime.KeepAlive(b)
		return m.HeapAlloc
	}
	first := grow(0, few)
	second := grow(few, many)
	if second > first+most {
		t.Errorf("%d URLs of %d hosts hold %d KiB, %d URLs %d KiB", few, hosts, first>>10, many, second>>10)
	}
}
