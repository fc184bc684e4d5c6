package scheduler

import (
	"github.com/weircrawl/weir/internal/robots"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// maxSitemaps bounds the sitemaps of one robots.txt; sites with more have an index.
const maxSitemaps = 1000

// sitemapsOf returns the sitemaps that a robots.txt names, as far as the crawl
// wants them and they are in its scope. Like seeds they have depth 0.
func sitemapsOf(c *spec.Compiled, self weburl.URL, m *crawlv1.Result) []frontier.Candidate {
	if len(m.GetRobots()) == 0 || !c.Spec.GetParse().GetSitemaps() {
		return nil
	}
	lines := robots.Parse(m.GetRobots()).Sitemaps()
	if len(lines) == 0 {
		return nil
	}
	base, err := c.Canon.Base(self.String())
	if err != nil {
		return nil
	}
	var out []frontier.Candidate
	for _, line := range lines[:min(len(lines), maxSitemaps)] {
		u, err := base.Resolve(line)
		if err != nil || u == self || !c.Scope.Judge(u, 0).Accept {
			continue
		}
		out = append(out, frontier.Candidate{URL: u, Priority: c.Priority(u, 0), Mode: frontier.ModePlain})
	}
	return out
}
