package speed_test

import (
	"testing"

	"github.com/weircrawl/weir/services/fetcher/internal/speed"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	var w speed.Window
	for i := range 9 {
		if _, ok := w.Tick(int64(i+1) * 10); ok {
			t.Fatalf("judged after %d ticks", i+1)
		}
	}
	if came, ok := w.Tick(100); !ok || came != 100 {
		t.Errorf("first window: %d %v", came, ok)
	}
	if came, ok := w.Tick(100); !ok || came != 90 {
		t.Errorf("sliding: %d %v", came, ok)
	}
	for range 8 {
		w.Tick(100)
	}
	if came, ok := w.Tick(100); !ok || came != 0 {
		t.Errorf("a stall of a window: %d %v", came, ok)
	}
	w.Restart(100)
	for i := range 9 {
		if _, ok := w.Tick(100); ok {
			t.Fatalf("judged %d ticks after the restart", i+1)
		}
	}
	if came, ok := w.Tick(130); !ok || came != 30 {
		t.Errorf("after the restart: %d %v", came, ok)
	}
}
