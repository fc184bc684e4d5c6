// Package obs is how a process shows what it does: logs, metrics, health and
// profiles. Nothing here is global; everything is passed in.
package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes to w. level is debug, info, warn or
// error, and can be changed by the admin server that gets the logger; format is
// text or json. What is logged with a context in which there is a span has its
// trace_id and span_id.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	v := new(slog.LevelVar)
	if err := setLevel(v, level); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: v}
	switch strings.ToLower(format) {
	case "text", "":
		return slog.New(&handler{slog.NewTextHandler(w, opts), v}), nil
	case "json":
		return slog.New(&handler{slog.NewJSONHandler(w, opts), v}), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
}

// setLevel sets a level by its name; empty stands for info.
func setLevel(v *slog.LevelVar, name string) error {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "debug":
		v.Set(slog.LevelDebug)
	case "info", "":
		v.Set(slog.LevelInfo)
	case "warn":
		v.Set(slog.LevelWarn)
	case "error":
		v.Set(slog.LevelError)
	default:
		return fmt.Errorf("log level %q: want debug, info, warn or error", name)
	}
	return nil
}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

// levelOf returns the level of a logger that NewLogger made, nil for another one.
func levelOf(log *slog.Logger) *slog.LevelVar {
	if h, ok := log.Handler().(*handler); ok {
		return h.level
	}
	return nil
}

// handler knows the level, which can change, of all loggers made of it.
type handler struct {
	slog.Handler
	level *slog.LevelVar
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.level}
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if c := trace.SpanContextFromContext(ctx); c.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", c.TraceID().String()), slog.String("span_id", c.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}
