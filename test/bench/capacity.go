package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weircrawl/weir/internal/testkit/measure"
)

// Capacity is what a page costs, and what is built on it. Its file is made of a ring
// report by NewCapacity, save for what that does not measure.
type Capacity struct {
	// Report is the file of the ring report, Load what was going on when it was made.
	Report string `json:"report"`
	Load   string `json:"load"`
	// Page is its site's size of a page in KiB, Links its links.
	PageKiB int `json:"page_kib"`
	Links   int `json:"links"`
	// Folder is the ring whose one scheduler and storage have folders of their own,
	// Database the one with PostgreSQL.
	Folder   Costs `json:"folder"`
	Database Costs `json:"database"`
	// FrontierBytes of a URL at 10 M URLs, by store, and where that was measured.
	FrontierBytes  map[string]float64 `json:"frontier_bytes_a_url"`
	FrontierSource string             `json:"frontier_source"`
	// Busy is the share of a processor that may be in use on average: the rest is for
	// bursts, retries and a process that is gone.
	Busy float64 `json:"busy"`
	// Replicas of the streams.
	Replicas int `json:"replicas"`
}

// Costs of a page.
type Costs struct {
	// CPU milliseconds by service, PeakMiB of each.
	CPU     map[string]float64 `json:"cpu_ms"`
	PeakMiB map[string]float64 `json:"peak_mib"`
	// BusMessages into the NATS server, BusIn and BusOut bytes.
	BusMessages float64 `json:"bus_messages"`
	BusIn       float64 `json:"bus_in_bytes"`
	BusOut      float64 `json:"bus_out_bytes"`
	// Kept bytes on the disk, and Written: what the processes have had written to it, those
	// of PostgreSQL left out.
	Kept    float64 `json:"kept_bytes"`
	Written float64 `json:"written_bytes"`
	// Archive bytes, and those of the catalogue's database; 0 where there is none.
	Archive   float64 `json:"archive_bytes"`
	Catalogue float64 `json:"catalogue_bytes"`
}

// capacityWorkload is the one whose costs count.
const capacityWorkload = "hosts4"

// NewCapacity takes the costs of a report; old has what is not measured there.
func NewCapacity(r *Report, file string, old Capacity) (Capacity, error) {
	c := old
	c.Report, c.Load = filepath.Base(file), r.loads()
	for _, w := range r.Workloads {
		if w.Name == capacityWorkload {
			c.PageKiB, c.Links = w.PageBytes>>10, w.Links
		}
	}
	var err error
	if c.Folder, err = r.costs(Subject{Kind: Split}); err != nil {
		return c, err
	}
	c.Database, err = r.costs(Subject{Kind: Postgres})
	return c, err
}

// costs are the medians of the runs of a subject.
func (r *Report) costs(s Subject) (Costs, error) {
	runs := r.runs(capacityWorkload, s.Name())
	if len(runs) == 0 {
		return Costs{}, fmt.Errorf("no run of %s, %s counts", capacityWorkload, s.Name())
	}
	of := func(f func(Run) float64) float64 { return round(measure.Median(values(runs, f))) }
	c := Costs{
		CPU: map[string]float64{}, PeakMiB: map[string]float64{},
		BusMessages: of(func(r Run) float64 { return r.BusMessages }), BusIn: of(func(r Run) float64 { return r.BusIn }),
		BusOut: of(func(r Run) float64 { return r.BusOut }), Archive: of(func(r Run) float64 { return r.Archive }),
		Catalogue: of(func(r Run) float64 { return r.Catalogue }),
		Kept:      of(func(r Run) float64 { return r.Kept }), Written: of(func(r Run) float64 { return r.Written }),
	}
	for name := range runs[0].CPU {
		c.CPU[name] = of(func(r Run) float64 { return 1000 * r.CPU[name] / float64(r.Pages) })
		c.PeakMiB[name] = of(func(r Run) float64 { return float64(r.PeakMiB[name]) })
	}
	return c, nil
}

// round to four digits.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// LoadCapacity reads a file.
func LoadCapacity(file string) (c Capacity, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("capacity: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("capacity: %s: %w", file, err)
	}
	return c, nil
}

// total CPU of a page in milliseconds.
func (c Costs) total() (sum float64) {
	for _, v := range c.CPU {
		sum += v
	}
	return sum
}

// services in the order of a page's way.
func (c Costs) services() []string {
	way := []string{"scheduler", "fetcher", "parser", "storage", "nats", "postgres"}
	return slices.SortedFunc(maps.Keys(c.CPU), func(a, b string) int { return slices.Index(way, a) - slices.Index(way, b) })
}

// rates and sizes that the tables are about.
func rates() []float64 { return []float64{100, 1000, 10_000} }
func sizes() []float64 { return []float64{100e6, 1e9} }

// Markdown renders the tables.
func (c Capacity) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Costs of a page of %d KiB with %d links, measured in [%s](../test/bench/results/%s) (load %s before its runs), as processes on one core:\n\n",
		c.PageKiB, c.Links, c.Report, strings.TrimSuffix(c.Report, ".json")+".md", c.Load)
	c.costs(&b)
	fmt.Fprintf(&b, "\nProcessors, with %.0f %% of each in use, NATS with %d replicas of every stream (each replica does the work of one server), "+
		"frontier and catalogue in PostgreSQL:\n\n", 100*c.Busy, c.Replicas)
	c.cores(&b)
	fmt.Fprintf(&b, "\nWhat one processor does when it does nothing else, pages/s: a NATS server %.0f, a scheduler %.0f, a storage %.0f, a fetcher %.0f, a parser %.0f.\n",
		1000/c.Database.CPU["nats"], 1000/c.Database.CPU["scheduler"], 1000/c.Database.CPU["storage"], 1000/c.Database.CPU["fetcher"], 1000/c.Database.CPU["parser"])
	fmt.Fprintf(&b, "With folders, %s a page are kept on the disk and %s are written to it: the streams' files, and stores that rewrite.\n",
		bytes(c.Folder.Kept), bytes(c.Folder.Written))
	b.WriteString("\nWhat travels and what is kept, at these rates:\n\n")
	c.flows(&b)
	fmt.Fprintf(&b, "\nA crawl of so many URLs, all of them pages like these (bytes of a URL in the frontier: %s):\n\n", c.FrontierSource)
	c.crawls(&b)
	return b.String()
}

func (c Capacity) costs(b *strings.Builder) {
	names := c.Database.services()
	fmt.Fprintf(b, "| | %s | together |\n%s|\n", strings.Join(names, " | "), strings.Repeat("|---", 2+len(names)))
	for _, row := range []struct {
		what  string
		costs Costs
	}{{"CPU ms, frontier and catalogue in folders", c.Folder}, {"CPU ms, in PostgreSQL", c.Database}} {
		fmt.Fprintf(b, "| %s ", row.what)
		for _, name := range names {
			fmt.Fprintf(b, "| %.3f ", row.costs.CPU[name])
		}
		fmt.Fprintf(b, "| %.3f |\n", row.costs.total())
	}
	fmt.Fprint(b, "| memory of one process, MiB ")
	for _, name := range names {
		fmt.Fprintf(b, "| %.0f ", c.Database.PeakMiB[name])
	}
	b.WriteString("| |\n")
}

// need is how many processors a rate needs of a service.
func (c Capacity) need(service string, rate float64) float64 {
	cores := rate * c.Database.CPU[service] / 1000 / c.Busy
	if service == "nats" {
		cores *= float64(c.Replicas)
	}
	return cores
}

func (c Capacity) cores(b *strings.Builder) {
	names := c.Database.services()
	fmt.Fprintf(b, "| pages/s | %s | together |\n%s|\n", strings.Join(names, " | "), strings.Repeat("|---", 2+len(names)))
	for _, rate := range rates() {
		fmt.Fprintf(b, "| %s ", number(rate))
		sum := 0.0
		for _, name := range names {
			fmt.Fprintf(b, "| %.1f ", c.need(name, rate))
			sum += c.need(name, rate)
		}
		fmt.Fprintf(b, "| %.1f |\n", sum)
	}
}

func (c Capacity) flows(b *strings.Builder) {
	d := c.Database
	b.WriteString("| pages/s | messages into NATS a second | into NATS | out of NATS | between its servers | from the sites | into the archive | a day of archive |\n|---|---|---|---|---|---|---|---|\n")
	for _, rate := range rates() {
		fmt.Fprintf(b, "| %s | %s | %s/s | %s/s | %s/s | %s/s | %s/s | %s |\n", number(rate), number(rate*d.BusMessages),
			bytes(rate*d.BusIn), bytes(rate*d.BusOut), bytes(rate*d.BusIn*float64(c.Replicas-1)),
			bytes(rate*float64(c.PageKiB)*1024), bytes(rate*d.Archive), bytes(86400*rate*d.Archive))
	}
}

func (c Capacity) crawls(b *strings.Builder) {
	b.WriteString("| URLs | frontier in a folder | frontier in PostgreSQL | catalogue in PostgreSQL | archive | at 100 pages/s | at 1,000 | at 10,000 |\n|---|---|---|---|---|---|---|---|\n")
	for _, n := range sizes() {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s ", number(n), bytes(n*c.FrontierBytes["pebble"]), bytes(n*c.FrontierBytes["postgres"]),
			bytes(n*c.Database.Catalogue), bytes(n*c.Database.Archive))
		for _, rate := range rates() {
			fmt.Fprintf(b, "| %.1f days ", n/rate/86400)
		}
		b.WriteString("|\n")
	}
}

// number with a comma every three digits.
func number(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytes in a unit that suits them.
func bytes(v float64) string {
	for _, unit := range []string{"B", "KB", "MB", "GB", "TB"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3g PB", v)
}

// Marks around the tables in the document.
const (
	capacityBegin = "<!-- tables: make capacity -->\n"
	capacityEnd   = "<!-- end of the tables -->\n"
)

// WriteCapacity takes the costs of a report into the file of costs and puts the tables
// into the document.
func WriteCapacity(report, file, document string) error {
	data, err := os.ReadFile(report)
	if err != nil {
		return fmt.Errorf("capacity: %w", err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("capacity: %s: %w", report, err)
	}
	c, err := LoadCapacity(file)
	if err != nil {
		return err
	}
	if c, err = NewCapacity(&r, report, c); err != nil {
		return fmt.Errorf("capacity: %s: %w", report, err)
	}
	if data, err = json.MarshalIndent(c, "", " "); err != nil {
		return fmt.Errorf("capacity: %w", err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("capacity: %w", err)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return fmt.Errorf("capacity: %w", err)
	}
	before, rest, ok1 := strings.Cut(string(text), capacityBegin)
	_, after, ok2 := strings.Cut(rest, capacityEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("capacity: %s has no place for the tables", document)
	}
	text = []byte(before + capacityBegin + c.Markdown() + capacityEnd + after)
	if err := os.WriteFile(document, text, 0o644); err != nil {
		return fmt.Errorf("capacity: %w", err)
	}
	return nil
}
