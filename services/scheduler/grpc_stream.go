package scheduler

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// maxAddBatch is how many URLs a message of AddURLs may have.
	maxAddBatch = 1000
	// watchInterval and leastInterval are the default and the least time between
	// two messages of WatchCrawl.
	watchInterval = time.Second
	leastInterval = 100 * time.Millisecond
	// busiest is how many hosts WatchCrawl names.
	busiest = 10
)

// AddURLs implements schedulerv1.CrawlServiceServer. It reads the next message
// only when the last one is durable: memory stays bounded on both sides.
func (s *Service) AddURLs(stream grpc.BidiStreamingServer[schedulerv1.AddURLsRequest, schedulerv1.AddURLsResponse]) error {
	ctx := stream.Context()
	var e *entry
	total := &schedulerv1.AddURLsResponse{}
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e == nil {
			if e, err = s.crawl(ctx, req.GetCrawl()); err != nil {
				return err
			}
		}
		if n := len(req.GetUrls()) + len(req.GetSeeds()); n > maxAddBatch {
			return crawl.Errorf(crawl.Invalid, "urls: %d in one message, at most %d", n, maxAddBatch)
		}
		total.Refused = nil
		if e = s.crawls.number(e.no); e == nil {
			return crawl.Errorf(crawl.NotFound, "the crawl was deleted")
		}
		if err := s.addBatch(ctx, e, seedsFrom(req), total); err != nil {
			return err
		}
		total.Batches++
		if err := stream.Send(total); err != nil {
			return err
		}
	}
}

// seedsFrom returns the seeds of a message, those with nothing more to say included.
func seedsFrom(req *schedulerv1.AddURLsRequest) []*schedulerv1.SeedURL {
	seeds := make([]*schedulerv1.SeedURL, 0, len(req.GetUrls())+len(req.GetSeeds()))
	for _, u := range req.GetUrls() {
		seeds = append(seeds, &schedulerv1.SeedURL{Url: u})
	}
	return append(seeds, req.GetSeeds()...)
}

// rawURLs returns the URLs of seeds as they were written.
func rawURLs(seeds []*schedulerv1.SeedURL) []string {
	raw := make([]string, len(seeds))
	for i, seed := range seeds {
		raw[i] = seed.GetUrl()
	}
	return raw
}

// addBatch adds one message's seeds to a crawl and to the totals.
func (s *Service) addBatch(ctx context.Context, e *entry, seeds []*schedulerv1.SeedURL, total *schedulerv1.AddURLsResponse) error {
	wider, err := s.widen(ctx, e, rawURLs(seeds))
	if crawl.KindOf(err) == crawl.Conflict {
		return s.addAtHome(ctx, e, seeds, total)
	}
	if err != nil {
		return err
	}
	e = wider
	var refused []*schedulerv1.RefusedURL
	cs := make([]frontier.Candidate, 0, len(seeds))
	for _, seed := range seeds {
		c, reason := e.candidate(seed)
		if reason != "" {
			refused = append(refused, &schedulerv1.RefusedURL{Url: seed.GetUrl(), Reason: reason})
			continue
		}
		cs = append(cs, c)
	}
	added := 0
	err = s.do(ctx, func(l *loop, now time.Time) error {
		if len(l.f.Owned()) == 0 {
			return errNobody // nothing here could keep the URLs until they are elsewhere
		}
		c, _, _ := l.f.Crawl(e.no)
		if c.State.Final() || c.Closed || c.State == frontier.Closing {
			return crawl.Errorf(crawl.Precondition, "crawl %s is %s and takes no more URLs", e.meta.GetId(), closedState(c))
		}
		for i := range cs {
			cs[i].Ref = l.f.Ref(e.no, cs[i].URL)
		}
		var err error
		added, err = l.addAll(ctx, now, e.no, cs)
		return err
	})
	if err != nil {
		return err
	}
	total.Refused = append(total.Refused, refused...)
	total.Added += uint64(added)
	total.Known += uint64(len(cs) - added)
	return nil
}

// candidate judges a seed; why it does not belong to the crawl otherwise.
func (e *entry) candidate(seed *schedulerv1.SeedURL) (frontier.Candidate, string) {
	u, reason := e.judge(seed.GetUrl())
	if reason != "" {
		return frontier.Candidate{}, reason
	}
	c := frontier.Candidate{URL: u, Priority: e.spec.Priority(u, 0), Mode: e.seedMode(u)}
	if seed.Priority != nil {
		c.Priority = seed.GetPriority()
	}
	if at := seed.GetNotBefore(); at != nil {
		if err := at.CheckValid(); err != nil {
			return c, "not_before: " + err.Error()
		}
		c.NotBefore = at.AsTime()
	}
	return c, ""
}

// addAtHome has the owner of the crawl's home add URLs: they are on hosts that are
// not in the crawl's scope yet, and only it may change that.
func (s *Service) addAtHome(ctx context.Context, e *entry, seeds []*schedulerv1.SeedURL, total *schedulerv1.AddURLsResponse) error {
	add := func(c schedulerv1.CrawlServiceClient, ctx context.Context, req *schedulerv1.AddURLsRequest, _ ...grpc.CallOption) (*schedulerv1.AddURLsResponse, error) {
		stream, err := c.AddURLs(ctx)
		if err != nil {
			return nil, err
		}
		if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err := stream.CloseSend(); err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	local := func(ctx context.Context, req *schedulerv1.AddURLsRequest) (*schedulerv1.AddURLsResponse, error) {
		out := &schedulerv1.AddURLsResponse{}
		if _, err := s.widen(ctx, e, rawURLs(seeds)); err != nil {
			return nil, err // moved away again
		}
		return out, s.addBatch(ctx, e, req.GetSeeds(), out)
	}
	// The stream ends with this call, also when its answer is not waited for.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := route(ctx, s, atHome(e), &schedulerv1.AddURLsRequest{Crawl: e.meta.GetId(), Seeds: seeds}, add, local)
	if err != nil {
		return err
	}
	total.Added += out.GetAdded()
	total.Known += out.GetKnown()
	total.Refused = append(total.Refused, out.GetRefused()...)
	return nil
}

func closedState(c frontier.Crawl) string {
	if c.State.Final() {
		return c.State.String()
	}
	return "closed"
}

// widen makes the hosts of new seeds part of a crawl whose scope is its seeds'
// hosts. errMoved says that there are such hosts and that the crawl's home is
// elsewhere. The other services learn of it before any task on such a host exists.
func (s *Service) widen(ctx context.Context, e *entry, raw []string) (*entry, error) {
	hosts := make([]string, 0, len(raw))
	for _, r := range raw {
		if u, err := e.spec.Canon.Parse(r); err == nil {
			hosts = append(hosts, u.HostPort())
		}
	}
	s.widening.Lock()
	defer s.widening.Unlock()
	e = s.crawls.number(e.no)
	wider, err := e.seedHosts(hosts)
	if err != nil || wider == e {
		return e, err
	}
	return wider, s.revise(ctx, e, wider)
}

// WatchCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) WatchCrawl(req *schedulerv1.WatchCrawlRequest, stream grpc.ServerStreamingServer[schedulerv1.WatchCrawlResponse]) error {
	ctx := stream.Context()
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return err
	}
	interval := watchInterval
	if req.GetInterval() != nil {
		interval = max(req.GetInterval().AsDuration(), leastInterval)
	}
	var last *schedulerv1.WatchCrawlResponse
	for {
		changed := s.changes.wait()
		now, err := s.watch(ctx, e)
		if err != nil {
			return err
		}
		if !proto.Equal(last, now) {
			if err := stream.Send(now); err != nil {
				return err
			}
			last = now
		}
		if final(now.GetCrawl()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.stopped:
			return errStopped
		case <-changed: // at once: people wait for the end of a crawl
		case <-time.After(interval):
		}
	}
}

// watch reads what WatchCrawl sends. The busiest hosts are those of the partitions
// that are owned here.
func (s *Service) watch(ctx context.Context, e *entry) (*schedulerv1.WatchCrawlResponse, error) {
	c, err := s.view(ctx, e)
	if err != nil {
		return nil, err
	}
	out := &schedulerv1.WatchCrawlResponse{Crawl: c}
	err = s.read(ctx, func(l *loop, _ time.Time) error {
		for _, h := range l.f.Busiest(e.no, busiest) {
			out.BusiestHosts = append(out.BusiestHosts, &schedulerv1.HostActivity{
				Host: h.Origin, Leased: uint32(h.Leased), Queued: h.Queued,
			})
		}
		return nil
	})
	return out, err
}

// WaitCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) WaitCrawl(ctx context.Context, req *schedulerv1.WaitCrawlRequest) (*schedulerv1.WaitCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	if req.GetTimeout() != nil {
		timer := time.NewTimer(req.GetTimeout().AsDuration())
		defer timer.Stop()
		timeout = timer.C
	}
	for over := false; ; {
		changed := s.changes.wait()
		c, err := s.view(ctx, e)
		if err != nil {
			return nil, err
		}
		if over || final(c) {
			return &schedulerv1.WaitCrawlResponse{Crawl: c, Done: final(c)}, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.stopped:
			return nil, errStopped
		case <-timeout:
			over = true
		case <-changed:
		}
	}
}

// final reports whether a crawl has ended.
func final(c *crawlv1.Crawl) bool { return frontier.State(c.GetState()).Final() }
