// Package crew keeps goroutines for work that comes again and again. A new goroutine
// begins with the least stack and copies it at every step to the one that its work takes:
// for a page that was a fortieth of all processor time. One that is kept has that stack.
package crew

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Crew runs functions on goroutines that it keeps. The zero value keeps none; use New.
// It is safe for use by any number of goroutines.
type Crew struct {
	keep   int
	mu     sync.Mutex
	idle   []chan func() // the last to come is the first to go: its stack is warm
	closed bool
}

// New returns a crew that keeps at most so many goroutines while they have nothing to do.
// As many as are asked for work at a time, whatever that bound is.
func New(keep int) *Crew { return &Crew{keep: keep} }

// Go runs f at once on a goroutine of its own, like the go statement, also after Close.
// A panic in f ends the process, unless f recovers.
func (c *Crew) Go(f func()) {
	c.mu.Lock()
	n := len(c.idle)
	if n == 0 {
		c.mu.Unlock()
		go c.work(f)
		return
	}
	work := c.idle[n-1]
	c.idle = c.idle[:n-1]
	c.mu.Unlock()
	work <- f // there is room: whoever is idle has taken what came before
}

// Do runs f like Go and returns when it has. A panic in f becomes one of the caller's,
// with the stack of f in its text.
func (c *Crew) Do(f func()) {
	failed := make(chan any, 1)
	c.Go(func() {
		defer func() {
			p := recover()
			if p != nil {
				p = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			failed <- p
		}()
		f()
	})
	if p := <-failed; p != nil {
		panic(p) // f's mistake, told where its caller can recover
	}
}

func (c *Crew) work(f func()) {
	next := make(chan func(), 1)
	for ok := true; ok; f, ok = <-next {
		f()
		if !c.rest(next) {
			return
		}
	}
}

// rest has a goroutine wait for work, unless there are enough that do.
func (c *Crew) rest(next chan func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= c.keep {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// Close lets the idle go, and the others when they are done: it waits for none. Calls
// after the first do nothing.
func (c *Crew) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, work := range c.idle {
		close(work)
	}
	c.idle = nil
}
