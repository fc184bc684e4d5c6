package allinone

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
)

func TestDiskAlarm(t *testing.T) {
	t.Parallel()
	a := newDiskAlarm(slog.DiscardHandler)
	log := slog.New(a).With("component", "nats-server").WithGroup("x")
	log.Warn("slow consumer")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.watch("DIR")(ctx); err != nil {
		t.Errorf("without an alarm: %v", err)
	}
	for range 2 {
		log.Error("JetStream failed to store a msg: write x: no space left on device")
	}
	if err := a.watch("DIR")(t.Context()); crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "DIR is full") {
		t.Error(err)
	}
}
