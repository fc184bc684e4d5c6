package scheduler

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// TestSitemapsOfRobots: sitemaps that a robots.txt names are visited like seeds, if
// the crawl wants them.
func TestSitemapsOfRobots(t *testing.T) {
	t.Parallel()
	const site = "http://site.example"
	for _, c := range []struct {
		name  string
		parse *crawlv1.Parse
		want  []string
	}{
		{"by default", nil, []string{site + "/0", site + "/a.xml", site + "/b.xml"}},
		{"not wanted", &crawlv1.Parse{Sitemaps: proto.Bool(false)}, []string{site + "/0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
				if ref.GetKind() == crawlv1.TaskKind_TASK_KIND_ROBOTS {
					return &crawlv1.Result{Status: 200, Robots: []byte("Sitemap: /a.xml\nSitemap: http://site.example/b.xml\nSitemap: http://other.example/c.xml\n" +
						"Sitemap: /robots.txt\nSitemap: mailto:x\nUser-agent: *\nDisallow: /secret\n")}
				}
				return &crawlv1.Result{Status: 200}
			})
			w.run(1)
			s := testSpec("sitemaps", site+"/0")
			s.Politeness.ObeyRobots, s.Parse = proto.Bool(true), c.parse
			balanced(t, b.wait(t, b.create(t, s, true).GetId()))
			var got []string
			for u := range w.visited() {
				if u != site+"/robots.txt" {
					got = append(got, u)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("visited (-want +got):\n%s", diff)
			}
		})
	}
}
