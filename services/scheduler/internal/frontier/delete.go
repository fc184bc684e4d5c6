package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// Delete marks a crawl that has ended as deleted. Flush and Apply, then Forget it
// and have Store.DeleteCrawl take its rows away; after a restart in between the
// store still has the mark. The error is of kind crawl.NotFound or
// crawl.Precondition.
func (f *Frontier) Delete(now time.Time, no CrawlNo) error {
	f.at(now)
	c := f.crawls[no]
	switch {
	case c == nil || c.State == Deleted:
		return crawl.Errorf(crawl.NotFound, "crawl %d is not known", no)
	case !c.State.Final():
		return crawl.Errorf(crawl.Precondition, "crawl %s is %s: cancel it first", c.ID, c.State)
	}
	f.setState(c, Deleted, "deleted")
	return nil
}

// LeaseOf returns the lease of a URL, 0 when it is not handed out.
func (f *Frontier) LeaseOf(ref Ref) LeaseID {
	if q := f.queueOf(ref.Host, ref.Crawl); q != nil {
		if l := q.findLease(ref.Key); l != nil {
			return l.id
		}
	}
	return 0
}
