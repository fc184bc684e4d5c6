package trial

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Rejected says why items of a page were rejected, a line for each that does not fit
// its schema and one for each rule whose items lack what s requires.
func Rejected(r *crawlv1.ParseResult, s *crawlv1.CrawlSpec) []string {
	var lines []string
	unfit := map[string]uint32{}
	for _, reject := range r.GetRejects() {
		var item struct {
			Reason string `json:"_reason"`
		}
		if err := json.Unmarshal(reject.GetJson(), &item); err != nil {
			item.Reason = err.Error()
		}
		unfit[reject.GetRule()]++
		lines = append(lines, reject.GetRule()+": "+item.Reason)
	}
	for _, counts := range r.GetRules() {
		// Of very many that do not fit, not all are told apart.
		n := counts.GetRejected()
		if missing := missing(counts, s); n > unfit[counts.GetRule()] && len(missing) > 0 {
			lines = append(lines, fmt.Sprintf("%s: %d without %s", counts.GetRule(), n-unfit[counts.GetRule()], strings.Join(missing, ", ")))
		}
	}
	return lines
}

// missing names the required fields of a rule that had no value somewhere on the page.
func missing(counts *crawlv1.RuleCounts, s *crawlv1.CrawlSpec) []string {
	i := slices.IndexFunc(s.GetExtract(), func(r *crawlv1.ExtractRule) bool { return r.GetName() == counts.GetRule() })
	if i < 0 {
		return nil
	}
	fields := s.GetExtract()[i].GetFields()
	var names []string
	for _, f := range counts.GetFields() {
		if fields[f.GetField()].GetRequired() && f.GetEmpty()+f.GetInvalid() > 0 {
			names = append(names, f.GetField())
		}
	}
	slices.Sort(names)
	return names
}

// Gaps names the fields that had no value where a rule looked for one, a line for each
// rule: those for which the page had nothing, and those whose text did not fit.
func Gaps(r *crawlv1.ParseResult) []string {
	var lines []string
	for _, counts := range r.GetRules() {
		var parts []string
		for _, f := range counts.GetFields() {
			if n := f.GetEmpty(); n > 0 {
				parts = append(parts, fmt.Sprintf("%s %d empty", f.GetField(), n))
			}
			if n := f.GetInvalid(); n > 0 {
				parts = append(parts, fmt.Sprintf("%s %d invalid", f.GetField(), n))
			}
		}
		if len(parts) > 0 {
			slices.Sort(parts)
			lines = append(lines, counts.GetRule()+": "+strings.Join(parts, ", "))
		}
	}
	return lines
}
