package single

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/output"
	"github.com/weircrawl/weir/internal/export"
)

// pollTime is how often storage is asked for new items: often enough for a pipe
// that a person watches, rarely enough to cost nothing.
const pollTime = 250 * time.Millisecond

// stream writes items to stdout while the crawl runs.
type stream struct {
	last    chan struct{} // closed when no further item will come
	stopped chan error
	cancel  context.CancelFunc
}

// startStream starts one if items go to stdout line by line; otherwise it is nil.
func (j *job) startStream(ctx context.Context) *stream {
	i := slices.IndexFunc(j.Targets, func(t output.Target) bool { return t.Stdout() && t.Kind == export.Kind{Format: export.JSONL} })
	if i < 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{last: make(chan struct{}), stopped: make(chan error, 1), cancel: cancel}
	src := j.items()
	go func() {
		_, err := output.Follow(ctx, src, j.Stdout, pollTime, s.last)
		s.stopped <- err
	}()
	return s
}

// finish writes what came last and waits.
func (s *stream) finish() error {
	defer s.cancel()
	close(s.last)
	return <-s.stopped
}

// abandon stops at once. It returns an error only if writing had failed before.
func (s *stream) abandon() error {
	if s == nil {
		return nil
	}
	s.cancel()
	if err := <-s.stopped; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
