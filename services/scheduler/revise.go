package scheduler

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// revise puts the next revision of a crawl that is at home here in the place of e;
// errMoved where it is not. The other services learn of it before any task of that
// revision exists. The caller holds widening.
func (s *Service) revise(ctx context.Context, e, next *entry) error {
	err := s.read(ctx, func(l *loop, _ time.Time) error { return l.homeHere(e) })
	if err != nil {
		return err
	}
	if err := s.deps.Bus.PutCrawl(ctx, next.meta); err != nil {
		return err
	}
	return s.do(ctx, func(l *loop, now time.Time) error {
		if err := l.homeHere(e); err != nil {
			return err
		}
		c, _, _ := l.f.Crawl(e.no)
		core, err := next.core(l.partitions, c.State)
		if err != nil {
			return err
		}
		l.f.PutCrawl(now, core)
		l.touched = append(l.touched, e.no)
		s.crawls.put(next)
		return nil
	})
}

// UpdateCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) UpdateCrawl(ctx context.Context, req *schedulerv1.UpdateCrawlRequest) (*schedulerv1.UpdateCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, atHome(e), req, schedulerv1.CrawlServiceClient.UpdateCrawl,
		func(ctx context.Context, req *schedulerv1.UpdateCrawlRequest) (*schedulerv1.UpdateCrawlResponse, error) {
			c, err := s.updateCrawl(ctx, e, req)
			return &schedulerv1.UpdateCrawlResponse{Crawl: c}, err
		})
}

func (s *Service) updateCrawl(ctx context.Context, e *entry, req *schedulerv1.UpdateCrawlRequest) (*crawlv1.Crawl, error) {
	s.widening.Lock()
	defer s.widening.Unlock()
	if e = s.crawls.number(e.no); e == nil {
		return nil, crawl.Errorf(crawl.NotFound, "crawl %s is gone", req.GetCrawl())
	}
	if r := req.GetRevision(); r != 0 && r != e.meta.GetRevision() {
		return nil, crawl.Errorf(crawl.Precondition, "crawl %s has revision %d, not %d: read it again", e.meta.GetId(), e.meta.GetRevision(), r)
	}
	next, err := e.withSpec(req.GetSpec())
	if err != nil || next == e {
		if err != nil {
			return nil, err
		}
		return s.view(ctx, e)
	}
	if err := s.revise(ctx, e, next); err != nil {
		return nil, err
	}
	s.deps.Log.Info("changed the spec of a crawl", "crawl_id", e.meta.GetId(), "revision", next.meta.GetRevision())
	return s.view(ctx, next)
}

// withSpec returns the next revision of a crawl with another spec; e itself where that
// is the same one.
func (e *entry) withSpec(given *crawlv1.CrawlSpec) (*entry, error) {
	own := e.meta.GetSpec()
	if given == nil {
		return nil, crawl.Errorf(crawl.Invalid, "spec: is missing")
	}
	changed := proto.CloneOf(given)
	changed.Name, changed.Seeds = own.GetName(), own.GetSeeds()
	if err := spec.Validate(changed); err != nil {
		return nil, err
	}
	if proto.Equal(changed, own) {
		return e, nil
	}
	was, is := spec.Resolve(own), spec.Resolve(changed)
	if !proto.Equal(was.GetCanonical(), is.GetCanonical()) {
		return nil, crawl.Errorf(crawl.Invalid, "canonical: cannot change: it says which of the crawl's URLs are the same; make a new crawl")
	}
	if was.GetOrder() != is.GetOrder() {
		return nil, crawl.Errorf(crawl.Invalid, "order: cannot change: the queues are in that order; make a new crawl")
	}
	meta := proto.CloneOf(e.meta)
	meta.Spec = changed
	meta.Revision++
	return newEntry(e.no, meta)
}
