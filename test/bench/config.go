package bench

import (
	"regexp"
	"time"
)

// Config of a benchmark.
type Config struct {
	// Workloads in the order in which each round does them.
	Workloads []Workload `json:"workloads"`
	// Rounds bounds those of every workload. 0: as many as each has.
	Rounds int `json:"rounds"`
	// Budget is the time after which no round begins. 0: none.
	Budget time.Duration `json:"budget"`
}

// DefaultConfig is the full benchmark: about half an hour on two idle cores.
func DefaultConfig() Config { return Config{Workloads: workloads()} }

// ShortConfig shows in a minute or two that everything works; its figures mean little.
func ShortConfig() Config {
	c := DefaultConfig()
	c.Rounds = 1
	kept := c.Workloads[:0]
	for _, w := range c.Workloads {
		switch w.Name {
		case "hosts4":
			w.Pages = 250
		case "polite":
			w.Hosts, w.Pages = 8, 8
		default:
			continue
		}
		kept = append(kept, w)
	}
	c.Workloads = kept
	return c
}

// GuardConfig is what CI runs: the bare loop and the embedded ring in turns, long
// enough that the start of a process is a small part.
func GuardConfig() Config {
	for _, w := range workloads() {
		if w.Name == "hosts4" {
			w.Name, w.Title, w.Rounds = "guard", "4 hosts, crawler on one core", 3
			w.Subjects = []Subject{{Kind: Bare}, {Kind: Embedded}}
			return Config{Workloads: []Workload{w}}
		}
	}
	return Config{}
}

// Only keeps the workloads whose names match.
func (c *Config) Only(names *regexp.Regexp) {
	kept := c.Workloads[:0]
	for _, w := range c.Workloads {
		if names.MatchString(w.Name) {
			kept = append(kept, w)
		}
	}
	c.Workloads = kept
}

// rounds of a workload.
func (c Config) rounds(w Workload) int {
	if c.Rounds > 0 {
		return min(c.Rounds, max(w.Rounds, 1))
	}
	return max(w.Rounds, 1)
}
