package driver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Summary is the JSON summary of a crawl, as interface and scripts know it.
type Summary struct {
	Crawl           string            `json:"crawl"`
	State           string            `json:"state"`
	Reason          string            `json:"reason"`
	DurationSeconds float64           `json:"duration_seconds"`
	Ledger          Ledger            `json:"ledger"`
	Pages           uint64            `json:"pages"`
	Items           uint64            `json:"items"`
	Bytes           uint64            `json:"bytes"`
	Statuses        map[string]uint64 `json:"statuses"`
	Errors          map[string]uint64 `json:"errors"`
	DataDir         string            `json:"data_dir"`
	Output          string            `json:"output"`
}

// Ledger is the account of a crawl's URLs.
type Ledger struct {
	Discovered uint64            `json:"discovered"`
	Queued     uint64            `json:"queued"`
	Leased     uint64            `json:"leased"`
	Delayed    uint64            `json:"delayed"`
	Done       uint64            `json:"done"`
	Failed     uint64            `json:"failed"`
	Dropped    map[string]uint64 `json:"dropped"`
}

// Balance returns an error when the ledger does not add up.
func (l Ledger) Balance() error {
	sum := l.Queued + l.Leased + l.Delayed + l.Done + l.Failed
	for _, n := range l.Dropped {
		sum += n
	}
	if sum != l.Discovered {
		return fmt.Errorf("ledger: discovered %d, but its parts are %d: %+v", l.Discovered, sum, l)
	}
	return nil
}

// ParseSummary reads a summary from what a command wrote.
func ParseSummary(stdout string) (Summary, error) {
	var s Summary
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		return s, fmt.Errorf("summary: %w in %q", err, stdout)
	}
	return s, nil
}

// Item is one line of an items file.
type Item map[string]any

// URL of the page that the item was made of.
func (i Item) URL() string { s, _ := i["_url"].(string); return s }

// Title of a default item.
func (i Item) Title() string { s, _ := i["title"].(string); return s }

// ReadItems reads a JSONL file.
func ReadItems(file string) ([]Item, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	defer f.Close()
	var out []Item
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 64<<20)
	for line := 1; sc.Scan(); line++ {
		var i Item
		if err := json.Unmarshal(sc.Bytes(), &i); err != nil {
			return nil, fmt.Errorf("items: %s:%d: %w", file, line, err)
		}
		out = append(out, i)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	return out, nil
}

// CountURLs counts items by URL.
func CountURLs(items []Item) map[string]int {
	out := make(map[string]int, len(items))
	for _, i := range items {
		out[i.URL()]++
	}
	return out
}
