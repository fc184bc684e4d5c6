// Package history keeps the counters of the last minutes and makes of them what people
// look at: rates, lags, errors, and which stage is behind. The services keep no past, so
// whoever shows one looks at them now and then and keeps what it saw. It is pure: time
// is an argument.
package history

import (
	"math"
	"sync"
	"time"
)

// Stage is the work of a stage at one moment.
type Stage struct {
	// Name and Queue: fetch-http takes from WEIR_TASKS.
	Name, Queue string
	// Pending messages wait; Working ones are in hand, at most MaxWorking (0: no bound).
	Pending, Working, MaxWorking uint64
	// Delivered counts messages handed out.
	Delivered uint64
	// Again is how many of Working were handed out before.
	Again uint64
	// Pulls are open requests for work.
	Pulls uint64
	// Dead letters of its messages.
	Dead uint64
	// Errors counts what failed in the stage.
	Errors uint64
}

// Lag is what the stage has not finished.
func (s Stage) Lag() uint64 { return s.Pending + s.Working }

// Queue is a queue between stages at one moment.
type Queue struct {
	// Name of the stream.
	Name string
	// Messages and Bytes in it and the most that it takes; 0 is no bound.
	Messages, MaxMessages, Bytes, MaxBytes uint64
	// Published counts messages put in.
	Published uint64
	// Oldest is when the first of them was put in; zero without one.
	Oldest time.Time
}

// Full is how full the queue is, 0 to 1.
func (q Queue) Full() float64 {
	full := 0.0
	if q.MaxBytes > 0 {
		full = float64(q.Bytes) / float64(q.MaxBytes)
	}
	if q.MaxMessages > 0 {
		full = max(full, float64(q.Messages)/float64(q.MaxMessages))
	}
	return min(full, 1)
}

// Crawl is the counters of a crawl at one moment.
type Crawl struct {
	Pages, Items, Fetches, Errors, Bytes uint64
}

// Sample is everything at one moment.
type Sample struct {
	// At is when.
	At time.Time
	// Stages and Queues in the order of the flow. They are not changed any more.
	Stages []Stage
	Queues []Queue
	// Crawls by id: those that run, or ended a short while ago.
	Crawls map[string]Crawl
}

// Stage returns a stage by name.
func (s Sample) Stage(name string) (Stage, bool) {
	for _, st := range s.Stages {
		if st.Name == name {
			return st, true
		}
	}
	return Stage{}, false
}

// Queue returns a queue by name.
func (s Sample) Queue(name string) (Queue, bool) {
	for _, q := range s.Queues {
		if q.Name == name {
			return q, true
		}
	}
	return Queue{}, false
}

// History is a ring of samples, safe for concurrent use.
type History struct {
	mu      sync.RWMutex
	samples []Sample // a ring
	next    int
}

// New returns a history of at most n samples, at least 2.
func New(n int) *History { return &History{samples: make([]Sample, 0, max(n, 2))} }

// Add keeps a sample, and forgets the oldest when there is no room. Samples come in the
// order of their time; one that does not is left out.
func (h *History) Add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) > 0 && !s.At.After(h.at(len(h.samples)-1).At) {
		return
	}
	if len(h.samples) < cap(h.samples) {
		h.samples = append(h.samples, s)
		return
	}
	h.samples[h.next] = s
	h.next = (h.next + 1) % len(h.samples)
}

// at returns the i-th oldest sample.
func (h *History) at(i int) Sample { return h.samples[(h.next+i)%len(h.samples)] }

// View returns the samples that are no older than window at now, the oldest first, and
// is not changed by what comes later.
func (h *History) View(now time.Time, window time.Duration) View {
	h.mu.RLock()
	defer h.mu.RUnlock()
	v := View{Now: now, Window: window}
	for i := range h.samples {
		if s := h.at(i); !s.At.Before(now.Add(-window)) {
			v.Samples = append(v.Samples, s)
		}
	}
	return v
}

// View is a stretch of history.
type View struct {
	// Now is the right end of the time axis, Window its length.
	Now    time.Time
	Window time.Duration
	// Samples in the order of time.
	Samples []Sample
}

// Last returns the newest sample; an empty one without any.
func (v View) Last() Sample {
	if len(v.Samples) == 0 {
		return Sample{}
	}
	return v.Samples[len(v.Samples)-1]
}

// Value reads a number of a sample; false where it has none.
type Value func(Sample) (float64, bool)

// Point is a value at a place of the time axis.
type Point struct {
	// X is 0 at the beginning of the window and 1 at its end.
	X float64
	// Y is NaN where nothing is known.
	Y float64
}

// maxGap is the longest time between two samples that a line crosses: what happened in a
// longer one nobody saw.
const maxGap = 30 * time.Second

// rateSpan is what a rate is taken over, at least: a few samples, or every batch of the
// stages would be a peak.
const rateSpan = 6 * time.Second

// Gauge is a number over time.
func (v View) Gauge(get Value) []Point {
	var out []Point
	for i, s := range v.Samples {
		if i > 0 && s.At.Sub(v.Samples[i-1].At) > maxGap {
			out = append(out, Point{v.x(s.At), math.NaN()})
		}
		y, ok := get(s)
		if !ok {
			y = math.NaN()
		}
		out = append(out, Point{v.x(s.At), y})
	}
	return out
}

// Rate is how fast a counter grows, a second. A counter that falls was begun anew, as by
// a restart: what it grew by there is not known.
func (v View) Rate(get Value) []Point {
	var out []Point
	for i := range v.Samples {
		if i > 0 {
			out = append(out, Point{v.x(v.Samples[i].At), v.rateAt(i, get)})
		}
	}
	return out
}

// rateAt is the rate over the rateSpan that ends with a sample; NaN where it is not known.
func (v View) rateAt(i int, get Value) float64 {
	end := v.Samples[i].At
	y, ok := get(v.Samples[i])
	if !ok || end.Sub(v.Samples[i-1].At) > maxGap {
		return math.NaN()
	}
	rate := math.NaN()
	for j, above := i-1, y; j >= 0; j-- {
		s := v.Samples[j]
		then, ok := get(s)
		if !ok || then > above || v.Samples[j+1].At.Sub(s.At) > maxGap {
			break
		}
		above = then
		rate = (y - then) / end.Sub(s.At).Seconds()
		if end.Sub(s.At) >= rateSpan {
			break
		}
	}
	return rate
}

// RateNow is the newest rate of a counter, 0 where none is known.
func (v View) RateNow(get Value) float64 {
	if n := len(v.Samples); n > 1 {
		if r := v.rateAt(n-1, get); !math.IsNaN(r) {
			return r
		}
	}
	return 0
}

// Grown is how much a counter grew within the view; where it was begun anew, from there
// on.
func (v View) Grown(get Value) float64 {
	sum, last, known := 0.0, 0.0, false
	for _, s := range v.Samples {
		y, ok := get(s)
		if !ok {
			continue
		}
		if known {
			sum += max(y-last, 0)
		}
		last, known = y, true
	}
	return sum
}

// x is the place of a time.
func (v View) x(at time.Time) float64 {
	if v.Window <= 0 {
		return 1
	}
	return 1 - v.Now.Sub(at).Seconds()/v.Window.Seconds()
}

// OfStage reads a number of a stage.
func OfStage(name string, get func(Stage) uint64) Value {
	return func(s Sample) (float64, bool) {
		st, ok := s.Stage(name)
		return float64(get(st)), ok
	}
}

// OfCrawl reads a number of a crawl.
func OfCrawl(id string, get func(Crawl) uint64) Value {
	return func(s Sample) (float64, bool) {
		c, ok := s.Crawls[id]
		return float64(get(c)), ok
	}
}
