package spec

import (
	"time"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// maxRules bounds the priority rules, since each is tried on every link, and
// maxExpressions those that take more time than a pattern.
const (
	maxRules       = 1000
	maxExpressions = 64
)

// maxRecrawl bounds the time between two visits; ten years are never.
const maxRecrawl = 10 * 365 * 24 * time.Hour

func (c *checker) priorities(rules []*crawlv1.PriorityRule) {
	if len(rules) > maxRules {
		c.addf("priorities", "must not have more than %d rules, not %d", maxRules, len(rules))
		return
	}
	expressions := 0
	for i, r := range rules {
		path := index("priorities", i)
		if r.GetWhen() != "" || r.GetScore() != "" {
			if expressions++; expressions == maxExpressions+1 {
				c.addf(path, "is one rule too many with when or score; the most is %d", maxExpressions)
			}
		}
		if r.GetMatch() != "" {
			c.pattern(path+".match", r.GetMatch())
		}
		c.expression(path+".when", r.GetWhen(), true)
		c.expression(path+".score", r.GetScore(), false)
		if r.GetScore() != "" && r.GetPriority() != 0 {
			c.addf(path, "has both priority and score; give one")
		}
		if p := r.GetPriority(); p < -maxPriority || p > maxPriority {
			c.addf(path+".priority", "must be between %d and %d, not %d", -maxPriority, maxPriority, p)
		}
	}
}

func (c *checker) expression(path, text string, condition bool) {
	if text == "" {
		return
	}
	if _, err := compileExpression(text, condition); err != nil {
		c.addf(path, "%s", err)
	}
}

func (c *checker) recrawl(r *crawlv1.Recrawl) {
	if r == nil {
		return
	}
	if r.GetEvery() == nil {
		c.addf("recrawl.every", "is required: the time from one visit of a page to the next, such as 24h")
	}
	c.duration("recrawl.every", r.GetEvery(), time.Second, maxRecrawl)
	c.duration("recrawl.min", r.GetMin(), time.Second, maxRecrawl)
	c.duration("recrawl.max", r.GetMax(), time.Second, maxRecrawl)
	if !r.GetAdaptive() && (r.GetMin() != nil || r.GetMax() != nil) {
		c.addf("recrawl", "min and max need adaptive: true")
	}
	every := r.GetEvery().AsDuration()
	if every <= 0 {
		return
	}
	if d := r.GetMin(); d != nil && d.AsDuration() > every {
		c.addf("recrawl.min", "must not be more than every (%s)", formatDuration(every))
	}
	if d := r.GetMax(); d != nil && d.AsDuration() < every {
		c.addf("recrawl.max", "must not be less than every (%s)", formatDuration(every))
	}
}

func (c *checker) traps(t *crawlv1.Traps) {
	// More than a URL can hold is a mistake, and 0 is written for no bound.
	c.between("traps.path_repeats", uint64(t.GetPathRepeats()), 0, 1000)
	c.between("traps.path_segments", uint64(t.GetPathSegments()), 0, 4096)
}
