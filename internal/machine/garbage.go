package machine

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbage is how much the heap may grow before it is collected, in percent of what is in
// use; Go's own is 100. Measured with the ring in one process, 10,000 pages: 50 instead of
// 100 holds 159 instead of 194 MiB and costs 2.5 % more processor time.
const garbage = 75

// smallHeap is up to how many bytes the heap may grow whatever is in use. A fetcher or a
// parser uses a few MiB and makes a hundred a second: in proportion it would be collected
// many times a second, and its pools of buffers emptied each time.
const smallHeap = 32 << 20

// mostGarbage is the pace at which Go collects no heap below smallHeap, since it has a least
// heap of its own, 4 MiB at 100 percent.
const mostGarbage = 100 * smallHeap / (4 << 20)

// liveHeap is the metric of what the last collection has left.
const liveHeap = "/gc/heap/live:bytes"

// LimitGarbage has the collector run a little more often than Go has it, but leave small
// heaps alone, unless GOGC is set. Near a limit of memory it runs as often as that takes.
// To be called once.
func LimitGarbage() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pace{sample: []metrics.Sample{{Name: liveHeap}}}
	p.set(mostGarbage)
	runtime.SetFinalizer(p, (*pace).collected)
}

// pace is referred to by nothing, so that every collection finds it and it can set the
// pace of the next.
type pace struct {
	sample []metrics.Sample
	now    int // percent
}

func (p *pace) collected() {
	p.follow()
	runtime.SetFinalizer(p, (*pace).collected)
}

// follow sets the pace by what the last collection has left.
func (p *pace) follow() {
	metrics.Read(p.sample)
	p.set(percent(p.sample[0].Value.Uint64()))
}

// set changes the pace, for which the process stops some microseconds.
func (p *pace) set(percent int) {
	if percent != p.now {
		debug.SetGCPercent(percent)
		p.now = percent
	}
}

// percent is how much a heap may grow of which so many bytes are in use.
func percent(live uint64) int {
	if live >= smallHeap {
		return garbage
	}
	return int(max(garbage, min(mostGarbage, (smallHeap-live)*100/max(live, 1))))
}
