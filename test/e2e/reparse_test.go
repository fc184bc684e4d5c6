package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// weir is a client of a server or a cluster.
type weir interface {
	Weir(ctx context.Context, args ...string) (string, error)
	Submit(ctx context.Context, job driver.Job) (string, error)
	Status(ctx context.Context, id string) (driver.Summary, error)
}

// serve starts Weir in a mode, for commands.
func serve(ctx context.Context, t *testing.T, mode driver.Mode, dir string) weir {
	t.Helper()
	if mode == driver.AllInOne {
		s, err := driver.StartServer(ctx, *bin, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	c, err := driver.StartCluster(ctx, *bin, dir, driver.ClusterConfig{Fetchers: 1, Parsers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var reparsed = regexp.MustCompile(`^(\d+) pages read by revision (\d+) in ([\d.]+)s; the crawl has (\d+) items\n$`)

// TestReparse: the stored pages of a crawl are read again by another spec, while the
// site, which has pages of another kind by then, sees no request.
func TestReparse(t *testing.T) {
	t.Parallel()
	n := 300
	if *long {
		n = 10_000
	}
	const before = "extract:\n  - {name: product, fields: {name: {css: h1}}}"
	const after = `extract:
  - name: product
    fields:
      name: {css: h1, required: true}
      number: {css: h1, regex: "Page ([0-9]+)", type: integer}
  - {name: price, match: "*/p/7", fields: {price: {css: p.price, type: number}}}`
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		ctx := driver.Limit(t, 20*time.Minute)
		s := startSite(t, "-pages", fmt.Sprint(n), "-links", "40", "-page-bytes", "8192")
		dir := t.TempDir()
		w := serve(ctx, t, mode, dir)
		id, err := w.Submit(ctx, driver.Job{Spec: specFor(s, fast, before)})
		if err != nil {
			t.Fatal(err)
		}
		run := func(args ...string) string {
			t.Helper()
			out, err := w.Weir(ctx, args...)
			if err != nil {
				t.Fatalf("weir %s: %v", strings.Join(args, " "), err)
			}
			return out
		}
		run("wait", id)
		requests := func() (n int) {
			t.Helper()
			st, err := s.Stats(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range st.Hosts {
				for _, k := range h.Requests {
					n += k
				}
			}
			return n
		}
		asked, log := requests(), run("pages", id, "--json")
		if err := s.Set(ctx, site.Behaviour{Routes: map[string]site.Route{"/p/7": {Body: "<h1>changed</h1>"}}}); err != nil {
			t.Fatal(err)
		}

		file := filepath.Join(dir, "next.yaml")
		writeFile(t, file, specFor(s, fast, after))
		m := reparsed.FindStringSubmatch(run("reparse", id, "--spec", file))
		if m == nil || m[1] != fmt.Sprint(n) || m[4] != fmt.Sprint(n+1) {
			t.Fatalf("reparse says %q", m)
		}
		seconds, _ := strconv.ParseFloat(m[3], 64)
		t.Logf("%s: %d pages read again in %ss, %.0f pages/s", mode, n, m[3], float64(n)/max(seconds, 0.1))

		items := exported(ctx, t, w, id, filepath.Join(dir, "again.jsonl"))
		var products []driver.Item
		for _, i := range items {
			if i["_rule"] == "price" {
				if i["price"] != 107.5 {
					t.Errorf("price %v", i)
				}
				continue
			}
			products = append(products, i)
			number := i.URL()[strings.LastIndexByte(i.URL(), '/')+1:]
			if number == "" {
				number = "0"
			}
			if fmt.Sprint(i["number"]) != number || !strings.HasPrefix(fmt.Sprint(i["name"]), "Page "+number+" of ") {
				t.Fatalf("item of an old revision: %v", i)
			}
		}
		wantOnce(t, "items", pages(s, n), driver.CountURLs(products))
		if got := m[4]; got != fmt.Sprint(len(items)) {
			t.Errorf("%d items exported, %s counted", len(items), got)
		}
		// The log has the same attempts, and the crawl is as it was.
		if got := run("pages", id, "--json"); strings.Count(got, "\n") != strings.Count(log, "\n") {
			t.Errorf("the log has %d lines, and had %d", strings.Count(got, "\n"), strings.Count(log, "\n"))
		}
		sum, err := w.Status(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if sum.State != "finished" || sum.Pages != uint64(n) || sum.Ledger.Done != uint64(n) || sum.Ledger.Leased != 0 {
			t.Errorf("the crawl is %+v", sum)
		}
		if out := run("reparse", id); !strings.HasPrefix(out, "0 pages read by revision "+m[2]+" ") {
			t.Errorf("once more: %s", out)
		}
		if got := requests(); got != asked {
			t.Errorf("the site had %d requests, and %d after the crawl", got, asked)
		}
	})
}

// exported are the items of a crawl as they are exported.
func exported(ctx context.Context, t *testing.T, w weir, id, file string) []driver.Item {
	t.Helper()
	if _, err := w.Weir(ctx, "export", id, "-o", file); err != nil {
		t.Fatal(err)
	}
	items, err := driver.ReadItems(file)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// TestReparseKilled: a server that is killed while it reads stored pages again goes on
// when it is there again, and so does the command; no page is left out or has items twice.
func TestReparseKilled(t *testing.T) {
	t.Parallel()
	const n = 1000
	ctx := driver.Limit(t, 10*time.Minute)
	s := startSite(t, "-pages", fmt.Sprint(n), "-links", "40", "-page-bytes", "8192")
	dir := t.TempDir()
	w, err := driver.StartServer(ctx, *bin, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	id, err := w.Submit(ctx, driver.Job{Spec: specFor(s, fast)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Weir(ctx, "wait", id); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "next.yaml")
	writeFile(t, file, specFor(s, fast, "extract:\n  - {name: product, fields: {name: {css: h1}}}"))
	client, err := w.Begin(nil, "reparse", id, "--spec", file)
	if err != nil {
		t.Fatal(err)
	}
	err = driver.Await(ctx, "some pages", func() (bool, error) {
		got, err := w.Metric(ctx, "weir_storage_records_total", `outcome="reread"`)
		return got >= 100, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Proc().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	code, err := client.Wait(ctx)
	if err != nil || code != 0 {
		t.Fatalf("reparse ended with %d, %v\n%s", code, err, client.Tail())
	}
	t.Logf("%s%s", client.Stderr(), client.Stdout())
	items := exported(ctx, t, w, id, filepath.Join(dir, "again.jsonl"))
	wantOnce(t, "items", pages(s, n), driver.CountURLs(items))
	for _, i := range items {
		if i["_rule"] != "product" {
			t.Fatalf("item of an old revision: %v", i)
		}
	}
	sum, err := w.Status(ctx, id)
	if err != nil || sum.Pages != n || sum.Ledger.Done != n || sum.State != "finished" {
		t.Errorf("the crawl is %+v, %v", sum, err)
	}
}
