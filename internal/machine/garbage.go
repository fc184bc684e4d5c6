package machine

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// garbage is how much the heap may grow before it is collected, in percent of what is in
// use; Go's own is 100. Measured with the ring in one process, 10,000 pages: 50 instead of
// 100 holds 159 instead of 194 MiB and costs 2.5 % more processor time.
const garbage = 70

// LimitGarbage has the collector run a little more often than Go has it, unless GOGC is
// set.
func LimitGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}

// Up to how many bytes a heap may grow whatever is in use.
const (
	// OneService is for a process of one. Measured with the ring as processes, 10,000
	// pages: with 16 MiB they take 0.93 of the processor time that they take without, with
	// 32 MiB 0.88, and hold 17 and 65 MiB more together.
	OneService = 32 << 20
	// AllServices is for the ring in one process. With four hosts it uses half of it, so
	// that nothing changes; with one host a third.
	AllServices = 88 << 20
)

// leastHeap is what Go collects no heap below, at 100 percent.
const leastHeap = 4 << 20

// liveHeap is the metric of what the last collection has left.
const liveHeap = "/gc/heap/live:bytes"

// SpareHeap has the collector leave a heap of less than some bytes alone until stop is
// called, unless GOGC is set: one service in a process uses a few MiB and makes a hundred a second, which
// in proportion are collected many times a second, and its pools of buffers emptied each
// time. Near a limit of memory the collector runs as often as that takes.
func SpareHeap(bytes uint64) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	end := new(ending)
	p := &pace{bytes: bytes, sample: []metrics.Sample{{Name: liveHeap}}, end: end}
	p.set(percent(0, bytes))
	runtime.SetFinalizer(p, (*pace).collected)
	return func() {
		end.mu.Lock()
		defer end.mu.Unlock()
		end.over = true
		debug.SetGCPercent(garbage)
	}
}

// ending says that the pace is to be left alone. A collection may follow the heap just
// when stop is called.
type ending struct {
	mu   sync.Mutex
	over bool
}

// pace is referred to by nothing, so that every collection finds it and it can set the
// pace of the next.
type pace struct {
	bytes  uint64
	sample []metrics.Sample
	end    *ending
	now    int // percent
}

func (p *pace) collected() {
	p.end.mu.Lock()
	defer p.end.mu.Unlock()
	if p.end.over {
		return
	}
	p.follow()
	runtime.SetFinalizer(p, (*pace).collected)
}

// follow sets the pace by what the last collection has left.
func (p *pace) follow() {
	metrics.Read(p.sample)
	p.set(percent(p.sample[0].Value.Uint64(), p.bytes))
}

// set changes the pace, for which the process stops some microseconds.
func (p *pace) set(percent int) {
	if percent != p.now {
		debug.SetGCPercent(percent)
		p.now = percent
	}
}

// percent is how much a heap may grow of which so many bytes are in use, so that it has
// least bytes before it is collected.
func percent(live, least uint64) int {
	if live >= least {
		return garbage
	}
	most := 100 * least / leastHeap // Go multiplies its own least by the percentage too
	return int(max(garbage, min(most, (least-live)*100/max(live, 1))))
}
