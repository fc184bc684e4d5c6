package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
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
	// At is when the last run ended.
	At time.Time `json:"at"`
	// Workloads that were measured.
	Workloads []Workload `json:"workloads"`
	// Runs in the order in which they were made.
	Runs []Run `json:"runs"`
}

// base is the name of the report's files without their extension.
func (r *Report) base(dir, name string) string {
	return filepath.Join(dir, name+"-"+r.Commit)
}

// Load takes over the runs of an earlier benchmark of the same commit and the same
// workloads, when there was one, so that one that was broken off goes on.
func (r *Report) Load(dir, name string) error {
	data, err := os.ReadFile(r.base(dir, name) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("earlier results: %w", err)
	}
	var old Report
	if err := json.Unmarshal(data, &old); err != nil {
		return fmt.Errorf("earlier results: %w", err)
	}
	for _, run := range old.Runs {
		i := slices.IndexFunc(old.Workloads, func(w Workload) bool { return w.Name == run.Workload })
		j := slices.IndexFunc(r.Workloads, func(w Workload) bool { return w.Name == run.Workload })
		if i >= 0 && (j < 0 || reflect.DeepEqual(old.Workloads[i], r.Workloads[j])) {
			r.Runs = append(r.Runs, run)
		}
	}
	for _, w := range old.Workloads { // those that are not measured now stay in the report
		if !slices.ContainsFunc(r.Workloads, func(o Workload) bool { return o.Name == w.Name }) {
			r.Workloads = append(r.Workloads, w)
		}
	}
	return nil
}

// Write writes the report as JSON and Markdown into dir and returns the file of the
// latter.
func (r *Report) Write(dir, name string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	base := r.base(dir, name)
	for _, f := range []struct {
		name string
		data []byte
	}{{base + ".json", append(data, '\n')}, {base + ".md", []byte(r.Markdown())}} {
		// Whole or not at all: a benchmark may be broken off at any moment.
		if err := os.WriteFile(f.name+".new", f.data, 0o644); err != nil {
			return "", fmt.Errorf("write results: %w", err)
		}
		if err := os.Rename(f.name+".new", f.name); err != nil {
			return "", fmt.Errorf("write results: %w", err)
		}
	}
	return base + ".md", nil
}

// has tells whether a run was made and counts.
func (r *Report) has(workload, subject string, round int) bool {
	return slices.ContainsFunc(r.Runs, func(run Run) bool {
		return run.Workload == workload && run.Subject == subject && run.Round == round && run.Error == ""
	})
}

// runs that count.
func (r *Report) runs(workload, subject string) []Run {
	var out []Run
	for _, run := range r.Runs {
		if run.Workload == workload && run.Subject == subject && run.Error == "" {
			out = append(out, run)
		}
	}
	return out
}

// Ratio is the CPU of a page of one subject by that of another, round by round.
func (r *Report) Ratio(workload, subject, by string) []float64 {
	var out []float64
	for _, run := range r.runs(workload, subject) {
		for _, other := range r.runs(workload, by) {
			if other.Round == run.Round {
				out = append(out, run.cpuPage()/other.cpuPage())
			}
		}
	}
	return out
}

// Markdown renders the report.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The whole ring, %s, %s\n\n", r.Commit, r.At.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "`%s` on %s, %d cores, %d GiB, Linux %s, %s.\n\n", r.Command, r.Machine.CPU, r.Machine.Cores, r.Machine.MemoryGiB, r.Machine.Kernel, r.Machine.Go)
	b.WriteString("The site is a process on core 0; \"one core\" is core 1 for all processes of a crawler together. Each figure is the median of the rounds in which the " +
		"crawlers took turns, with the least and the greatest. A run counts only if the site saw every page asked for once and there is one item of each. " +
		"The ring keeps its promises while it is measured: robots.txt, WARC, catalogue, every commit synced. Ratios are of CPU a page, to the bare loop of the same round. " +
		"The latency of a URL is from its lease to its result in the frontier. Flushes are the disk's, the whole machine's.\n")
	if loads := r.loads(); loads != "" {
		fmt.Fprintf(&b, "\nLoad (1 minute) before the runs: %s.\n", loads)
	}
	for _, w := range r.Workloads {
		r.workload(&b, w)
	}
	r.failures(&b)
	return b.String()
}

// loads are those before the runs. The crawlers themselves are two or three of them.
func (r *Report) loads() string {
	var out []float64
	for _, run := range r.Runs {
		var one float64
		if _, err := fmt.Sscan(run.Load, &one); err == nil {
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return measure.Spread(out, 1)
}

func (r *Report) workload(b *strings.Builder, w Workload) {
	fmt.Fprintf(b, "\n## %s\n\n%d hosts with %d pages of %d KiB and %d links each (%d pages).", w.Title, w.Hosts, w.Pages, w.PageBytes>>10, w.Links, w.total())
	if w.Delay == 0 {
		fmt.Fprintf(b, " At most %d visits of a host at a time.", w.PerHost)
	}
	b.WriteString("\n\n| crawler | n | pages/s | CPU ms a page | ratio | peak MiB | allocations, KiB a page | disk KiB a page kept, written | flushes/s | URL p50, p99 ms |")
	if w.Delay > 0 {
		b.WriteString(" share of the possible rate | least gap |")
	}
	fmt.Fprintf(b, "\n%s\n", strings.Repeat("|---", 10+2*count(w.Delay > 0))+"|")
	for _, s := range w.Subjects {
		if runs := r.runs(w.Name, s.Name()); len(runs) > 0 {
			r.row(b, w, s, runs)
		}
	}
	r.services(b, w)
	r.memory(b, w)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// bareOf is the loop that a subject is compared with: the one of its width, where loops
// have widths.
func bareOf(w Workload, s Subject) string {
	width := 0
	if slices.ContainsFunc(w.Subjects, func(o Subject) bool { return o.Kind == Bare && o.Width == s.Width }) {
		width = s.Width
	}
	return Subject{Kind: Bare, Width: width}.Name()
}

func (r *Report) row(b *strings.Builder, w Workload, s Subject, runs []Run) {
	of := func(f func(Run) float64, digits int) string { return measure.Spread(values(runs, f), digits) }
	middle := func(f func(Run) float64, digits int) string {
		return fmt.Sprintf("%.*f", digits, measure.Median(values(runs, f)))
	}
	fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s", s.Name(), len(runs), of(Run.rate, 0), of(Run.cpuPage, 3),
		measure.Spread(r.Ratio(w.Name, s.Name(), bareOf(w, s)), 2), of(Run.peak, 0))
	if measure.Median(values(runs, func(r Run) float64 { return r.Mallocs })) > 0 {
		fmt.Fprintf(b, " | %s, %s", middle(func(r Run) float64 { return r.Mallocs }, 0), middle(func(r Run) float64 { return r.AllocBytes / 1024 }, 0))
	} else {
		b.WriteString(" | ") // the runs were too short for two looks
	}
	fmt.Fprintf(b, " | %s, %s", middle(func(r Run) float64 { return r.Kept / 1024 }, 1), middle(func(r Run) float64 { return r.Written / 1024 }, 1))
	fmt.Fprintf(b, " | %s", middle(func(r Run) float64 { return r.Flushes }, 0))
	if runs[0].P50 > 0 {
		fmt.Fprintf(b, " | %s, %s |", middle(func(r Run) float64 { return 1000 * r.P50 }, 0), middle(func(r Run) float64 { return 1000 * r.P99 }, 0))
	} else {
		b.WriteString(" | |")
	}
	if w.Delay > 0 {
		fmt.Fprintf(b, " %s | %s ms |", of(func(r Run) float64 { return r.Score }, 3), middle(func(r Run) float64 { return 1000 * r.MinGap.Seconds() }, 1))
	}
	b.WriteString("\n")
}

func values(runs []Run, f func(Run) float64) []float64 {
	var out []float64
	for _, run := range runs {
		out = append(out, f(run))
	}
	return out
}

// services tells where the CPU and the memory go when they are processes.
func (r *Report) services(b *strings.Builder, w Workload) {
	names := map[string]bool{}
	for _, s := range w.Subjects {
		for _, run := range r.runs(w.Name, s.Name()) {
			if len(run.CPU) > 1 {
				for name := range run.CPU {
					names[name] = true
				}
			}
		}
	}
	if len(names) == 0 {
		return
	}
	columns := slices.Sorted(maps.Keys(names))
	fmt.Fprintf(b, "\nCPU ms a page, peak MiB by service:\n\n| crawler | %s |\n%s|\n", strings.Join(columns, " | "), strings.Repeat("|---", 1+len(columns)))
	for _, s := range w.Subjects {
		runs := r.runs(w.Name, s.Name())
		if len(runs) == 0 || len(runs[0].CPU) < 2 {
			continue
		}
		fmt.Fprintf(b, "| %s ", s.Name())
		for _, name := range columns {
			fmt.Fprintf(b, "| %.3f, %.0f ", measure.Median(values(runs, func(run Run) float64 { return 1000 * run.CPU[name] / float64(run.Pages) })),
				measure.Median(values(runs, func(run Run) float64 { return float64(run.PeakMiB[name]) })))
		}
		b.WriteString("|\n")
	}
}

// memory tells how it grows with the pages.
func (r *Report) memory(b *strings.Builder, w Workload) {
	runs := r.runs(w.Name, Subject{Kind: Embedded}.Name())
	if w.total() < 50_000 || len(runs) == 0 {
		return
	}
	b.WriteString("\nMemory of Weir embedded, MiB after so many pages:")
	for _, share := range []int{10, 25, 50, 75, 99} {
		at := w.total() * share / 100
		if held := values(runs, func(run Run) float64 { return run.heldAt(at) }); measure.Median(held) > 0 {
			fmt.Fprintf(b, " %d: %s;", at, measure.Spread(held, 0))
		}
	}
	b.WriteString("\n")
}

func (r *Report) failures(b *strings.Builder) {
	head := "\n## Runs that do not count\n\n"
	for _, run := range r.Runs {
		if run.Error != "" && !r.has(run.Workload, run.Subject, run.Round) {
			first, _, _ := strings.Cut(run.Error, "\n")
			fmt.Fprintf(b, "%s- %s, %s, round %d: %s\n", head, run.Workload, run.Subject, run.Round, first)
			head = ""
		}
	}
}
