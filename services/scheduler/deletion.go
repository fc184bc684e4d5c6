package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// forgetTime is how long other replicas have to learn that a crawl was deleted
// before its rows go: what one that has not wrote afterwards would stay for ever.
const forgetTime = 10 * time.Second

// deletions are the crawls whose rows are to be taken out of the store. It is safe
// for concurrent use.
type deletions struct {
	mu   sync.Mutex
	nos  []frontier.CrawlNo // bounded by the number of crawls
	wake chan struct{}
}

func newDeletions() *deletions { return &deletions{wake: make(chan struct{}, 1)} }

func (d *deletions) add(no frontier.CrawlNo) {
	d.mu.Lock()
	d.nos = append(d.nos, no)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *deletions) take() (frontier.CrawlNo, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.nos) == 0 {
		return 0, false
	}
	no := d.nos[0]
	d.nos = d.nos[1:]
	return no, true
}

// DeleteCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) DeleteCrawl(ctx context.Context, req *schedulerv1.DeleteCrawlRequest) (*schedulerv1.DeleteCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, atHome(e), &schedulerv1.DeleteCrawlRequest{Crawl: e.meta.GetId()}, schedulerv1.CrawlServiceClient.DeleteCrawl,
		func(ctx context.Context, _ *schedulerv1.DeleteCrawlRequest) (*schedulerv1.DeleteCrawlResponse, error) {
			return &schedulerv1.DeleteCrawlResponse{}, s.deleteCrawl(ctx, e)
		})
}

// deleteCrawl marks a crawl whose home is here as deleted, durably, and forgets it;
// its rows go in the background.
func (s *Service) deleteCrawl(ctx context.Context, e *entry) error {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	ses, err := s.current()
	if err != nil {
		return err
	}
	err = ses.do(ctx, func(l *loop, now time.Time) error {
		if err := l.homeHere(e); err != nil {
			return err
		}
		if err := l.f.Delete(now, e.no); err != nil {
			return err
		}
		// The mark first: a crash from here on finds it.
		if err := l.write(ctx); err != nil {
			return err
		}
		l.f.Forget(now, e.no)
		s.crawls.remove(e)
		return nil
	})
	if err != nil {
		return err
	}
	s.deps.Log.Info("deleted crawl", "crawl_id", e.meta.GetId(), "name", e.meta.GetSpec().GetName())
	s.changes.send() // whoever watches it learns that it is gone
	ses.deletions.add(e.no)
	if err := s.deps.Bus.PurgeCrawl(ctx, e.meta.GetId()); err != nil {
		return err
	}
	return s.deps.Bus.DeleteCrawl(ctx, e.meta.GetId())
}

// forgetDeleted takes up deletions where the last run left them.
func (s *session) forgetDeleted(f *frontier.Frontier, now time.Time, crawls []frontier.Crawl) (left []frontier.Crawl) {
	for _, c := range crawls {
		if c.State == frontier.Deleted {
			f.Forget(now, c.No)
			s.deletions.add(c.No)
			continue
		}
		left = append(left, c)
	}
	return left
}

// deleter takes the rows of deleted crawls out of the store until ctx ends. What it
// could not do is done after the next start.
func (s *session) deleter(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.deletions.wake:
		}
		if s.shared && !pause(ctx, 2*forgetTime) { // a pause may be half as long
			return nil
		}
		for no, ok := s.deletions.take(); ok; no, ok = s.deletions.take() {
			err := s.askStore(func(st frontier.Store) error { return st.DeleteCrawl(ctx, no) })
			switch {
			case ctx.Err() != nil:
				return nil
			case crawl.KindOf(err) == crawl.Unavailable && s.shared:
				s.deps.Log.Warn("delete crawl", "number", no, "err", err)
			case err != nil:
				return err
			default:
				s.deps.Log.Info("took a deleted crawl out of the store", "number", no)
			}
		}
	}
}
