// Package summary tells how a crawl stands or ended, for people and as JSON for
// programs.
package summary

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Summary is the JSON that `weir crawl --json` and `weir status --json` print.
// Its names are a contract with scripts: fields are only added.
type Summary struct {
	// Crawl is the id, Name the name for people.
	Crawl string `json:"crawl"`
	Name  string `json:"name"`
	// State in lower case: running, paused, closing, finished, cancelled, failed,
	// or interrupted for a `weir crawl` that was stopped.
	State string `json:"state"`
	// Reason of the state; empty for a crawl that visited everything.
	Reason string `json:"reason"`
	// DurationSeconds from the creation to the end, or to now.
	DurationSeconds float64 `json:"duration_seconds"`
	// Ledger accounts for every URL.
	Ledger Ledger `json:"ledger"`
	// Pages, Items, RejectedItems, Bytes and Fetches are the counters of the crawl.
	Pages         uint64 `json:"pages"`
	Items         uint64 `json:"items"`
	RejectedItems uint64 `json:"rejected_items"`
	Bytes         uint64 `json:"bytes"`
	Fetches       uint64 `json:"fetches"`
	// Statuses counts attempts by HTTP status, Errors failed attempts by class.
	Statuses map[string]uint64 `json:"statuses"`
	Errors   map[string]uint64 `json:"errors"`
	// DataDir is where everything is kept, Output the file of items, if one was
	// written.
	DataDir string `json:"data_dir,omitempty"`
	Output  string `json:"output,omitempty"`
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

// New summarises a crawl. now counts for one that has not ended.
func New(c *crawlv1.Crawl, now time.Time) Summary {
	st, l := c.GetStats(), c.GetStats().GetLedger()
	end := now
	if c.GetEndedAt() != nil {
		end = c.GetEndedAt().AsTime()
	}
	s := Summary{
		Crawl: c.GetId(), Name: c.GetSpec().GetName(), State: StateName(c.GetState()), Reason: c.GetReason(),
		Ledger: Ledger{
			Discovered: l.GetDiscovered(), Queued: l.GetQueued(), Leased: l.GetLeased(), Delayed: l.GetDelayed(),
			Done: l.GetDone(), Failed: l.GetFailed(), Dropped: map[string]uint64{},
		},
		Pages: st.GetPages(), Items: st.GetItems(), RejectedItems: st.GetRejectedItems(), Bytes: st.GetBytes(), Fetches: st.GetFetches(),
		Statuses: map[string]uint64{}, Errors: map[string]uint64{},
	}
	if c.GetCreatedAt() != nil {
		s.DurationSeconds = max(end.Sub(c.GetCreatedAt().AsTime()), 0).Round(time.Millisecond).Seconds()
	}
	maps.Copy(s.Ledger.Dropped, l.GetDropped())
	maps.Copy(s.Errors, st.GetErrors())
	for code, n := range st.GetStatuses() {
		s.Statuses[strconv.FormatUint(uint64(code), 10)] = n
	}
	return s
}

// StateName is a state in lower case: finished.
func StateName(s crawlv1.CrawlState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "CRAWL_STATE_"))
}

// Final reports whether a crawl in this state has ended.
func Final(s crawlv1.CrawlState) bool {
	switch s {
	case crawlv1.CrawlState_CRAWL_STATE_FINISHED, crawlv1.CrawlState_CRAWL_STATE_CANCELLED, crawlv1.CrawlState_CRAWL_STATE_FAILED:
		return true
	default:
		return false
	}
}

// OnlyDenied reports that nothing was had because addresses were not allowed:
// --allow-net is what the user lacks.
func (s Summary) OnlyDenied() bool {
	return s.Pages == 0 && s.Errors["address_denied"] > 0
}

// WriteJSON writes the summary as one JSON object, indented.
func (s Summary) WriteJSON(w io.Writer) error {
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

// WriteText writes the summary for people.
func (s Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	duration := time.Duration(s.DurationSeconds * float64(time.Second))
	fmt.Fprintf(&b, "%s %s\n", s.Name, s.headline(duration))
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	rate := ""
	if s.DurationSeconds > 0 {
		rate = fmt.Sprintf(" (%.1f/s)", float64(s.Pages)/s.DurationSeconds)
	}
	row("pages", "%s%s", Count(s.Pages), rate)
	if s.RejectedItems > 0 {
		row("items", "%s, and %s rejected: they lack a required field or do not fit their schema", Count(s.Items), Count(s.RejectedItems))
	} else {
		row("items", "%s", Count(s.Items))
	}
	row("bytes", "%s", Bytes(s.Bytes))
	l := s.Ledger
	var dropped uint64
	for _, n := range l.Dropped {
		dropped += n
	}
	row("urls", "%s discovered = %s queued + %s leased + %s delayed + %s done + %s failed + %s dropped",
		Count(l.Discovered), Count(l.Queued), Count(l.Leased), Count(l.Delayed), Count(l.Done), Count(l.Failed), Count(dropped))
	for _, m := range []struct {
		name   string
		counts map[string]uint64
	}{{"dropped", l.Dropped}, {"statuses", s.Statuses}, {"errors", s.Errors}} {
		if text := counts(m.counts); text != "" {
			row(m.name, "%s", text)
		}
	}
	if s.Output != "" {
		row("output", "%s", s.Output)
	}
	if s.DataDir != "" {
		row("data", "%s", s.DataDir)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline says how the crawl ended in a sentence.
func (s Summary) headline(d time.Duration) string {
	text := fmt.Sprintf("%s after %s", s.State, Duration(d))
	limit, isLimit := strings.CutPrefix(s.Reason, "limit:")
	switch {
	case isLimit:
		return text + ": it reached limits." + limit
	case s.State == "finished" && (s.Reason == "" || s.Reason == "done" || s.Reason == "complete"):
		return text + ": everything was visited"
	case s.Reason != "":
		return text + ": " + s.Reason
	default:
		return text
	}
}

// counts lists a map's entries by falling number.
func counts(m map[string]uint64) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			if m[a] > m[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, k := range keys {
		if m[k] > 0 {
			parts = append(parts, k+": "+Count(m[k]))
		}
	}
	return strings.Join(parts, ", ")
}
