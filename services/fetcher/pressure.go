package fetcher

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/machine"
	"github.com/weircrawl/weir/services/fetcher/internal/throttle"
)

// sampleEvery is how often the process is looked at.
const sampleEvery = time.Second

// The metrics of Go's runtime that tell how the process does.
const (
	liveHeap  = "/gc/heap/live:bytes"
	stacks    = "/memory/classes/heap/stacks:bytes"
	schedWait = "/sched/latencies:seconds"
)

// pressure lowers the number of exchanges at a time while the process runs out of
// memory or processors.
type pressure struct {
	log     *slog.Logger
	limit   atomic.Int64
	running func() int
	ceiling int

	control *throttle.Controller
	sample  []runtimemetrics.Sample
	waits   []uint64 // the histogram at the last look
	memory  int64    // that the process may have, 0 for unknown
}

func newPressure(ceiling int, running func() int, log *slog.Logger) *pressure {
	p := &pressure{
		log: log, running: running, ceiling: ceiling, control: throttle.New(ceiling),
		sample: []runtimemetrics.Sample{{Name: liveHeap}, {Name: stacks}, {Name: schedWait}},
		memory: processMemory(),
	}
	p.limit.Store(int64(ceiling))
	return p
}

// processMemory is the collector's limit, or what the machine has.
func processMemory() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	bytes, _ := machine.Memory(machine.Root())
	return bytes
}

// now returns how many exchanges may run now. Safe for concurrent use.
func (p *pressure) now() int { return int(p.limit.Load()) }

// run looks at the process until ctx ends.
func (p *pressure) run(ctx context.Context) error {
	p.look() // the first look has nothing to compare with
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s := p.look()
		p.take(s)
	}
}

// take sets the limit by a sample, and says so when it leaves the ceiling.
func (p *pressure) take(s throttle.Sample) {
	before, after := p.control.Limit(), p.control.Step(s)
	p.limit.Store(int64(after))
	if after < before && before == p.ceiling {
		p.log.Warn("fewer exchanges at a time: the process runs out of memory or processors",
			"limit", after, "memory_share", s.Memory, "wait_for_processor", s.Late)
	}
}

// look takes a sample of the process since the last look.
func (p *pressure) look() throttle.Sample {
	runtimemetrics.Read(p.sample)
	s := throttle.Sample{Running: p.running()}
	if p.memory > 0 {
		s.Memory = float64(p.sample[0].Value.Uint64()+p.sample[1].Value.Uint64()) / float64(p.memory)
	}
	h := p.sample[2].Value.Float64Histogram()
	since := make([]uint64, len(h.Counts))
	for i, n := range h.Counts {
		since[i] = n
		if i < len(p.waits) {
			since[i] -= p.waits[i]
		}
	}
	p.waits = append(p.waits[:0], h.Counts...)
	s.Late = tenth(since, h.Buckets)
	return s
}

// tenth returns how long, at the least, the slowest tenth of a histogram took; 0 for
// an empty one.
func tenth(counts []uint64, buckets []float64) time.Duration {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	above := uint64(0)
	for i := len(counts) - 1; i >= 0 && total > 0; i-- {
		if above += counts[i]; above*10 >= total {
			return time.Duration(max(0, buckets[i]) * float64(time.Second)) // the lower bound
		}
	}
	return 0
}
