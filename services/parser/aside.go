package parser

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/breaker"
)

// Pages whose extractor is down or has more than enough are put aside (bus.HoldPage), so
// that one crawl's program holds up no other crawl. A parser brings them back as the
// program takes them: all that have room while it answers, one at a time to try it while
// it does not. What other parsers have put aside, or one that is gone, is found by
// looking now and then.

const (
	// asidePause is between two looks at the crawls whose pages wait.
	asidePause = 100 * time.Millisecond
	// asideSearch is between two looks for crawls whose pages wait.
	asideSearch = 5 * time.Second
	// asideTime bounds one of these looks.
	asideTime = 30 * time.Second
)

// aside are the crawls whose pages wait, as far as this parser knows.
type aside struct {
	mu     sync.Mutex
	crawls map[string]struct{}
}

func (a *aside) add(crawlID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.crawls == nil {
		a.crawls = map[string]struct{}{}
	}
	a.crawls[crawlID] = struct{}{}
}

func (a *aside) remove(crawlID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.crawls, crawlID)
}

func (a *aside) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]string, 0, len(a.crawls))
	for id := range a.crawls {
		out = append(out, id)
	}
	return out
}

// room returns for how many more pages of a program there is room, of the concurrency
// pages that a parser has in hand. A program may have half of them, all programs
// together three quarters: the rest is for pages that need none.
func (ps *programs) room(p *program, concurrency int) int {
	return min(max(1, concurrency/2)-int(p.busy.Load()), max(1, 3*concurrency/4)-int(ps.busy.Load()))
}

// enter notes that a page is read that is for a program; leave that it is done with.
// Where the program is down or has enough, the error is errAside.
func (ps *programs) enter(t target, concurrency int) (leave func(), err error) {
	p, err := ps.get(t)
	if err != nil {
		return nil, err
	}
	if p.breaker.State(time.Now()) == breaker.Open || ps.room(p, concurrency) <= 0 {
		ps.put(p)
		return nil, errAside
	}
	p.busy.Add(1)
	ps.busy.Add(1)
	return func() {
		p.busy.Add(-1)
		ps.busy.Add(-1)
		ps.put(p)
	}, nil
}

// maxFailures is how often a page may come back for a program that fails at it. The
// program fails at others too then, so the page may be innocent; but when no other is
// left, nobody else can tell.
const maxFailures = 6

// putAside puts a page aside, for a reason.
func (s *Service) putAside(ctx context.Context, p *crawlv1.Page, failures int, reason error, place string) error {
	if errors.Is(reason, errFailed) {
		if failures++; failures >= maxFailures {
			return crawl.Errorf(crawl.Invalid, "given to the extractor and put aside %d times: %w", failures, reason)
		}
	}
	if err := s.deps.Bus.HoldPage(ctx, p, failures, place); err != nil {
		return err
	}
	s.m.aside.Inc()
	s.aside.add(p.GetRef().GetCrawlId())
	return nil
}

// bringBack brings pages back that were put aside, until ctx ends.
func (s *Service) bringBack(ctx context.Context, specs specs) {
	tick := time.NewTicker(asidePause)
	defer tick.Stop()
	var searched time.Time
	for {
		if now := time.Now(); now.Sub(searched) >= asideSearch {
			searched = now
			s.searchAside(ctx)
			s.programs.close(programIdle)
		}
		for _, id := range s.aside.list() {
			if err := s.release(ctx, specs, id); err != nil && ctx.Err() == nil {
				s.log.Debug("bring back pages of a crawl", "crawl_id", id, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// searchAside looks for crawls whose pages wait.
func (s *Service) searchAside(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	held, err := s.deps.Bus.HeldPages(ctx)
	if err != nil {
		s.log.Debug("look for pages that were put aside", "err", err)
		return
	}
	for id := range held {
		s.aside.add(id)
	}
}

// release brings back the pages of a crawl that its program has room for.
func (s *Service) release(ctx context.Context, specs specs, id string) error {
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	room := s.cfg.Concurrency // of a crawl that has no program any more, or is gone
	c, err := specs.At(ctx, id, 0)
	if err != nil && crawl.KindOf(err) != crawl.NotFound {
		return err
	}
	if err == nil {
		if e := s.crawls.get(c).extractor; e != nil {
			if room, err = s.programs.roomFor(e.target, s.cfg.Concurrency); err != nil {
				return err
			}
		}
	}
	if room <= 0 {
		return nil
	}
	n, err := s.deps.Bus.ReleasePages(ctx, id, room)
	if err == nil && n == 0 {
		s.aside.remove(id)
	}
	return err
}

// roomFor returns how many pages a program can take now.
func (ps *programs) roomFor(t target, concurrency int) (int, error) {
	p, err := ps.get(t)
	if err != nil {
		return 0, err
	}
	defer ps.put(p)
	room := ps.room(p, concurrency)
	switch p.breaker.State(time.Now()) {
	case breaker.Open:
		room = 0
	case breaker.HalfOpen:
		room = min(room, 1)
	}
	return room, nil
}
