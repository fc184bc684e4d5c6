package output

import (
	"context"
	"io"
	"time"

	"github.com/weircrawl/weir/internal/export"
)

// Follow writes items as JSON lines as they are committed, asking again every
// interval, until done is closed; then it writes what came last and returns how
// many there were. With ctx's end it returns at once.
func Follow(ctx context.Context, src export.Source, w io.Writer, interval time.Duration, done <-chan struct{}) (uint64, error) {
	lines := NewLines(w)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var cursor uint64
	for last := false; ; {
		var err error
		if cursor, err = src.Each(ctx, cursor, 0, lines.Write); err != nil {
			return lines.Count, err
		}
		if err := lines.Flush(); err != nil {
			return lines.Count, err
		}
		if last {
			return lines.Count, nil
		}
		select {
		case <-ctx.Done():
			return lines.Count, context.Cause(ctx)
		case <-done:
			last = true // once more for what was committed before the end
		case <-tick.C:
		}
	}
}
