package throttle_test

import (
	"testing"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/throttle"
)

const ms = time.Millisecond

func TestController(t *testing.T) {
	t.Parallel()
	easy := throttle.Sample{Memory: 0.1, Late: ms, Running: 64}
	busy := throttle.Sample{Memory: 0.1, Late: 200 * ms, Running: 64}
	full := throttle.Sample{Memory: 0.9, Late: ms, Running: 64}
	type step struct {
		s    throttle.Sample
		n    int // times
		want int // the limit afterwards
	}
	running := func(s throttle.Sample, n int) throttle.Sample { s.Running = n; return s }
	tests := []struct {
		name    string
		ceiling int
		steps   []step
	}{
		{"at ease", 64, []step{{easy, 10, 64}}},
		{"memory is full", 64, []step{{full, 1, 32}, {running(full, 32), 1, 16}, {running(full, 16), 10, 2}}},
		{"memory is full, and little runs", 64, []step{{running(full, 8), 1, 4}}},
		{"busy for a moment", 64, []step{{busy, 2, 64}, {easy, 1, 64}, {busy, 2, 64}}},
		{"busy", 64, []step{{busy, 3, 48}, {running(busy, 48), 3, 36}, {running(busy, 36), 60, 16}}},
		{"busy and full", 64, []step{{full, 1, 32}, {running(full, 4), 4, 2}, {busy, 9, 2}}},
		{"busy, and little runs", 64, []step{{running(busy, 3), 3, 16}}},
		{"comes back", 64, []step{{full, 1, 32}, {easy, 1, 36}, {easy, 7, 64}, {easy, 5, 64}}},
		{"rests in between", 64, []step{{full, 1, 32}, {throttle.Sample{Memory: 0.7, Running: 32}, 9, 32}, {throttle.Sample{Late: 50 * ms, Running: 32}, 9, 32}}},
		{"unknown memory", 64, []step{{throttle.Sample{Running: 64}, 3, 64}}},
		{"of one", 1, []step{{running(full, 1), 3, 1}, {running(busy, 1), 9, 1}, {easy, 3, 1}}},
		{"nothing runs", 64, []step{{running(full, 0), 1, 2}, {easy, 1, 6}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := throttle.New(tt.ceiling)
			if c.Limit() != tt.ceiling {
				t.Fatalf("begins with %d", c.Limit())
			}
			for i, st := range tt.steps {
				for range st.n {
					c.Step(st.s)
				}
				if got := c.Limit(); got != st.want {
					t.Fatalf("step %d: limit %d, want %d", i, got, st.want)
				}
			}
		})
	}
}

// TestSettles: under a load that bears so many exchanges, the limit stays around them.
func TestSettles(t *testing.T) {
	t.Parallel()
	c := throttle.New(256)
	const bears = 100
	least, most := 256, 0
	for i := range 600 {
		s := throttle.Sample{Running: c.Limit(), Memory: float64(c.Limit()) / bears * 0.6, Late: ms}
		n := c.Step(s)
		if i > 300 {
			least, most = min(least, n), max(most, n)
		}
	}
	if least < bears/2 || most > bears*13/10 {
		t.Errorf("the limit went from %d to %d where %d are borne", least, most, bears)
	}
}
