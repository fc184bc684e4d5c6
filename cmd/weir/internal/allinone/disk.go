package allinone

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/weircrawl/weir/internal/crawl"
)

// diskAlarm goes off when the embedded server could not write for want of space.
// JetStream then refuses to write to that stream until it is started again, even
// when there is room again, and tells so only in its log: a ring that went on
// would wait for ever.
type diskAlarm struct {
	slog.Handler
	once *sync.Once
	full chan struct{}
}

func newDiskAlarm(h slog.Handler) *diskAlarm {
	return &diskAlarm{Handler: h, once: &sync.Once{}, full: make(chan struct{})}
}

// Enabled implements slog.Handler: the alarm hears what the log leaves out.
func (a *diskAlarm) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle implements slog.Handler.
func (a *diskAlarm) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && strings.Contains(r.Message, "no space left on device") {
		a.once.Do(func() { close(a.full) })
	}
	if !a.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return a.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (a *diskAlarm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &diskAlarm{a.Handler.WithAttrs(attrs), a.once, a.full}
}

// WithGroup implements slog.Handler.
func (a *diskAlarm) WithGroup(name string) slog.Handler {
	return &diskAlarm{a.Handler.WithGroup(name), a.once, a.full}
}

// watch is a member of the ring: it fails when the alarm goes off.
func (a *diskAlarm) watch(dir string) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-a.full:
			return crawl.Errorf(crawl.Unavailable, "the disk of %s is full; nothing is lost: make room and start again", dir)
		}
	}
}
