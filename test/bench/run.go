package bench

import (
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// Run is one measurement: a subject that has crawled a workload once.
type Run struct {
	// Workload, Subject and Round say what was measured, At when it began and Load how
	// many processes wanted to run then.
	Workload string    `json:"workload"`
	Subject  string    `json:"subject"`
	Round    int       `json:"round"`
	At       time.Time `json:"at"`
	Load     string    `json:"load"`
	// Error says why the run does not count; the rest is then of no use.
	Error string `json:"error,omitempty"`
	// Pages that were crawled.
	Pages int `json:"pages"`
	// Seconds from the start of the work to its end. In one process that includes
	// opening and closing the stores and writing the items, in split mode submit, crawl
	// and wait.
	Seconds float64 `json:"seconds"`
	// CPU seconds, user and system, by process.
	CPU map[string]float64 `json:"cpu_seconds"`
	// PeakMiB is the most memory held, by process; of PostgreSQL what it held at the end.
	PeakMiB map[string]int64 `json:"peak_mib"`
	// Mallocs and AllocBytes a page; of Weir alone, between the first look at it and the
	// last.
	Mallocs    float64 `json:"mallocs"`
	AllocBytes float64 `json:"alloc_bytes"`
	// Kept is what is on the disk at the end and Written what the processes have had
	// written to it, in bytes a page; PostgreSQL's processes do not count in Written.
	Kept    float64 `json:"kept_bytes"`
	Written float64 `json:"written_bytes"`
	// BusIn and BusOut are what went into the NATS server and out of it, and BusMessages
	// what went in, a page; as processes only.
	BusIn       float64 `json:"bus_in_bytes,omitempty"`
	BusOut      float64 `json:"bus_out_bytes,omitempty"`
	BusMessages float64 `json:"bus_in_messages,omitempty"`
	// Archive are the WARC files, in bytes a page; Frontier and Catalogue the databases of
	// PostgreSQL, beyond what they had when they were empty.
	Archive   float64 `json:"archive_bytes,omitempty"`
	Frontier  float64 `json:"frontier_bytes,omitempty"`
	Catalogue float64 `json:"catalogue_bytes,omitempty"`
	// Flushes of the disk's cache a second, the whole machine's; -1 where the system
	// does not count them.
	Flushes float64 `json:"flushes_a_second"`
	// P50 and P99 seconds of a URL from its lease to its result in the frontier; 0 for
	// what is no Weir.
	P50 float64 `json:"p50_seconds"`
	P99 float64 `json:"p99_seconds"`
	// Score is the rate as a share of what the delays and latencies allow, and MinGap the
	// least time that a host was left alone; with a delay only.
	Score  float64       `json:"score,omitempty"`
	MinGap time.Duration `json:"min_gap,omitempty"`
	// Held is the memory at some numbers of pages, in order; in one process only.
	Held []Held `json:"held,omitempty"`
}

// Held is the memory of a process after so many pages.
type Held struct {
	Pages int   `json:"pages"`
	MiB   int64 `json:"mib"`
}

// newRun has its maps.
func newRun() Run { return Run{CPU: map[string]float64{}, PeakMiB: map[string]int64{}} }

// total CPU seconds.
func (r Run) total() float64 {
	var sum float64
	for _, s := range r.CPU {
		sum += s
	}
	return sum
}

// cpuPage is the CPU of a page in milliseconds.
func (r Run) cpuPage() float64 { return 1000 * r.total() / float64(r.Pages) }

// rate is in pages a second.
func (r Run) rate() float64 { return float64(r.Pages) / r.Seconds }

// peak MiB of all processes.
func (r Run) peak() float64 {
	var sum int64
	for _, m := range r.PeakMiB {
		sum += m
	}
	return float64(sum)
}

// heldAt is the memory when about so many pages were done, 0 when there was no look
// near it.
func (r Run) heldAt(pages int) float64 {
	for _, h := range r.Held {
		if h.Pages >= pages {
			return float64(h.MiB)
		}
	}
	return 0
}

// add notes what a process used beyond what it had used before.
func (r *Run) add(name string, p *driver.Proc, before time.Duration) error {
	cpu, err := p.CPU()
	if err != nil {
		return err
	}
	rss, err := p.PeakRSS()
	if err != nil {
		return err
	}
	written, err := p.Written()
	if err != nil {
		return err
	}
	r.CPU[name] += (cpu - before).Seconds()
	r.PeakMiB[name] += rss >> 20
	r.Written += float64(written)
	return nil
}

// clock measures the time of a run, and the flushes of the disk in it.
type clock struct {
	dir     string
	begin   time.Time
	flushes int64
	counted bool
}

func startClock(dir string) clock {
	n, ok := driver.Flushes(dir)
	return clock{dir: dir, begin: time.Now(), flushes: n, counted: ok}
}

func (c clock) stop(r *Run) {
	r.Seconds, r.Flushes = time.Since(c.begin).Seconds(), -1
	if n, ok := driver.Flushes(c.dir); ok && c.counted {
		r.Flushes = float64(n-c.flushes) / r.Seconds
	}
}
