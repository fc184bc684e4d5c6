package history

import (
	"math"
	"strings"
	"testing"
	"time"
)

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// counters makes a history of one crawl's pages, seen every two seconds; a negative one
// is a look that did not see the crawl.
func counters(pages ...int) View {
	h := New(100)
	for i, n := range pages {
		s := Sample{At: start().Add(time.Duration(2*i) * time.Second), Crawls: map[string]Crawl{}}
		if n >= 0 {
			s.Crawls["a"] = Crawl{Pages: uint64(n)}
		}
		h.Add(s)
	}
	return h.View(start().Add(time.Duration(2*(len(pages)-1))*time.Second), 100*time.Second)
}

func pages() Value { return OfCrawl("a", func(c Crawl) uint64 { return c.Pages }) }

func TestRate(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, tt := range []struct {
		name  string
		seen  []int
		want  []float64
		now   float64
		grown float64
	}{
		{"nothing", nil, nil, 0, 0},
		{"one look", []int{5}, nil, 0, 0},
		{"steady", []int{0, 10, 20, 30, 40, 50}, []float64{5, 5, 5, 5, 5}, 5, 50},
		{"over a few looks", []int{0, 0, 0, 12}, []float64{0, 0, 2}, 2, 12},
		{"begun anew", []int{100, 110, 3, 9}, []float64{5, nan, 3}, 3, 16},
		{"not seen", []int{0, 10, -1, 30}, []float64{5, nan, nan}, 0, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := counters(tt.seen...)
			got := v.Rate(pages())
			if len(got) != len(tt.want) {
				t.Fatalf("%v, want %v", got, tt.want)
			}
			for i, p := range got {
				if p.Y != tt.want[i] && !(math.IsNaN(p.Y) && math.IsNaN(tt.want[i])) {
					t.Errorf("%d: %v, want %v", i, p.Y, tt.want[i])
				}
			}
			if v.RateNow(pages()) != tt.now || v.Grown(pages()) != tt.grown {
				t.Errorf("now %v, grown %v", v.RateNow(pages()), v.Grown(pages()))
			}
		})
	}
}

// TestGap: over a time that nobody looked no line is drawn.
func TestGap(t *testing.T) {
	t.Parallel()
	h := New(10)
	for i, after := range []time.Duration{0, 2 * time.Second, 60 * time.Second, 62 * time.Second} {
		h.Add(Sample{At: start().Add(after), Crawls: map[string]Crawl{"a": {Pages: uint64(i)}}})
	}
	v := h.View(start().Add(62*time.Second), 2*time.Minute)
	var gauge, rate []bool
	for _, p := range v.Gauge(pages()) {
		gauge = append(gauge, math.IsNaN(p.Y))
	}
	for _, p := range v.Rate(pages()) {
		rate = append(rate, math.IsNaN(p.Y))
	}
	if want := []bool{false, false, true, false, false}; !equal(gauge, want) {
		t.Errorf("gauge %v, want %v", gauge, want)
	}
	if want := []bool{false, true, false}; !equal(rate, want) {
		t.Errorf("rate %v, want %v", rate, want)
	}
}

func equal(a, b []bool) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestRing: memory is bounded, and the order is that of time.
func TestRing(t *testing.T) {
	t.Parallel()
	h := New(3)
	for i := range 8 {
		h.Add(Sample{At: start().Add(time.Duration(i) * time.Second)})
	}
	h.Add(Sample{At: start()}) // late
	v := h.View(start().Add(8*time.Second), time.Hour)
	if len(v.Samples) != 3 || !v.Last().At.Equal(start().Add(7*time.Second)) || !v.Samples[0].At.Equal(start().Add(5*time.Second)) {
		t.Errorf("samples %v", v.Samples)
	}
	if v = h.View(start().Add(8*time.Second), 2*time.Second); len(v.Samples) != 2 {
		t.Errorf("%d samples in the window, want 2", len(v.Samples))
	}
	if x := v.Gauge(func(Sample) (float64, bool) { return 1, true })[0].X; x != 0 {
		t.Errorf("the first of them is at %v, want 0", x)
	}
}

// stages makes a history of one stage, seen every two seconds.
func stages(q Queue, seen ...Stage) View {
	h := New(100)
	q.Name = "WEIR_PAGES"
	for i, s := range seen {
		s.Name, s.Queue = "parse", q.Name
		h.Add(Sample{At: start().Add(time.Duration(2*i) * time.Second), Stages: []Stage{s}, Queues: []Queue{q}})
	}
	return h.View(start().Add(time.Duration(2*len(seen))*time.Second), time.Minute)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	repeat := func(n int, f func(i uint64) Stage) (out []Stage) {
		for i := range n {
			out = append(out, f(uint64(i)))
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		queue Queue
		seen  []Stage
		want  Health
		why   string
	}{
		{"never seen", Queue{}, nil, Unknown, "Nothing is known"},
		{"idle", Queue{}, []Stage{{Pulls: 1}}, Idle, "Nothing comes in"},
		{"nothing waits", Queue{}, repeat(5, func(i uint64) Stage { return Stage{Pulls: 1, Delivered: 100 * i} }), Working, "Nothing waits"},
		{"keeps up", Queue{}, repeat(5, func(i uint64) Stage { return Stage{Pulls: 1, Pending: 60, Working: 4, Delivered: 100 * i} }), Working, "60 wait, 4 in hand"},
		{"behind", Queue{}, repeat(5, func(i uint64) Stage { return Stage{Pending: 1000, Working: 4, Delivered: 20 * i} }), Behind, "1m40s of work"},
		{"stands still", Queue{}, repeat(5, func(i uint64) Stage { return Stage{Pending: 1000, Working: 4} }), Behind, "nothing is taken"},
		{"catches up", Queue{}, repeat(5, func(i uint64) Stage { return Stage{Pending: 1000 - 100*i, Working: 4, Delivered: 20 * i} }), Working, ""},
		{"no replica", Queue{}, repeat(5, func(i uint64) Stage { return Stage{Pending: 3} }), Missing, "no replica asks"},
		{"a replica that starts again", Queue{}, append(repeat(4, func(i uint64) Stage { return Stage{Pending: 3, Pulls: 1} }), Stage{Pending: 3}), Working, ""},
		{"full by bytes", Queue{Bytes: 95, MaxBytes: 100}, []Stage{{Pending: 3, Pulls: 1}}, Full, "95 % full"},
		{"full by messages", Queue{Messages: 10, MaxMessages: 10, MaxBytes: 100}, []Stage{{Pending: 3, Pulls: 1}}, Full, "100 % full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, why := stages(tt.queue, tt.seen...).Health("parse")
			if got != tt.want || !strings.Contains(why, tt.why) {
				t.Errorf("%v: %s; want %v: %s", got, why, tt.want, tt.why)
			}
		})
	}
}
