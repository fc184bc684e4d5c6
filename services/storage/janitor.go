package storage

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// cleanEvery is how often the janitor looks for something to do by itself: for what
// another storage was asked to delete, and for finished WARC files.
const cleanEvery = time.Minute

// DeleteCrawl makes everything of a crawl unknown at once; the janitor gives the space
// back.
func (s *Service) DeleteCrawl(ctx context.Context, req *storagev1.DeleteCrawlRequest) (*storagev1.DeleteCrawlResponse, error) {
	if err := named(req.GetCrawlId()); err != nil {
		return nil, err
	}
	if ended, err := s.endedSoon(ctx, req.GetCrawlId()); err != nil {
		return nil, err
	} else if !ended {
		return nil, crawl.Errorf(crawl.Precondition, "crawl %s has not ended: cancel it first", req.GetCrawlId())
	}
	st, err := s.cat.DeleteCrawl(ctx, req.GetCrawlId())
	if err != nil {
		return nil, err
	}
	if st.Attempts == 0 {
		return nil, status.Errorf(codes.NotFound, "nothing is kept of crawl %s", req.GetCrawlId())
	}
	s.arch.Drop(req.GetCrawlId())
	select {
	case s.rubbish <- struct{}{}:
	default: // the janitor is told already
	}
	return &storagev1.DeleteCrawlResponse{Attempts: st.Attempts, Items: st.Items}, nil
}

// newsTime is how long a deletion waits for the news that its crawl has ended: the
// scheduler answers those who wait for the end a moment before it tells the services.
const newsTime = 2 * time.Second

// endedSoon is ended, with newsTime for the news to come.
func (s *Service) endedSoon(ctx context.Context, crawlID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, newsTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ended, err := s.ended(ctx, crawlID)
		if ended || err != nil {
			return ended, err
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-tick.C:
		}
	}
}

// clean deletes the rows of deleted crawls, piece by piece between the commits, and the
// WARC files that no page is in any more.
func (s *Service) clean(ctx context.Context) error {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		if err := s.cleanUp(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("delete what is not needed any more", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.rubbish:
		case <-tick.C:
		}
	}
}

// expire deletes what crawls kept that ended too long ago. One that goes on after all
// is not among them.
func (s *Service) expire(ctx context.Context) error {
	if s.cfg.Retention == 0 {
		return nil
	}
	for _, id := range s.crawls.EndedBefore(s.deps.Now().Add(-s.cfg.Retention)) {
		if ended, err := s.ended(ctx, id); err != nil || !ended {
			continue // asked again in a minute
		}
		st, err := s.cat.DeleteCrawl(ctx, id)
		if err != nil {
			return err
		}
		if st.Attempts > 0 {
			s.arch.Drop(id)
			s.deps.Log.Info("deleted what a crawl kept: its time is over", "crawl_id", id, "attempts", st.Attempts, "items", st.Items)
		}
	}
	return nil
}

func (s *Service) cleanUp(ctx context.Context) error {
	if err := s.expire(ctx); err != nil {
		return err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if more, err = s.cat.Purge(ctx); err != nil {
			return err
		}
	}
	unused, err := s.cat.Unused(ctx)
	if err != nil {
		return err
	}
	for _, seg := range unused {
		// The file first: a file that is gone is deleted again without an error, one
		// that is forgotten stays for ever.
		if err := s.arch.Remove(ctx, seg.File); err != nil {
			return err
		}
		if err := s.cat.DropSegment(ctx, seg.ID); err != nil {
			return err
		}
		s.deps.Log.Info("deleted an archive file that no page is in any more", "file", seg.File, "bytes", seg.Size)
	}
	return nil
}
