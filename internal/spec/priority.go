package spec

import (
	"math"
	"slices"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// maxPriority bounds priorities in both directions.
const maxPriority = 1_000_000

// priorityRule gives URLs a priority; what is nil was not given.
type priorityRule struct {
	match       *crawl.Pattern
	when, score *expression
	priority    int32
}

func compilePriorities(rules []*crawlv1.PriorityRule) ([]priorityRule, error) {
	out := make([]priorityRule, len(rules))
	for i, r := range rules {
		path := index("priorities", i)
		p := &out[i]
		p.priority = r.GetPriority()
		var err error
		if r.GetMatch() != "" {
			if p.match, err = crawl.CompilePattern(r.GetMatch()); err != nil {
				return nil, crawl.Errorf(crawl.Invalid, "%s.match: %w", path, err)
			}
		}
		if r.GetWhen() != "" {
			if p.when, err = compileExpression(r.GetWhen(), true); err != nil {
				return nil, crawl.Errorf(crawl.Invalid, "%s.when: %w", path, err)
			}
		}
		if r.GetScore() != "" {
			if p.score, err = compileExpression(r.GetScore(), false); err != nil {
				return nil, crawl.Errorf(crawl.Invalid, "%s.score: %w", path, err)
			}
		}
	}
	return out, nil
}

// Priority of a canonical URL that is depth links from a seed: that of the last
// rule that applies, 0 without one. A rule whose expression fails on a URL, as
// segments[3] does on a short path, does not apply to it. Rules see the URL without
// its request.
func (c *Compiled) Priority(u weburl.URL, depth int) int32 {
	u = u.WithoutRequest()
	for i := range slices.Backward(c.priorities) {
		p := &c.priorities[i]
		switch {
		case p.match != nil && !p.match.Match(u.String()):
		case p.when != nil || p.score != nil:
			return c.evaluated(i, u, depth)
		default:
			return p.priority
		}
	}
	return 0
}

// evaluated is Priority from rule number last on backwards, for a URL that needs
// expressions.
func (c *Compiled) evaluated(last int, u weburl.URL, depth int) int32 {
	x := c.machines.get(u, depth)
	defer c.machines.put(x)
	for i := last; i >= 0; i-- {
		p := &c.priorities[i]
		if i < last && p.match != nil && !p.match.Match(u.String()) {
			continue
		}
		if priority, ok := p.evaluate(x); ok {
			return priority
		}
	}
	return 0
}

// evaluate runs a rule's expressions; ok says whether the rule applies.
func (p *priorityRule) evaluate(x *machine) (priority int32, ok bool) {
	if p.when != nil {
		v, ok := x.run(p.when)
		if applies, isBool := v.(bool); !ok || !isBool || !applies {
			return 0, false
		}
	}
	if p.score == nil {
		return p.priority, true
	}
	v, ok := x.run(p.score)
	f, isFloat := v.(float64)
	if !ok || !isFloat || math.IsNaN(f) {
		return 0, false
	}
	return int32(min(max(math.Round(f), -maxPriority), maxPriority)), true
}
