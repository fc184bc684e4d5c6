package single

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/progress"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// screen is a View that lines may come between, from any goroutine.
type screen struct {
	progress.View
	mu   sync.Mutex
	warn func(string)
}

// Update implements progress.View.
func (s *screen) Update(now time.Time, w *schedulerv1.WatchCrawlResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.View.Update(now, w)
}

// Done implements progress.View.
func (s *screen) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.View.Done()
}

// tell shows a line in the place of the view, which comes again with its next state.
func (s *screen) tell(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.View.Done()
	s.warn(line)
}

// teller is a handler of log records that has the warnings of the parser told too:
// whoever wrote the spec has to mend what these are about, and may wait for it.
type teller struct {
	slog.Handler
	tell   func(string)
	parser bool
	attrs  []slog.Attr
}

// Handle implements slog.Handler.
func (t *teller) Handle(ctx context.Context, r slog.Record) error {
	if t.parser && r.Level >= slog.LevelWarn {
		var b strings.Builder
		b.WriteString(r.Message)
		show := func(a slog.Attr) bool {
			switch v := a.Value.Resolve(); {
			case a.Key == "component" || a.Key == "crawl" || a.Key == "name": // there is one
			case v.Kind() == slog.KindFloat64:
				fmt.Fprintf(&b, " %s=%.2f", a.Key, v.Float64())
			default:
				fmt.Fprintf(&b, " %s=%v", a.Key, v)
			}
			return true
		}
		for _, a := range t.attrs {
			show(a)
		}
		r.Attrs(show)
		t.tell(b.String())
	}
	return t.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t *teller) WithAttrs(attrs []slog.Attr) slog.Handler {
	parser := t.parser || slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Key == "component" && a.Value.String() == "parser" })
	return &teller{t.Handler.WithAttrs(attrs), t.tell, parser, slices.Concat(t.attrs, attrs)}
}

// WithGroup implements slog.Handler.
func (t *teller) WithGroup(name string) slog.Handler {
	return &teller{t.Handler.WithGroup(name), t.tell, t.parser, t.attrs}
}
