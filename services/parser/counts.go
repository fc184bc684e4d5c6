package parser

import (
	"sync"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/drift"
)

// maxFieldSeries bounds the fields that have metrics of their own, three series
// each: whoever submits crawls names them. The rest is counted together.
const maxFieldSeries = 1000

// fieldSeries are the fields that have metrics of their own.
type fieldSeries struct {
	mu    sync.Mutex
	known map[drift.Field]bool
}

// of returns the labels of a field, by the name of its crawl.
func (s *fieldSeries) of(crawl, rule, field string) (string, string, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := drift.Field{Crawl: crawl, Rule: rule, Name: field}
	if !s.known[f] {
		if len(s.known) >= maxFieldSeries {
			return "other", "other", "other"
		}
		if s.known == nil {
			s.known = map[drift.Field]bool{}
		}
		s.known[f] = true
	}
	return crawl, rule, field
}

// countRules counts how the rules of a crawl did on a page, and warns of a field
// that is filled far less often than it was.
func (s *Service) countRules(c *readyCrawl, counts []*crawlv1.RuleCounts) {
	for _, r := range counts {
		for _, f := range r.GetFields() {
			crawl, rule, field := s.series.of(c.compiled.Spec.GetName(), r.GetRule(), f.GetField())
			for outcome, n := range map[string]uint32{"filled": f.GetFilled(), "empty": f.GetEmpty(), "invalid": f.GetInvalid()} {
				if n > 0 {
					s.m.fields.WithLabelValues(crawl, rule, field, outcome).Add(float64(n))
				}
			}
			state, changed := s.drift.Add(drift.Field{Crawl: c.compiled.ID, Rule: r.GetRule(), Name: f.GetField()}, drift.Counts{
				Filled: uint64(f.GetFilled()), Empty: uint64(f.GetEmpty()), Invalid: uint64(f.GetInvalid()),
			})
			if !changed {
				continue
			}
			s.m.fallen.Set(float64(s.drift.Fallen()))
			log := s.log.With("crawl", c.compiled.ID, "name", c.compiled.Spec.GetName(), "rule", r.GetRule(), "field", f.GetField())
			if state.Fallen {
				log.Warn("a field is filled far less often than it was: has the site changed?", "past", state.Past, "present", state.Present)
			} else {
				log.Info("a field is filled as often as it was", "past", state.Past, "present", state.Present)
			}
		}
	}
}
