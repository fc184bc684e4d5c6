package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
)

// report is a benchmark with all that is needed to judge it.
type report struct {
	Machine measure.Machine `json:"machine"`
	Commit  string          `json:"commit"`
	Command string          `json:"command"`
	At      time.Time       `json:"at"`
	// Load of the machine before the first case.
	Load   string `json:"load"`
	Rounds int    `json:"rounds"`
	Pages  int    `json:"pages"`
	// Even is the share of the mentions of known URLs that are drawn evenly.
	Even  float64      `json:"even"`
	Cases []*benchCase `json:"cases"`
}

// write writes the report as JSON and Markdown and returns the file of the latter.
func (r report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(dir, "frontier-"+r.At.Format("2006-01-02-1504")+"-"+r.Commit)
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	return base + ".md", os.WriteFile(base+".md", []byte(r.markdown()), 0o644)
}

// column is a figure of the table.
type column struct {
	name   string
	digits int
	value  func(r figures) float64
}

const mib = 1 << 20

func columns() []column {
	perPage := func(v float64, r figures) float64 { return 1000 * v / float64(r.Measured.Pages) }
	perURL := func(bytes int64, r figures) float64 { return float64(bytes) / float64(r.Ready.Discovered) }
	return []column{
		{"pages/s", 0, func(r figures) float64 { return float64(r.Measured.Pages) / r.Measured.Seconds }},
		{"link checks/s", 0, func(r figures) float64 { return links * float64(r.Measured.Pages) / r.Measured.Seconds }},
		{"CPU ms a page", 3, func(r figures) float64 { return perPage(r.Measured.CPU, r) }},
		{"server CPU ms a page", 3, func(r figures) float64 { return perPage(r.Measured.ServerCPU, r) }},
		{"batch p50 ms", 1, func(r figures) float64 { return 1000 * r.Measured.P50 }},
		{"batch p99 ms", 1, func(r figures) float64 { return 1000 * r.Measured.P99 }},
		{"bytes a URL", 0, func(r figures) float64 { return perURL(r.Bytes, r) }},
		{"compacted", 0, func(r figures) float64 { return perURL(r.Compacted, r) }},
		{"heap MiB", 0, func(r figures) float64 { return float64(r.Measured.Heap) / mib }},
		{"RSS MiB", 0, func(r figures) float64 { return float64(r.Measured.RSS) / mib }},
		{"peak MiB", 0, func(r figures) float64 { return float64(r.Measured.Peak) / mib }},
		{"restart s", 2, func(r figures) float64 { return r.Restart }},
		{"heap MiB then", 0, func(r figures) float64 { return float64(r.Ready.Heap) / mib }},
		{"seeds/s", 0, func(r figures) float64 { return float64(r.Filled.Discovered) / r.Filled.Seconds }},
		{"CPU µs a seed", 1, func(r figures) float64 { return 1e6 * r.Filled.CPU / float64(r.Filled.Discovered) }},
	}
}

func (c *benchCase) cell(col column) string {
	var values []float64
	for _, r := range c.Runs {
		values = append(values, col.value(r))
	}
	return measure.Spread(values, col.digits)
}

// line tells the last run of a case.
func (c *benchCase) line() string {
	last := benchCase{Runs: c.Runs[len(c.Runs)-1:]}
	parts := []string{fmt.Sprintf("%s %s %d URLs", c.Store, c.Shape, c.URLs)}
	for _, col := range columns() {
		parts = append(parts, last.cell(col)+" "+col.name)
	}
	return strings.Join(parts, ", ")
}

// markdown renders the report.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark of the frontier, %s, %s\n\n", r.Commit, r.At.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "`%s` on %s, %d cores, %d GiB, Linux %s, %s; load %s at the beginning.\n\n", r.Command, r.Machine.CPU,
		r.Machine.Cores, r.Machine.MemoryGiB, r.Machine.Kernel, r.Machine.Go, r.Load)
	fmt.Fprintf(&b, "Each case is a store that got its URLs as seeds, then n = %d pages of %d links (%d new to the crawl, %d to other hosts, "+
		"%.0f %% of the known ones drawn evenly from all URLs of their host and the others from its first %d), in batches of %d to %d that are applied together and synced with fsync; "+
		"%d leases are out at a time. CPU is that of the whole process, compactions and collections included, without the making of the URLs. "+
		"The time of a batch is that until it is durable. The process is killed with SIGKILL while it works; a restart is the time from the "+
		"start of the next process until it has handed out leases, with the files in the page cache. "+
		"Figures are of %d round(s): the median, with the least and the greatest.\n\n",
		r.Pages, links, fresh, foreign, 100*r.Even, menu, leastBatch, mostBatch, inFlight, r.Rounds)
	for _, s := range shapes() {
		fmt.Fprintf(&b, "- %s: %s\n", s.name, s.about)
	}
	for _, group := range [][]int{{0, 6}, {6, 11}, {11, 15}} {
		cols := columns()[group[0]:group[1]]
		b.WriteString("\n| store | shape | URLs |")
		for _, col := range cols {
			fmt.Fprintf(&b, " %s |", col.name)
		}
		b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(cols)) + "\n")
		for _, c := range r.Cases {
			fmt.Fprintf(&b, "| %s | %s | %d |", c.Store, c.Shape, c.URLs)
			for _, col := range cols {
				fmt.Fprintf(&b, " %s |", c.cell(col))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}
