package scheduler

import (
	"context"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// stewardTick is how often crawls at home here are looked at: others may have done
	// the last of them.
	stewardTick = time.Second
	// stewardLeast is the least time between two looks.
	stewardLeast = 50 * time.Millisecond
	// grantTime bounds a transfer of pages.
	grantTime = 10 * time.Second
)

// steward ends the crawls that are at home here, by what all partitions together
// have done; see frontier.Settle.
func (s *session) steward(ctx context.Context) error {
	tick := time.NewTicker(stewardTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.loop.quiet:
		}
		if err := s.settle(ctx); err != nil && ctx.Err() == nil {
			// The store tells it louder when it is really away.
			s.deps.Log.Warn("look whether crawls are over", "err", err)
		}
		if !pause(ctx, stewardLeast) {
			return nil
		}
	}
}

// settle looks at the active crawls at home here, and at those with a limit of URLs,
// which every replica keeps by what the others have.
func (s *session) settle(ctx context.Context) error {
	var nos []frontier.CrawlNo
	err := s.read(ctx, func(l *loop, _ time.Time) error {
		for _, no := range l.f.Crawls() {
			if c, _, _ := l.f.Crawl(no); c.State.Active() && (l.f.Owns(c.Home) || c.Limits.URLs > 0) {
				nos = append(nos, no)
			}
		}
		return nil
	})
	if err != nil || len(nos) == 0 {
		return err
	}
	first, err := s.store.Totals(ctx, nos)
	if err != nil {
		return err
	}
	for i := range first {
		if err := s.underWay(ctx, &first[i]); err != nil {
			return err
		}
	}
	second, err := s.store.Totals(ctx, nos)
	if err != nil {
		return err
	}
	return s.do(ctx, func(l *loop, now time.Time) error {
		for i := range second {
			l.f.Settle(now, first[i], second[i])
		}
		return nil
	})
}

// underWay counts as outbox the links of a crawl that have left it and are not yet
// where they belong. Between two readings that are alike none can come to them.
func (s *session) underWay(ctx context.Context, t *frontier.Totals) error {
	e := s.crawls.number(t.No)
	if sum := t.Sum(); e == nil || sum.Open() > 0 || t.Outbox > 0 {
		return nil // not over, whatever is under way
	}
	n, err := s.deps.Bus.LinksUnderWay(ctx, e.meta.GetId())
	t.Outbox += n
	return err
}

// granter moves pages of the crawls' limits to the partitions that need them, and
// back from those that do not, so that all together never have more than the limit.
func (s *session) granter(ctx context.Context) error {
	for {
		var wants []frontier.GrantWant
		select {
		case <-ctx.Done():
			return nil
		case wants = <-s.loop.grants:
		}
		got := make([]int64, len(wants))
		var fatal error
		for i, w := range wants {
			gctx, cancel := context.WithTimeout(ctx, grantTime)
			n, err := s.store.Grant(gctx, w.Partition, w.No, w.N)
			cancel()
			if err != nil {
				// It may have been done all the same: what memory takes for its own is
				// never more than what the store has.
				n = min(w.N, 0)
				s.deps.Log.Warn("move pages of a limit", "partition", w.Partition, "err", err)
				// A partition that was given away meanwhile is nobody's failure.
				if s.held[w.Partition].Load() != nil && s.again(err) && ctx.Err() == nil {
					fatal = err
				}
			}
			got[i] = n
		}
		err := s.do(ctx, func(l *loop, now time.Time) error {
			l.asking = false
			none := true
			for i, w := range wants {
				if w.N < 0 {
					// Taken off before. What the store did not take back is still ours.
					l.f.Granted(now, w.Partition, w.No, got[i]-w.N)
				} else {
					l.f.Granted(now, w.Partition, w.No, got[i])
				}
				none = none && got[i] == 0
			}
			if none { // nothing left: others may give some back
				l.grantAt = now.Add(10 * grantPause)
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
		if fatal != nil {
			return fatal
		}
	}
}
