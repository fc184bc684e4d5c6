package fetcher

import (
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/throttle"
)

func TestTenth(t *testing.T) {
	t.Parallel()
	buckets := []float64{math.Inf(-1), 0, 0.001, 0.01, 0.1, 1, math.Inf(1)}
	for name, tt := range map[string]struct {
		counts []uint64
		want   time.Duration
	}{
		"empty":            {make([]uint64, 6), 0},
		"all at once":      {[]uint64{0, 100, 0, 0, 0, 0}, 0},
		"a twentieth late": {[]uint64{0, 0, 95, 0, 5, 0}, time.Millisecond},
		"a tenth late":     {[]uint64{0, 0, 90, 0, 10, 0}, 100 * time.Millisecond},
		"all late":         {[]uint64{0, 0, 0, 0, 0, 7}, time.Second},
		"before the first": {[]uint64{3, 0, 0, 0, 0, 0}, 0},
	} {
		if got := tenth(tt.counts, buckets); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestLook reads the process that runs the test.
func TestLook(t *testing.T) {
	t.Parallel()
	p := newPressure(8, func() int { return 3 }, slog.New(slog.DiscardHandler))
	p.look()
	s := p.look()
	if s.Running != 3 || s.Memory <= 0 || s.Memory > 1 || s.Late < 0 || p.now() != 8 {
		t.Errorf("sample %+v, limit %d", s, p.now())
	}
}

func TestPressureLowersTheLimit(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	p := newPressure(8, func() int { return 8 }, slog.New(slog.NewTextHandler(&said, nil)))
	p.take(throttle.Sample{Running: 8, Memory: 0.9})
	p.take(throttle.Sample{Running: 4, Memory: 0.9})
	if p.now() != 2 || strings.Count(said.String(), "fewer exchanges") != 1 {
		t.Errorf("limit %d, log %q", p.now(), said.String())
	}
	for range 6 {
		p.take(throttle.Sample{Running: 2})
	}
	if p.now() != 8 {
		t.Errorf("limit %d at ease", p.now())
	}
}

func TestFitting(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tt := range []struct {
		concurrency int
		total       int64
		want        int
		memory      int64
	}{
		{128, 0, 128, 576 * mib},
		{128, 8192 * mib, 128, 576 * mib},
		{128, 1024 * mib, 128, 512 * mib},
		{128, 256 * mib, 128, 128 * mib},
		{128, 64 * mib, 51, 32 * mib},
		{4096, 512 * mib, 409, 256 * mib},
	} {
		n, memory := fitting(tt.concurrency, tt.total)
		if n > tt.want || n < tt.want*3/4 || memory != tt.memory {
			t.Errorf("%d on %d MiB: %d with %d MiB, want about %d with %d", tt.concurrency, tt.total/mib, n, memory/mib, tt.want, tt.memory/mib)
		}
		cfg := DefaultConfig()
		cfg.Concurrency, cfg.Memory = n, memory
		if err := cfg.Validate(); err != nil {
			t.Errorf("%d on %d MiB: %v", tt.concurrency, tt.total/mib, err)
		}
	}
}
