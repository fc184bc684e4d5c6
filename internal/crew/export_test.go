package crew

// Idle is how many goroutines wait for work.
func Idle(c *Crew) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}
