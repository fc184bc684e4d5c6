package loop

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLoops: what everything is compared with does the whole work, each page once.
func TestLoops(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "bodies.s2")
	for name, c := range map[string]struct {
		crawl func(context.Context, Options) (int, error)
		o     Options
	}{
		"bare":   {Bare, Options{Workers: 4}},
		"logged": {Bare, Options{Workers: 4, Log: log}},
		"colly":  {WithColly, Options{Workers: 4}},
		"gentle": {WithColly, Options{Workers: 4, Delay: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := site.Start(site.Config{Hosts: 3, Pages: 40, Links: 8, PageBytes: 2048, CrossEvery: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			c.o.Seeds = s.Seeds()
			n, err := c.crawl(t.Context(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int{}
			for _, u := range s.URLs() {
				want[u] = 1
			}
			if diff := cmp.Diff(want, s.Stats().Requests()); diff != "" || n != len(want) {
				t.Errorf("%d pages; requests (-want +got):\n%s", n, diff)
			}
			c.o.Seeds, c.o.Log = []string{s.Seeds()[0] + "nowhere"}, ""
			if _, err := c.crawl(t.Context(), c.o); err == nil {
				t.Error("a page that is not there is no error")
			}
		})
	}
	t.Cleanup(func() {
		if info, err := os.Stat(log); err != nil || info.Size() == 0 {
			t.Errorf("the log: %v, %v", info, err)
		}
	})
}
