package spec

import crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"

func (c *checker) parse(s *crawlv1.Parse) {
	c.kinds("parse.follow", s.GetFollow())
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
