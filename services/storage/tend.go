package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weircrawl/weir/services/storage/internal/archive"
)

const (
	// tendEvery is how often segments are looked after.
	tendEvery = 15 * time.Second
	// indexTime bounds the indexing of open segments when the service stops.
	indexTime = 10 * time.Second
	// rememberTime bounds a note about the catalogue.
	rememberTime = 3 * time.Second
)

// tend finishes the archive's segments in the background: merging and indexing one
// takes seconds, in which commits go on.
func (s *Service) tend(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		n, err := s.arch.Tend(ctx, s.deps.Now())
		s.m.segments.Add(float64(n))
		s.m.quarantined.Set(float64(len(s.arch.Quarantined())))
		if err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("finish archive segments; tried again", "err", err)
		}
		s.remember(ctx, false)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// remember tells the archive how far the catalogue is, so that one that is restored from
// a backup is recognised.
func (s *Service) remember(ctx context.Context, always bool) {
	ctx, cancel := context.WithTimeout(ctx, rememberTime)
	defer cancel()
	last, err := s.cat.Last(ctx)
	if err == nil {
		err = s.arch.Remember(ctx, s.deps.Now(), last, always)
	}
	if err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("note how far the catalogue is", "err", err)
	}
}

// indexOpen leaves indexes beside the segments that are open when the service stops:
// that of a crawl that has ended is whole.
func (s *Service) indexOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), indexTime)
	defer cancel()
	if err := s.arch.IndexOpen(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.deps.Log.Warn("index archive segments", "err", err)
	}
}

// warnings are what an operator should know of this storage, of a crawl's files among it.
func (s *Service) warnings(crawlID string) []string {
	var out []string
	if why := s.space.why(); why != "" {
		out = append(out, "intake is paused: "+why)
	}
	for file, why := range s.arch.Quarantined() {
		if archive.CrawlOf(file) == crawlID {
			out = append(out, fmt.Sprintf("archive file %s is damaged: %s", file, why))
		}
	}
	slices.Sort(out)
	return out
}
