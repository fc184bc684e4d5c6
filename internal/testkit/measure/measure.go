// Package measure is what the project's benchmarks share: what they ran on, and how
// a figure is told with its spread.
package measure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Machine is what a benchmark ran on.
type Machine struct {
	// CPU model, number of Cores, MemoryGiB and Kernel.
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	MemoryGiB int    `json:"memory_gib"`
	Kernel    string `json:"kernel"`
	// Go version of the programs.
	Go string `json:"go"`
}

// OnlineCPUs counts the machine's processors, whatever this process is pinned to.
func OnlineCPUs() int {
	return max(1, len(procValues("/proc/cpuinfo", "processor")))
}

// procValues reads the values of a key of a file of /proc.
func procValues(file, key string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil // a report without it is a report all the same
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == key {
			out = append(out, strings.TrimSpace(v))
		}
	}
	return out
}

// ThisMachine describes the machine.
func ThisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: OnlineCPUs(), Go: runtime.Version()}
	if models := procValues("/proc/cpuinfo", "model name"); len(models) > 0 {
		m.CPU = models[0]
	}
	if mem := procValues("/proc/meminfo", "MemTotal"); len(mem) > 0 {
		if kib, err := strconv.Atoi(strings.Fields(mem[0])[0]); err == nil {
			m.MemoryGiB = (kib + 1<<19) >> 20
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	return m
}

// Load tells how many processes want to run, on average over 1, 5 and 15 minutes.
func Load() string {
	data, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(data))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}

// Commit names the commit of the work tree, with -dirty when it was changed.
func Commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// Median of the values, 0 when there are none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Spread renders the median with the least and the greatest value.
func Spread(values []float64, digits int) string {
	if len(values) == 0 {
		return "-"
	}
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', digits, 64) }
	if len(values) == 1 {
		return f(values[0])
	}
	return fmt.Sprintf("%s (%s to %s)", f(Median(values)), f(slices.Min(values)), f(slices.Max(values)))
}
