package spec

import crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"

func (c *checker) parse(s *crawlv1.Parse) {
	c.kinds("parse.follow", s.GetFollow())
	switch p := s.GetDuplicatePriority(); {
	case p < -maxPriority || p > maxPriority:
		c.addf("parse.duplicate_priority", "must be between %d and %d, not %d", -maxPriority, maxPriority, p)
	case p != 0 && s.GetText() <= crawlv1.TextForm_TEXT_FORM_NONE:
		c.addf("parse.duplicate_priority", "needs parse.text: plain or markdown, for duplicates to be known")
	}
}

func (c *checker) follow(rules []*crawlv1.FollowRule) {
	for i, r := range rules {
		path := index("follow", i)
		if r.GetMatch() != "" {
			c.pattern(path+".match", r.GetMatch())
		}
		if r.GetLinks() != "" {
			c.pattern(path+".links", r.GetLinks())
		}
		if r.GetCss() != "" && r.GetXpath() != "" {
			c.addf(path, "has both css and xpath; give one")
		}
		if p := r.GetPriority(); p < -maxPriority || p > maxPriority {
			c.addf(path+".priority", "must be between %d and %d, not %d", -maxPriority, maxPriority, p)
		}
		if r.GetNofollow() && (r.GetPagination() || r.Priority != nil || r.MaxDepth != nil) {
			c.addf(path, "forbids its links: priority, max_depth and pagination say nothing then")
		}
		c.kinds(path+".kinds", r.GetKinds())
	}
}

func (c *checker) kinds(path string, kinds []crawlv1.LinkKind) {
	for i, k := range kinds {
		if k == crawlv1.LinkKind_LINK_KIND_UNSPECIFIED {
			c.addf(index(path, i), "must be one of the kinds of links")
			continue
		}
		c.enum(index(path, i), int32(k), crawlv1.LinkKind_name)
	}
}
