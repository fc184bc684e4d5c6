package scheduler

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// A crawl is changed by the owner of its home partition alone. The others learn of
// it from the KV, where the owner announces each version.

// follow learns crawls until ctx ends.
func (s *session) follow(ctx context.Context) error {
	return s.deps.Bus.FollowCrawls(ctx, func(ctx context.Context, id string, c *crawlv1.Crawl) error {
		if c == nil {
			return s.unlearn(ctx, id)
		}
		_, err := s.learn(ctx, c)
		return err
	})
}

// learn takes over a crawl as its owner announced it. It reports whether there is such a
// crawl in the store: the bus may remember one of another database, or of this one
// before it was restored from a backup, whose number is another's now.
func (s *session) learn(ctx context.Context, c *crawlv1.Crawl) (known bool, err error) {
	if c.GetVersion() == 0 || c.GetNumber() == 0 {
		return true, nil // a draft, for the other services
	}
	no := frontier.CrawlNo(c.GetNumber())
	e := s.crawls.number(no)
	if e == nil || e.meta.GetId() != c.GetId() {
		if known, err = s.stores(ctx, no, c.GetId()); err != nil || !known {
			return false, err
		}
	}
	return true, s.takeOver(ctx, no, e, c)
}

// stores reports whether the store has a crawl: it was announced after it was there.
func (s *session) stores(ctx context.Context, no frontier.CrawlNo, id string) (bool, error) {
	c, err := s.store.Crawl(ctx, no)
	if err != nil {
		return false, err
	}
	if c != nil && c.State != frontier.Deleted {
		e, err := loadEntry(*c)
		if err != nil {
			return false, err
		}
		if e.meta.GetId() == id {
			return true, nil
		}
	}
	s.deps.Log.Warn("the bus knows a crawl that the frontier does not have; left out", "crawl_id", id, "number", no)
	return false, nil
}

// takeOver is learn for a crawl that there is.
func (s *session) takeOver(ctx context.Context, no frontier.CrawlNo, e *entry, c *crawlv1.Crawl) error {
	if e == nil || e.meta.GetRevision() < c.GetRevision() {
		meta := proto.CloneOf(c)
		clearLive(meta)
		var err error
		if e, err = newEntry(no, meta); err != nil {
			return err
		}
	}
	core, err := e.core(uint32(len(s.held)), frontier.State(c.GetState()))
	if err != nil {
		return err
	}
	core.Version, core.Reason, core.Closed = c.GetVersion(), c.GetReason(), c.GetClosed()
	if c.GetEndedAt() != nil {
		core.EndedAt = c.GetEndedAt().AsTime()
	}
	stopped := false
	err = s.do(ctx, func(l *loop, now time.Time) error {
		if l.f.Owns(core.Home) {
			return nil // it was our own news, or of the owner before us
		}
		old, _, known := l.f.Crawl(no)
		if known && old.Version >= core.Version {
			return nil
		}
		l.f.Learn(now, core)
		s.crawls.put(e)
		stopped = core.State == frontier.Cancelled || core.State == frontier.Failed
		return nil
	})
	if err != nil {
		return err
	}
	s.changes.send()
	if stopped {
		// Its tasks of partitions here may have been published after its owner purged.
		return s.releaseCancelled(ctx, e)
	}
	return nil
}

// clearLive takes out of a crawl what changes as it runs, which the frontier keeps.
func clearLive(c *crawlv1.Crawl) {
	c.State, c.Reason, c.EndedAt, c.Stats, c.Version, c.Closed = 0, "", nil, nil, 0, false
}

// unlearn forgets a crawl that was deleted.
func (s *session) unlearn(ctx context.Context, id string) error {
	e := s.crawls.id(id)
	if e == nil {
		return nil
	}
	return s.do(ctx, func(l *loop, now time.Time) error {
		if c, _, ok := l.f.Crawl(e.no); ok && l.f.Owns(c.Home) {
			return nil // deleted here
		}
		l.f.Forget(now, e.no)
		s.crawls.remove(e)
		return nil
	})
}

// await returns a crawl that somebody else has spoken of, nil when there is none. An
// error of kind Unavailable says that its owner is about to announce it.
func (s *session) await(ctx context.Context, id string) (*entry, error) {
	if e := s.crawls.id(id); e != nil || s.tenure == nil {
		return e, nil
	}
	c, err := s.deps.Bus.GetCrawl(ctx, id)
	if err != nil || c == nil {
		return nil, err
	}
	if known, err := s.learn(ctx, c); err != nil || !known {
		return nil, err
	}
	e := s.crawls.id(id)
	if e == nil {
		return nil, crawl.Errorf(crawl.Unavailable, "crawl %s is not announced yet", id)
	}
	return e, nil
}
