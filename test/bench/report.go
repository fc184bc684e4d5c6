package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
)

// Report is a benchmark with all that is needed to judge it.
type Report struct {
	// Machine, Commit and Command say where, what and how.
	Machine measure.Machine `json:"machine"`
	Commit  string          `json:"commit"`
	Command string          `json:"command"`
	// At is when the benchmark ended.
	At time.Time `json:"at"`
	// Config of the benchmark.
	Config Config `json:"config"`
	// Cases with their runs.
	Cases []*Case `json:"cases"`
}

// Write writes the report as JSON and Markdown into dir and returns the file of the
// latter.
func (r Report) Write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	base := filepath.Join(dir, r.At.Format("2006-01-02")+"-"+r.Commit)
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(base+".md", []byte(r.Markdown()), 0o644); err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	return base + ".md", nil
}

// Markdown renders the report.
func (r Report) Markdown() string {
	var b strings.Builder
	c := r.Config
	fmt.Fprintf(&b, "# Benchmark of %s, %s\n\n", r.Commit, r.At.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "`%s` on %s, %d cores, %d GiB, Linux %s, %s.\n\n", r.Command, r.Machine.CPU, r.Machine.Cores, r.Machine.MemoryGiB, r.Machine.Kernel, r.Machine.Go)
	fmt.Fprintf(&b, "Site: %d hosts on loopback addresses, %d pages each of %d KiB with %d links, no delay, in a process of its own on core 0; "+
		"what is measured has the other cores. The slow site has %d pages a host and answers after %v. "+
		"Each figure is the median of n = %d rounds in which the cases took turns, with the least and the greatest. "+
		"The ring keeps its promises while it is measured: robots.txt, WARC, catalogue, every commit synced.\n",
		c.Hosts, c.Pages, c.PageBytes>>10, c.Links, c.SlowPages, c.SlowLatency, c.Rounds)
	bare := measure.Median(r.values("bare loop", func(run Run) float64 { return run.total() / float64(run.Pages) }))
	for _, group := range []string{groupRing, groupSplit, groupWide, groupSlow} {
		r.table(&b, group, bare)
	}
	r.services(&b)
	return b.String()
}

func (r Report) values(name string, f func(Run) float64) []float64 {
	for _, c := range r.Cases {
		if c.Name == name {
			return c.values(f)
		}
	}
	return nil
}

func (c Case) values(f func(Run) float64) []float64 {
	var out []float64
	for _, run := range c.Runs {
		out = append(out, f(run))
	}
	return out
}

// table compares the cases of a group; bare is the bare loop's CPU a page.
func (r Report) table(b *strings.Builder, group string, bare float64) {
	fmt.Fprintf(b, "\n## %s\n\n| case | pages/s | CPU ms a page | share of the bare loop's rate per CPU | peak MiB |\n|---|---|---|---|---|\n", group)
	for _, c := range r.Cases {
		if c.Group != group {
			continue
		}
		rate := c.values(func(run Run) float64 { return float64(run.Pages) / run.Seconds })
		cpu := c.values(func(run Run) float64 { return 1000 * run.total() / float64(run.Pages) })
		peak := c.values(func(run Run) float64 {
			var sum int64
			for _, m := range run.PeakMiB {
				sum += m
			}
			return float64(sum)
		})
		fmt.Fprintf(b, "| %s | %s | %s | %.2f | %s |\n", c.Name, measure.Spread(rate, 0), measure.Spread(cpu, 3), 1000*bare/measure.Median(cpu), measure.Spread(peak, 0))
	}
}

// services tells where the CPU goes in split mode.
func (r Report) services(b *strings.Builder) {
	fmt.Fprint(b, "\n## CPU by service, ms a page\n\n| case ")
	names := map[string]bool{}
	for _, c := range r.Cases {
		if c.Group == groupSplit && len(c.Runs) > 0 {
			for name := range c.Runs[0].CPU {
				names[name] = true
			}
		}
	}
	columns := slices.Sorted(maps.Keys(names))
	fmt.Fprint(b, "| ", strings.Join(columns, " | "), " |\n|---", strings.Repeat("|---", len(columns)), "|\n")
	for _, c := range r.Cases {
		if c.Group != groupSplit {
			continue
		}
		fmt.Fprintf(b, "| %s ", c.Name)
		for _, name := range columns {
			fmt.Fprintf(b, "| %s ", measure.Spread(c.values(func(run Run) float64 { return 1000 * run.CPU[name] / float64(run.Pages) }), 3))
		}
		fmt.Fprint(b, "|\n")
	}
}
