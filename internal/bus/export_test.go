package bus

import "context"

// Sweeper returns one round of a sweep after the other.
func Sweeper(b *Bus) func(context.Context) error { return newSweeper(b).round }
