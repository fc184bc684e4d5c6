// Package throttle decides how many exchanges may run at a time on a machine that runs
// out of memory or of processors.
//
// The configured concurrency is the ceiling. Under pressure the limit falls to a share
// of what runs, fast; without, it rises by small steps, so that it comes to rest just
// below what the machine bears.
package throttle

import "time"

const (
	// memoryFull is the share of the memory that live data may take: the collector
	// needs the rest to work with, and what is beyond ends with the process.
	memoryFull = 0.75
	// memoryEasy is below what share the limit may rise again.
	memoryEasy = 0.60
	// lateBusy is how long one in ten goroutines may wait for a processor. Beyond it
	// handshakes and deadlines of sites are missed by our own fault, and they take us
	// for a slow client or we them for a slow site.
	lateBusy = 100 * time.Millisecond
	// lateEasy is below what wait the limit may rise again.
	lateEasy = 20 * time.Millisecond
	// floor is the share of the ceiling that busy processors leave: exchanges that wait
	// for their sites cost none, and others wait behind them.
	floor = 4
	// patience is how many samples in a row must be busy: one may be a collection.
	patience = 3
)

// Sample is the state of the process since the last one.
type Sample struct {
	// Memory is the share of the memory that the process may have which live data
	// takes; 0 where it is not known.
	Memory float64
	// Late is how long one in ten goroutines waited for a processor, at the least.
	Late time.Duration
	// Running is how many exchanges run.
	Running int
}

// Controller holds the limit. It is not safe for concurrent use.
type Controller struct {
	ceiling, least int
	limit          int
	busy           int // samples in a row
}

// New makes a controller whose limit is the ceiling.
func New(ceiling int) *Controller {
	return &Controller{ceiling: ceiling, least: min(ceiling, 2), limit: ceiling}
}

// Limit returns the present limit, from 1 to the ceiling.
func (c *Controller) Limit() int { return c.limit }

// Step takes a sample and returns the limit.
func (c *Controller) Step(s Sample) int {
	switch {
	case s.Memory > memoryFull:
		c.fall(s.Running, 2, c.least)
	case s.Late > lateBusy:
		if c.busy++; c.busy >= patience {
			c.busy = 0
			c.fall(s.Running, 1, max(c.least, c.ceiling/floor))
		}
	case s.Memory < memoryEasy && s.Late < lateEasy:
		c.busy = 0
		c.limit = min(c.ceiling, c.limit+max(1, c.ceiling/16))
	default:
		c.busy = 0
	}
	return c.limit
}

// fall takes so many quarters of what runs away, down to least. A limit above what runs
// does nothing.
func (c *Controller) fall(running, quarters, least int) {
	base := min(c.limit, max(running, least))
	c.limit = min(c.limit, max(least, base-max(1, base*quarters/4)))
}
