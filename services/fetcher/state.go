package fetcher

import "context"

// State is what a fetcher does at a moment, for people.
type State struct {
	Pool string `json:"pool"`
	// InFlight are the exchanges, at most Limit at a time.
	InFlight int64 `json:"in_flight"`
	Limit    int   `json:"limit"`
	// MemoryHeld by exchanges, at most Memory, in bytes.
	MemoryHeld int64 `json:"memory_held_bytes"`
	Memory     int64 `json:"memory_bytes"`
	// BrowserMemory in bytes, and how often one was started and ended by itself.
	BrowserMemory  int64 `json:"browser_memory_bytes,omitempty"`
	BrowserStarts  int64 `json:"browser_starts,omitempty"`
	BrowserCrashes int64 `json:"browser_crashes,omitempty"`
}

// State returns what the fetcher does, as a State.
func (s *Service) State(context.Context) any {
	out := State{
		Pool: s.cfg.Pool, InFlight: s.active.Load(), Limit: s.pressure.now(), MemoryHeld: s.budget.Held(), Memory: s.cfg.Memory,
	}
	if s.browsers != nil {
		out.BrowserMemory = s.browsers.Memory()
		out.BrowserStarts, out.BrowserCrashes = s.browsers.Counts().Started.Load(), s.browsers.Counts().Crashed.Load()
	}
	return out
}
