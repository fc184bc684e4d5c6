package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	capacityFile = "results/capacity.json"
	capacityDoc  = "../../docs/capacity.md"
)

// TestCapacity: the tables of the document are those of the file of costs, and its costs
// are those of the report that it names.
func TestCapacity(t *testing.T) {
	t.Parallel()
	c, err := LoadCapacity(capacityFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(capacityDoc)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), capacityBegin+c.Markdown()+capacityEnd) {
		t.Errorf("%s is stale: run make capacity", capacityDoc)
	}
	data, err := os.ReadFile(filepath.Join("results", c.Report))
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	again, err := NewCapacity(&r, c.Report, c)
	if err != nil {
		t.Fatal(err)
	}
	if again.Markdown() != c.Markdown() {
		t.Errorf("the costs are not those of %s: run make capacity", c.Report)
	}
	if c.Busy <= 0 || c.Busy > 1 || c.FrontierBytes["pebble"] <= 0 || c.FrontierBytes["postgres"] <= 0 || c.Database.Archive <= 0 || c.Database.BusIn <= 0 {
		t.Errorf("costs are missing: %+v", c)
	}
}

// TestModel: the arithmetic, with round figures.
func TestModel(t *testing.T) {
	t.Parallel()
	c := Capacity{
		Report: "r.json", PageKiB: 16, Links: 40, Busy: 0.5, Replicas: 3, FrontierBytes: map[string]float64{"pebble": 50, "postgres": 400},
		Database: Costs{
			CPU: map[string]float64{"nats": 0.2, "fetcher": 0.1, "postgres": 0.1}, BusMessages: 5, BusIn: 20_000, BusOut: 40_000, Archive: 8000, Catalogue: 600,
		},
	}
	got := c.Markdown()
	for _, want := range []string{
		"| pages/s | fetcher | nats | postgres | together |",
		"| 1,000 | 0.2 | 1.2 | 0.2 | 1.6 |", // 1,000 pages/s at 0.1 ms are a tenth of a core, at half use two; NATS three times
		"| 1,000 | 5,000 | 20 MB/s | 40 MB/s | 40 MB/s | 16.4 MB/s | 8 MB/s | 691 GB |",
		"| 1,000,000,000 | 50 GB | 400 GB | 600 GB | 8 TB | 115.7 days | 11.6 days | 1.2 days |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
