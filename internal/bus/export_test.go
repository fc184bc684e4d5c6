package bus

import (
	"context"
	"time"
)

// Sweeper returns one round of a sweep after the other.
func Sweeper(b *Bus) func(context.Context) error { return newSweeper(b).round }

// Hang makes the loops of all sessions look as if they had stood still for two minutes.
func Hang(b *Bus) {
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	for s := range b.sessions.all {
		s.seen.Store(time.Now().Add(-2 * time.Minute).UnixNano())
	}
}
