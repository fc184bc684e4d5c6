package machine

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// TestGarbage: whoever sets GOGC means it. It changes the process, so that it runs beside
// no other test.
func TestGarbage(t *testing.T) {
	before := debug.SetGCPercent(123)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "123")
	LimitGarbage()
	SpareHeap(OneService)()
	if got := debug.SetGCPercent(123); got != 123 {
		t.Errorf("with GOGC set it is %d", got)
	}
	t.Setenv("GOGC", "")
	LimitGarbage()
	if got := debug.SetGCPercent(123); got != garbage {
		t.Errorf("it is %d", got)
	}
	stop := SpareHeap(OneService)
	runtime.GC()
	if got := debug.SetGCPercent(123); got <= garbage || got == 123 {
		t.Errorf("of a small heap it is %d", got)
	}
	stop()
	runtime.GC()
	if got := debug.SetGCPercent(123); got != garbage {
		t.Errorf("after the end it is %d", got)
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for live, want := range map[uint64]int{
		0: 800, mib: 800, 4 * mib: 700, 8 * mib: 300, 16 * mib: 100, 18 * mib: 77, 19 * mib: 70, 32 * mib: 70, 33 * mib: 70, 1 << 40: 70,
	} {
		if got := percent(live, OneService); got != want {
			t.Errorf("%d MiB in use: %d, want %d", live/mib, got, want)
		}
	}
}

// TestPaceFollowsHeap: what the collections leave sets the pace.
func TestPaceFollowsHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	p := &pace{bytes: OneService, sample: []metrics.Sample{{Name: liveHeap}}}
	used := make([]byte, 2*OneService)
	runtime.GC()
	p.follow()
	if p.now != garbage {
		t.Errorf("with %d MiB in use it is %d", len(used)>>20, p.now)
	}
	runtime.KeepAlive(used)
	runtime.GC()
	p.follow()
	if p.now <= garbage {
		t.Errorf("with little in use it is %d", p.now)
	}
}
