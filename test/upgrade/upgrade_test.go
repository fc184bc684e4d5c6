package upgrade

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/test/driver"
)

var (
	long = flag.Bool("long", false, "run the forms that take minutes")
	// bin are the programs, built once by TestMain.
	bin = new(driver.Binaries)
)

func TestMain(m *testing.M) { os.Exit(driver.RunTests(m, bin)) }

// release is the program of the release before.
func release(t *testing.T) string {
	t.Helper()
	commit, err := driver.Previous(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	weir, err := driver.BuildAt(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	return weir
}

// TestRolling replaces the services of a cluster one by one during a crawl: all are the
// release before, then all are this version, then all the release before again. The
// orders are such that each pair of services meets in both mixtures. No page is asked
// for twice, none is lost, and each has its item once.
func TestRolling(t *testing.T) {
	old := release(t)
	for _, tt := range []struct {
		name        string
		shared      bool
		forth, back string
	}{
		{"local stores", false,
			"scheduler fetcher-1 storage parser-1 fetcher-2 parser-2",
			"fetcher-2 scheduler parser-1 storage parser-2 fetcher-1"},
		{"PostgreSQL", true,
			"storage-1 scheduler-2 parser-1 fetcher-1 scheduler-1 fetcher-2 storage-2 parser-2",
			"fetcher-1 storage-2 scheduler-1 parser-2 storage-1 parser-1 scheduler-2 fetcher-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := driver.Limit(t, 10*time.Minute)
			cfg := driver.ClusterConfig{Fetchers: 2, Parsers: 2}
			if tt.shared {
				server := pgtest.Start(t, pgtest.Options{})
				cfg.Schedulers, cfg.Store = 2, server.Database(t)
				cfg.Storages, cfg.Catalogue = 2, server.Database(t)
			}
			sub := newSubject(t)
			dir := filepath.Join(t.TempDir(), "cluster")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			before := *bin
			before.Weir = old
			c, err := driver.StartCluster(ctx, before, dir, cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			id, err := c.Submit(ctx, sub.job)
			if err != nil {
				t.Fatal(err)
			}
			type step struct{ name, weir string }
			var steps []step
			for _, name := range strings.Fields(tt.forth) {
				steps = append(steps, step{name, bin.Weir})
			}
			for _, name := range strings.Fields(tt.back) {
				steps = append(steps, step{name, old})
			}
			for i, s := range steps {
				sub.reached(ctx, t, len(sub.pages)*(i+1)/(len(steps)+2))
				if err := c.Proc(s.name).Stop(30 * time.Second); err != nil {
					t.Fatal(err)
				}
				c.Use(s.name, s.weir)
				if err := c.Start(s.name); err != nil {
					t.Fatal(err)
				}
				if err := c.Ready(ctx, s.name); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d processes replaced", len(steps))
			res, err := c.Finish(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			sub.check(t, res)
		})
	}
}

// TestDataDirectory goes on with a crawl by turns with the two programs on the same data
// directory.
func TestDataDirectory(t *testing.T) {
	old := release(t)
	ctx := driver.Limit(t, 10*time.Minute)
	sub := newSubject(t)
	r, err := driver.NewRun(*bin, t.TempDir(), sub.job)
	if err != nil {
		t.Fatal(err)
	}
	r.Use(old)
	p, err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	for i, weir := range []string{bin.Weir, old, bin.Weir} {
		sub.reached(ctx, t, len(sub.pages)*(i+1)/5)
		if err := p.Stop(30 * time.Second); err != nil {
			t.Fatal(err)
		}
		r.Use(weir)
		if p, err = r.Start("--resume"); err != nil {
			t.Fatal(err)
		}
	}
	res, err := r.Finish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res)
}

// TestServerDirectory opens the directory of a server of the release before, with a
// crawl that is over and one that waits for seeds, and goes back to it.
func TestServerDirectory(t *testing.T) {
	old := release(t)
	ctx := driver.Limit(t, 10*time.Minute)
	sub := newSubject(t)
	before, dir := *bin, t.TempDir()
	before.Weir = old
	s, err := driver.StartServer(ctx, before, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	id, err := s.Submit(ctx, sub.job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Weir(ctx, "wait", id); err != nil {
		t.Fatal(err)
	}
	open, err := s.Open(ctx, driver.Job{Spec: strings.Replace(sub.job.Spec, "name: upgrade", "name: open", 1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, weir := range []string{bin.Weir, old} {
		if err := s.Proc().Stop(30 * time.Second); err != nil {
			t.Fatal(err)
		}
		s.Use(weir)
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		sum, err := s.Status(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		items, err := s.Weir(ctx, "items", id)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(items, "\n"); sum.State != "finished" || n != len(sub.pages) {
			t.Errorf("the crawl is %s with %d items, want finished with %d", sum.State, n, len(sub.pages))
		}
		if _, err := s.Weir(ctx, "add", open, sub.pages[1]); err != nil {
			t.Error(err)
		}
	}
}

// subject is a site and the job of crawling it.
type subject struct {
	site  *driver.Site
	job   driver.Job
	pages []string
}

func newSubject(t *testing.T) subject {
	t.Helper()
	// The latency keeps the short form going long enough to be met in the middle.
	perHost, latency := 200, "50ms"
	if *long {
		perHost, latency = 2000, "10ms"
	}
	s, err := driver.StartSite(t.Context(), *bin, t.TempDir(), "-hosts", "4", "-pages", fmt.Sprint(perHost), "-links", "20", "-page-bytes", "8192", "-cross-every", "4", "-latency", latency)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	sub := subject{site: s}
	sub.job.Spec = "name: upgrade\nseeds:\n  urls: [" + strings.Join(s.Info.Seeds, ", ") + "]\npoliteness: {delay: 0s, concurrency_per_host: 4}\n"
	for _, root := range s.Info.Seeds {
		sub.pages = append(sub.pages, root)
		for i := 1; i < perHost; i++ {
			sub.pages = append(sub.pages, fmt.Sprintf("%sp/%d", root, i))
		}
	}
	return sub
}

// reached waits until the site has been asked for n pages.
func (s subject) reached(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	err := driver.Await(ctx, fmt.Sprintf("request %d", n), func() (bool, error) {
		stats, err := s.site.Stats(ctx)
		return stats.Total() >= n, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// check compares the end of a crawl with the site: every page once, here and there.
func (s subject) check(t *testing.T, res driver.Result) {
	t.Helper()
	want := make(map[string]int, len(s.pages))
	for _, u := range s.pages {
		want[u] = 1
	}
	if diff := cmp.Diff(want, driver.CountURLs(res.Items)); diff != "" {
		t.Errorf("items (-want +got):\n%.2000s", diff)
	}
	stats, err := s.site.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stats.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%.2000s", diff)
	}
	if err := res.Summary.Ledger.Balance(); err != nil || res.Summary.State != "finished" {
		t.Errorf("%v; summary %+v", err, res.Summary)
	}
}
