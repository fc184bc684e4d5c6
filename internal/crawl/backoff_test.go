package crawl

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	low, high := func() float64 { return 0 }, func() float64 { return math.Nextafter(1, 0) }
	middle := func() float64 { return 0.5 }
	b := Backoff{Base: time.Second, Max: time.Minute, Factor: 2, Jitter: 0.5}
	tests := []struct {
		name string
		b    Backoff
		n    int
		r    func() float64
		want time.Duration
	}{
		{"first", b, 1, nil, time.Second},
		{"second", b, 2, nil, 2 * time.Second},
		{"fifth", b, 5, nil, 16 * time.Second},
		{"bounded", b, 7, nil, time.Minute},
		{"far beyond", b, 1 << 40, nil, time.Minute},
		{"zeroth is the first", b, 0, nil, time.Second},
		{"negative is the first", b, -5, nil, time.Second},
		{"jitter down", b, 1, low, 500 * time.Millisecond},
		{"jitter nowhere", b, 1, middle, time.Second},
		{"jitter stays under the bound", b, 10, high, time.Minute},
		{"jitter spreads at the bound", b, 10, low, 30 * time.Second},
		{"default factor", Backoff{Base: time.Second}, 3, nil, 4 * time.Second},
		{"factor one", Backoff{Base: time.Second, Factor: 1}, 9, nil, time.Second},
		{"factor of no sense", Backoff{Base: time.Second, Factor: math.NaN()}, 2, nil, 2 * time.Second},
		{"no bound", Backoff{Base: time.Hour, Factor: 10}, 400, nil, math.MaxInt64},
		{"zero value", Backoff{}, 3, high, 0},
		{"zero value far out", Backoff{}, 5000, nil, 0},
		{"negative base", Backoff{Base: -time.Second}, 3, nil, 0},
		{"too much jitter", Backoff{Base: time.Second, Jitter: 9}, 1, low, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.b.Delay(tt.n, tt.r); got != tt.want {
				t.Errorf("Delay(%d) = %v, want %v", tt.n, got, tt.want)
			}
		})
	}
}

func TestBackoffStaysInItsBounds(t *testing.T) {
	t.Parallel()
	b := Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second, Factor: 3, Jitter: 0.3}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 1000 {
		plain, d := b.Delay(n, nil), b.Delay(n, r.Float64)
		if d < plain*7/10-1 || d > plain*13/10+1 || d > b.Max {
			t.Fatalf("Delay(%d) = %v with jitter, %v without", n, d, plain)
		}
	}
}
