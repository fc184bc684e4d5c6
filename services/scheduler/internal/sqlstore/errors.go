package sqlstore

import (
	"context"
	"errors"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// wrap says what was being done and, where it is known, what to do about it.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*crawl.Error](err); ours {
		return err
	}
	if errors.Is(err, frontier.ErrFenced) {
		return crawl.Errorf(crawl.Conflict, "frontier store: %s: %w", doing, err)
	}
	return crawl.Errorf(crawl.Unavailable, "frontier store: %s: %w%s", doing, err, postgres.Advice(err))
}

// passing reports whether the same may succeed when it is tried again.
func passing(err error) bool {
	return !errors.Is(err, frontier.ErrFenced) && !errors.Is(err, rows.ErrCorrupt) && postgres.Passing(err)
}

// retry calls try until it succeeds, fails for good, or the store's patience ends.
func (s *Store) retry(ctx context.Context, doing string, try func(context.Context) error) error {
	return wrap(doing, postgres.Retry(ctx, s.cfg.Patience, passing, try))
}
