package console

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

const (
	// lookTime bounds one look at the services.
	lookTime = 5 * time.Second
	// lookShare bounds what looking costs the services: each look is followed by so many
	// times its length of rest.
	lookShare = 20
	// maxName bounds the name of a stage or queue, in runes.
	maxName = 40
	// maxSampled bounds the crawls whose counters are kept.
	maxSampled = 500
)

// trouble is why the last look failed; empty where it did not.
type trouble struct {
	mu   sync.Mutex
	text string
}

func (t *trouble) set(text string) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed = t.text != text
	t.text = text
	return changed
}

func (t *trouble) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}

// sample looks at the services now and then, until ctx ends.
func (s *Server) sample(ctx context.Context) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		began := s.deps.Now()
		err := s.look(ctx)
		s.m.look.Observe(s.deps.Now().Sub(began).Seconds())
		if ctx.Err() != nil {
			return
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if s.trouble.set(text) && err != nil {
			s.log.Warn("the charts stand still", "err", err)
		}
		// Browsers that wait learn of trouble too.
		s.events.tell()
		wait.Reset(max(s.cfg.Interval, lookShare*s.deps.Now().Sub(began)))
	}
}

// look takes one sample.
func (s *Server) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	token, err := s.ownToken()
	if err != nil {
		return err
	}
	ctx = withToken(ctx, token)
	crawls, err := s.deps.Watch.Crawls.ListCrawls(ctx, &schedulerv1.ListCrawlsRequest{PageSize: 1000})
	if status.Code(err) == codes.Unauthenticated && token != "" && s.cfg.TokenFile == "" {
		s.lender.takeBack(token)
	}
	if err != nil {
		return fmt.Errorf("list crawls: %w", err)
	}
	stages, err := s.deps.Watch.Crawls.ListStages(ctx, &schedulerv1.ListStagesRequest{})
	if status.Code(err) == codes.Unimplemented {
		// A scheduler of an older version: crawls are shown without the stages.
		stages, err = &schedulerv1.ListStagesResponse{}, nil
	}
	if err != nil {
		return fmt.Errorf("list stages: %w", err)
	}
	s.history.Add(sampleOf(s.deps.Now(), crawls.GetCrawls(), stages))
	return nil
}

// sampleOf makes a sample of two answers.
func sampleOf(now time.Time, crawls []*crawlv1.Crawl, stages *schedulerv1.ListStagesResponse) history.Sample {
	out := history.Sample{At: now, Crawls: map[string]history.Crawl{}}
	failed := map[string]uint64{} // by class, of all crawls
	for _, c := range crawls {
		st := c.GetStats()
		for class, n := range st.GetErrors() {
			failed[class] += n
		}
		over := summary.Final(c.GetState()) && now.Sub(c.GetEndedAt().AsTime()) > window
		if !over && len(out.Crawls) < maxSampled {
			out.Crawls[c.GetId()] = history.Crawl{
				Pages: st.GetPages(), Items: st.GetItems(), Fetches: st.GetFetches(), Errors: sum(st.GetErrors()), Bytes: st.GetBytes(),
			}
		}
	}
	for _, st := range stages.GetStages() {
		h := history.Stage{
			Name: cut(st.GetStage(), maxName), Queue: cut(st.GetQueue(), maxName), Pending: st.GetPending(), Working: st.GetAckPending(), MaxWorking: st.GetMaxAckPending(),
			Delivered: st.GetDelivered(), Again: st.GetRedelivered(), Pulls: st.GetWaitingPulls(), Dead: st.GetDeadLetters(),
		}
		h.Errors = errorsOf(h, failed)
		out.Stages = append(out.Stages, h)
	}
	for _, q := range stages.GetQueues() {
		h := history.Queue{
			Name: cut(q.GetQueue(), maxName), Messages: q.GetMessages(), MaxMessages: q.GetMaxMessages(), Bytes: q.GetBytes(), MaxBytes: q.GetMaxBytes(), Published: q.GetPublished(),
		}
		if q.GetOldestAt() != nil {
			h.Oldest = q.GetOldestAt().AsTime()
		}
		out.Queues = append(out.Queues, h)
	}
	return out
}

// errorsOf counts what failed in a stage: attempts at URLs for the fetchers, and messages
// that were given up for all.
func errorsOf(s history.Stage, failed map[string]uint64) uint64 {
	n := s.Dead
	switch s.Name {
	case "fetch-http":
		n += sum(failed) - failed["render"] - failed["dead_letter"]
	case "fetch-render":
		n += failed["render"]
	}
	return n
}

// sum adds up counters.
func sum[K comparable](m map[K]uint64) uint64 {
	var n uint64
	for v := range maps.Values(m) {
		n += v
	}
	return n
}
