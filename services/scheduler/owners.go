package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/internal/access"
)

// admit refuses a further crawl of a caller who has as many as its quotas allow, and one
// that has ended and is to run again. It runs in the loop, so that two requests at once
// are counted one after the other; those of two replicas at once may both pass.
func (s *Service) admit(ctx context.Context, l *loop, now time.Time, again bool) error {
	caller := access.From(ctx)
	if again {
		caller.Quotas.CrawlsPerDay = 0
	}
	if caller.Owner() == "" || caller.Quotas.CrawlsRunning == 0 && caller.Quotas.CrawlsPerDay == 0 {
		return nil
	}
	var owned []access.Owned
	for _, e := range s.crawls.all() {
		if e.meta.GetOwner() != caller.Owner() {
			continue
		}
		if c, _, ok := l.f.Crawl(e.no); ok {
			owned = append(owned, access.Owned{Created: e.meta.GetCreatedAt().AsTime(), Over: c.State.Final()})
		}
	}
	return caller.AdmitCrawl(now, owned)
}
