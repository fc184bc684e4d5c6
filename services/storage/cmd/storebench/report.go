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
	// Load of the machine before the first turn.
	Load   string       `json:"load"`
	Rounds int          `json:"rounds"`
	Pages  int          `json:"pages"`
	Batch  int          `json:"batch"`
	Before int          `json:"before"`
	Cases  []*benchCase `json:"cases"`
}

// benchCase is something that pages were put into.
type benchCase struct {
	Name  string    `json:"name"`
	Turns []figures `json:"turns"`
}

// figures are those of a turn: CPU of this process and of the Server, in seconds.
type figures struct {
	Pages   int     `json:"pages"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	Server  float64 `json:"server"`
}

// write writes the report as JSON and Markdown and returns the file of the latter.
func (r *report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(dir, "store-"+r.At.Format("2006-01-02-1504")+"-"+r.Commit)
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	return base + ".md", os.WriteFile(base+".md", []byte(r.markdown()), 0o644)
}

// markdown is the report for people.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Catalogues, %s\n\n", r.At.UTC().Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "`%s` at %s. %s, %d cores, %d GiB, Linux %s, %s; load before: %s.\n\n", r.Command, r.Commit, r.Machine.CPU, r.Machine.Cores, r.Machine.MemoryGiB, r.Machine.Kernel, r.Machine.Go, r.Load)
	fmt.Fprintf(&b, "%d rounds of %d pages with %d items each, %d pages a commit, %d pages there before. All take turns in each round; median (range). Durable commits.\n\n", r.Rounds, r.Pages, perPage, r.Batch, r.Before)
	b.WriteString("| | CPU µs a page, this process | CPU µs a page, server | records/s |\n|---|---|---|---|\n")
	for _, c := range r.Cases {
		var cpu, server, rate []float64
		for _, f := range c.Turns {
			n := float64(f.Pages)
			cpu, server, rate = append(cpu, 1e6*f.CPU/n), append(server, 1e6*f.Server/n), append(rate, n/f.Seconds)
		}
		with := "-"
		if measure.Median(server) > 0 {
			with = measure.Spread(server, 0)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.Name, measure.Spread(cpu, 0), with, measure.Spread(rate, 0))
	}
	b.WriteString("\nA catalogue's figure has the look-up of what is known, the rows of pages and items with their indexes, the digests of contents and the sums. ")
	b.WriteString("The plain tables have the same rows and no index but their primary keys. The WARC files are counted apart: pages of 16 KiB, compressed by the fetcher.\n")
	return b.String()
}
