package fetcher

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// specs finds the compiled spec of a crawl; *bus.Crawls is one.
type specs interface {
	Get(ctx context.Context, crawlID string) (*spec.Compiled, error)
}

// handle takes one task from the stream.
func (s *Service) handle(ctx context.Context, specs specs, d bus.Delivery) error {
	var task crawlv1.FetchTask
	if err := proto.Unmarshal(d.Data, &task); err != nil {
		return crawl.Errorf(crawl.Invalid, "decode task: %w", err)
	}
	ref := task.GetRef()
	u, err := weburl.FromCanonical(ref.GetUrl())
	if err != nil {
		return crawl.Errorf(crawl.Invalid, "task for %q: %w", ref.GetUrl(), err)
	}
	compiled, err := specs.Get(ctx, ref.GetCrawlId())
	if err != nil {
		return fmt.Errorf("task for %s: %w", u, err)
	}
	p := s.prepare(compiled)
	// This may wait for memory, so the time is looked at afterwards.
	acc, err := s.budget.Open(ctx, client.BaseWeight)
	if err != nil {
		return crawl.Errorf(crawl.Unavailable, "task for %s: %w", u, err)
	}
	defer acc.Close()
	if late(&task, time.Now()) {
		s.m.late.Inc()
		// Its slot is free, though its lease lasts on: after a stop of all fetchers the
		// tasks that waited are late together, and would hold up all others until then.
		s.report(ref, &client.Result{})
		return nil
	}
	res, err := s.exchange(ctx, u, p.options(ref.GetKind()), acc)
	if err != nil {
		return crawl.Errorf(crawl.Unavailable, "%w", err)
	}
	salvage(&res, ref, p.retries)
	s.report(ref, &res)
	return s.publish(ctx, ref, p.fetchResult(u, &res), &res)
}

// late: the scheduler has taken the lease back and will hand the URL out again.
func late(t *crawlv1.FetchTask, now time.Time) bool {
	return t.GetStartBefore() != nil && now.After(t.GetStartBefore().AsTime())
}

// salvage makes a page of a body that broke off when there is no further attempt:
// half a page is better than none, but a whole one is worth another try.
func salvage(res *client.Result, ref *crawlv1.TaskRef, retries uint32) {
	if res.Class == crawl.ClassReset && res.Body.Size > 0 && res.Status/100 == 2 && ref.GetAttempt() > retries {
		res.Class = crawl.ClassNone
	}
}
