// Package seats bounds how many of something go on at a time, and how many wait.
package seats

import (
	"context"
	"slices"
	"sync"
)

// Seats are taken and left. The zero value is ready; it is safe for concurrent use.
type Seats struct {
	mu    sync.Mutex
	taken int
	queue []*waiter
}

// waiter is closed when it has a seat. Seats are given in the order of the queue.
type waiter struct {
	limit int
	given chan struct{}
}

// Take waits for a seat, of which there are limit, until ctx ends. Whoever got one
// calls Leave. Callers may differ in their limits: each is let in while fewer than its
// own are taken.
func (s *Seats) Take(ctx context.Context, limit int) error {
	s.mu.Lock()
	if len(s.queue) == 0 && s.taken < limit {
		s.taken++
		s.mu.Unlock()
		return nil
	}
	w := &waiter{limit: limit, given: make(chan struct{})}
	s.queue = append(s.queue, w)
	s.mu.Unlock()
	select {
	case <-w.given:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.queue, w); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	} else {
		s.taken-- // it came at the same moment
	}
	s.seat() // it may have stood in the way of others
	return context.Cause(ctx)
}

// Leave gives a seat back.
func (s *Seats) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.seat()
}

// Waiting returns how many wait for a seat.
func (s *Seats) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// seat lets in those at the head of the queue that may.
func (s *Seats) seat() {
	for len(s.queue) > 0 && s.taken < s.queue[0].limit {
		s.taken++
		close(s.queue[0].given)
		s.queue = slices.Delete(s.queue, 0, 1)
	}
}
