package fetcher

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/trace"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// flushTime is how long the server may take to answer: a soft stop that is over
// must not last.
const flushTime = 2 * time.Second

// specs finds the compiled spec of a crawl; *bus.Crawls is one.
type specs interface {
	Get(ctx context.Context, crawlID string) (*spec.Compiled, error)
}

// handle takes one task from the stream.
func (s *Service) handle(ctx context.Context, specs specs, d bus.Delivery) (err error) {
	span := s.deps.Tracer.Receive(d.Trace, d.Stored, "tasks", "fetch")
	defer func() { span.End(err) }()
	ctx = span.In(ctx)
	var task crawlv1.FetchTask
	if err := proto.Unmarshal(d.Data, &task); err != nil {
		return crawl.Errorf(crawl.Invalid, "decode task: %w", err)
	}
	ref := task.GetRef()
	s.describe(span, &task)
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
		// After a stop of all fetchers the tasks that waited are late together, and
		// would hold up all others until their leases end.
		span.Set(trace.Text("given_back", "late"))
		return s.giveBack(ref)
	}
	if s.browsers != nil {
		// What scripts make of a page changes while the page does not.
		task.Etag, task.LastModified = "", ""
	}
	res, o, err := s.fetch(ctx, p, &task, u, acc)
	if err != nil {
		return s.giveBack(ref) // cut off by the end of a soft stop
	}
	salvage(&res, ref, p.retries)
	v, err := s.show(ctx, p, &task, u, o, &res, acc)
	if err != nil {
		return s.giveBack(ref)
	}
	s.report(ref, &res)
	describeExchange(span, &res)
	f := p.fetchResult(u, &res, o.sent)
	v.complete(f)
	published := time.Now()
	defer s.handOn()()
	err = s.publish(ctx, ref, f, &res, v.attachments(), span.Place())
	span.Child("publish", published, time.Now())
	if err != nil && ctx.Err() != nil {
		return s.giveBack(ref)
	}
	return err
}

// handOn makes room for another exchange while the outcome of one is being stored.
func (s *Service) handOn() (done func()) {
	s.handing.Add(1)
	select {
	case s.freed <- struct{}{}:
	default: // told, and not yet heard
	}
	return func() { s.handing.Add(-1) }
}

// fetch does the exchange of a task, and returns with its outcome the request that was
// made. Without a secret that it needs there is no request, which is an outcome too.
func (s *Service) fetch(ctx context.Context, p *prepared, task *crawlv1.FetchTask, u weburl.URL, acc *budget.Account) (client.Result, outgoing, error) {
	now := time.Now()
	o, err := p.outgoing(task, u, now)
	if err != nil {
		res := client.Result{Start: now, Class: crawl.ClassOther, Detail: err.Error()}
		s.m.observe(&res)
		return res, o, nil
	}
	res, err := s.exchange(ctx, u, o.opts, acc)
	return res, o, err
}

// giveBack ends a task without an exchange that counts: the frontier puts the URL
// back into its queue, with the host's delay from now, and the message is acked. A
// nak would hand the message to another fetcher at once, which would ask the host
// again without any delay.
//
// The ack follows a report that the server has, which is not one that the frontier
// has heard. It is safe all the same, since neither of them ends the lease alone:
//   - the report is lost: the lease ends by itself, the frontier finds it in no
//     stream and puts the URL back;
//   - the ack is lost: the message comes again, mostly too late to be fetched, and
//     is given back under a lease that the frontier no longer knows. If it is
//     fetched, the first of the two completions counts.
func (s *Service) giveBack(ref *crawlv1.TaskRef) error {
	err := s.deps.Bus.SendReport(ref.GetPartition(), &crawlv1.FetchReport{
		CrawlId: ref.GetCrawlId(), Host: ref.GetHost(), Lease: ref.GetLease(), Returned: true,
	})
	if err == nil {
		err = s.deps.Bus.FlushReports(flushTime)
	}
	if err != nil {
		s.m.reportsLost.Inc()
		return crawl.Errorf(crawl.Unavailable, "give back %s: %w", ref.GetUrl(), err)
	}
	s.m.returned.Inc()
	return nil
}

// late: the scheduler has taken the lease back and will hand the URL out again.
func late(t *crawlv1.FetchTask, now time.Time) bool {
	return t.GetStartBefore() != nil && now.After(t.GetStartBefore().AsTime())
}

// salvage makes a page of a body that broke off, or did not end in time, when there is
// no further attempt: half a page is better than none, but a whole one is worth another
// try.
func salvage(res *client.Result, ref *crawlv1.TaskRef, retries uint32) {
	switch res.Class {
	case crawl.ClassReset, crawl.ClassTimeoutBody, crawl.ClassTooSlow:
		if res.Body.Size > 0 && res.Status/100 == 2 && ref.GetAttempt() > retries {
			res.Class = crawl.ClassNone
		}
	}
}
