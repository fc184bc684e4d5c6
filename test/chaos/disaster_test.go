//go:build long

package chaos

import (
	"context"
	"encoding/xml"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/internal/testkit/s3test"
	"github.com/weircrawl/weir/test/driver"
)

// The disasters of docs/operations.md, each in the middle of a crawl. What is promised
// there is checked here, and the figures there are from these logs.

// disaster is a crawl that something is taken from.
type disaster struct {
	*driver.Cluster
	sub subject
	id  string
}

func newDisaster(ctx context.Context, t *testing.T, cfg driver.ClusterConfig) *disaster {
	t.Helper()
	cfg.Fetchers, cfg.Parsers = 2, 2
	d := &disaster{Cluster: startCluster(t, cfg), sub: newSubject(t)}
	var err error
	if d.id, err = d.Submit(ctx, d.sub.job); err != nil {
		t.Fatal(err)
	}
	return d
}

// at waits until a tenth of the pages times n were asked for.
func (d *disaster) at(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	d.sub.reached(ctx, t, len(d.sub.pages)*n/10, func() bool { return true })
}

// away stops services, does something while they are away, and starts them again.
func (d *disaster) away(ctx context.Context, t *testing.T, names []string, do func()) {
	t.Helper()
	for _, name := range names {
		stop(ctx, t, d.Cluster, name)
	}
	do()
	for _, name := range names {
		if err := d.Start(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if err := d.Ready(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
}

// finish waits for the end and returns how many requests the disaster has cost.
func (d *disaster) finish(ctx context.Context, t *testing.T) (res driver.Result, again int) {
	t.Helper()
	began := time.Now()
	res, err := d.Finish(ctx, d.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Summary.Ledger.Balance(); err != nil || res.Summary.State != "finished" {
		t.Errorf("%s: %v", res.Summary.State, err)
	}
	stats, err := d.sub.site.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	again = stats.Total() - len(d.sub.pages)
	t.Logf("%d pages: %d requests again, %d items; over after another %.1f s; done %d, failed %d",
		len(d.sub.pages), again, len(res.Items), time.Since(began).Seconds(), res.Summary.Ledger.Done, res.Summary.Ledger.Failed)
	return res, again
}

// TestNATSLost takes all streams and buckets away: the frontier is the truth, and hands
// out again what was under way.
func TestNATSLost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		shared bool
	}{{"folder", false}, {"PostgreSQL", true}} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := driver.Limit(t, 15*time.Minute)
			cfg := driver.ClusterConfig{}
			if tt.shared {
				cfg.Schedulers, cfg.Store = 2, pgtest.Start(t, pgtest.Options{}).Database(t)
			}
			d := newDisaster(ctx, t, cfg)
			d.at(ctx, t, 5)
			if err := d.Proc("nats").Kill(); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(d.Dir, "nats")); err != nil {
				t.Fatal(err)
			}
			if err := d.Start("nats"); err != nil {
				t.Fatal(err)
			}
			if _, again := d.finish(ctx, t); again > 1024 {
				t.Errorf("%d requests again: more than can be under way", again)
			}
		})
	}
}

// TestFrontierRestored takes the frontier back to an earlier time. Visits since then are
// made again; storage knows them, so that no item is there twice.
func TestFrontierRestored(t *testing.T) {
	ctx := driver.Limit(t, 15*time.Minute)
	dsn := pgtest.Start(t, pgtest.Options{}).Database(t)
	d := newDisaster(ctx, t, driver.ClusterConfig{Schedulers: 2, Store: dsn})
	d.at(ctx, t, 3)
	backup := dump(ctx, t, dsn)
	d.at(ctx, t, 6)
	late, err := d.Submit(ctx, driver.Job{Spec: strings.Replace(d.sub.job.Spec, "name: chaos", "name: late", 1)})
	if err != nil {
		t.Fatal(err)
	}
	d.away(ctx, t, []string{"scheduler-1", "scheduler-2"}, func() { restore(ctx, t, dsn, backup) })
	if out, err := d.Weir(ctx, "status", late); err == nil {
		t.Errorf("the crawl that the backup does not have is there:\n%s", out)
	}
	fresh, err := d.Submit(ctx, driver.Job{Spec: strings.Replace(d.sub.job.Spec, "name: chaos", "name: fresh", 1)})
	if err != nil || fresh == late {
		t.Errorf("a crawl after the restore: %s, %v", fresh, err)
	}
	if _, err := d.Weir(ctx, "wait", fresh); err != nil {
		t.Error(err)
	}
	res, _ := d.finish(ctx, t)
	d.sub.once(t, res)
}

// TestCatalogueRestored takes the catalogue back to an earlier time: alone, which loses
// items, and together with a frontier that is older, which does not.
func TestCatalogueRestored(t *testing.T) {
	for _, tt := range []struct {
		name string
		both bool
	}{{"alone", false}, {"with the frontier", true}} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := driver.Limit(t, 15*time.Minute)
			server := pgtest.Start(t, pgtest.Options{})
			frontier, catalogue := server.Database(t), server.Database(t)
			d := newDisaster(ctx, t, driver.ClusterConfig{Schedulers: 1, Store: frontier, Storages: 1, Catalogue: catalogue})
			d.at(ctx, t, 3)
			first, second := dump(ctx, t, frontier), dump(ctx, t, catalogue)
			d.at(ctx, t, 6)
			names := []string{"storage-1"}
			if tt.both {
				names = append(names, "scheduler-1")
			}
			d.away(ctx, t, names, func() {
				restore(ctx, t, catalogue, second)
				if tt.both {
					restore(ctx, t, frontier, first)
				}
			})
			res, again := d.finish(ctx, t)
			aside, err := filepath.Glob(filepath.Join(d.Dir, "storage-1", "warc", "aside", "*"))
			if err != nil || len(aside) == 0 {
				t.Errorf("the records that the catalogue does not know are not set aside: %v", err)
			}
			t.Logf("%d files set aside", len(aside))
			if tt.both {
				d.sub.once(t, res)
				return
			}
			if again > 0 || len(res.Items) >= len(d.sub.pages) {
				t.Errorf("%d requests again, %d items: the frontier knows nothing of it", again, len(res.Items))
			}
		})
	}
}

// TestBucketLost takes all objects away from the archive.
func TestBucketLost(t *testing.T) {
	ctx := driver.Limit(t, 15*time.Minute)
	if err := s3test.Credentials(os.Setenv); err != nil {
		t.Fatal(err)
	}
	s3 := s3test.Start(t)
	t.Setenv("WEIR_STORAGE_ARCHIVE", s3.URL("archive"))
	d := newDisaster(ctx, t, driver.ClusterConfig{})
	d.at(ctx, t, 5)
	n := empty(ctx, t, s3.Endpoint()+"/"+s3test.Bucket)
	t.Logf("%d objects deleted", n)
	res, again := d.finish(ctx, t)
	d.sub.once(t, res)
	if again != 0 {
		t.Errorf("%d requests again", again)
	}
	_, err := d.Weir(ctx, "body", d.id, d.sub.pages[0])
	t.Logf("the body of a page: %v", err)
	if err == nil {
		t.Error("the body of the first page is there")
	}
	out, err := d.Weir(ctx, "storage", "check", "--data", filepath.Join(d.Dir, "storage"))
	t.Logf("weir storage check: %v\n%.1500s", err, tail(out))
	if err == nil {
		t.Error("weir storage check finds nothing missing")
	}
	d.away(ctx, t, []string{"storage"}, func() {})
	readable, asked := 0, 0
	for i := 0; i < len(d.sub.pages); i += len(d.sub.pages) / 50 {
		asked++
		if _, err := d.Weir(ctx, "body", d.id, d.sub.pages[i]); err == nil {
			readable++
		}
	}
	t.Logf("%d of %d bodies can be read after a restart", readable, asked)
	if readable == 0 || readable > asked*8/10 {
		t.Errorf("%d bodies can be read, want those of after the loss", readable)
	}
	out, err = d.Weir(ctx, "status", d.id)
	t.Logf("weir status: %v\n%s", err, out)
}

// TestStorageDirectoryLost takes the one storage's folder away: pages and items of before
// are gone, and the crawl goes on.
func TestStorageDirectoryLost(t *testing.T) {
	ctx := driver.Limit(t, 15*time.Minute)
	d := newDisaster(ctx, t, driver.ClusterConfig{})
	d.at(ctx, t, 5)
	d.away(ctx, t, []string{"storage"}, func() {
		if err := os.RemoveAll(filepath.Join(d.Dir, "storage")); err != nil {
			t.Fatal(err)
		}
	})
	if res, again := d.finish(ctx, t); again != 0 || len(res.Items) == 0 || len(res.Items) >= len(d.sub.pages) {
		t.Errorf("%d requests again, %d items", again, len(res.Items))
	}
}

// TestSchedulerDirectoryLost takes the one scheduler's folder away: its crawls are gone,
// what was stored is not, and new crawls run.
func TestSchedulerDirectoryLost(t *testing.T) {
	ctx := driver.Limit(t, 15*time.Minute)
	d := newDisaster(ctx, t, driver.ClusterConfig{})
	d.at(ctx, t, 5)
	d.away(ctx, t, []string{"scheduler"}, func() {
		if err := os.RemoveAll(filepath.Join(d.Dir, "scheduler")); err != nil {
			t.Fatal(err)
		}
	})
	if out, err := d.Weir(ctx, "status", d.id); err == nil {
		t.Errorf("the crawl is there:\n%s", out)
	}
	file := filepath.Join(d.Dir, "kept.jsonl")
	if _, err := d.Weir(ctx, "export", d.id, "-o", file); err != nil {
		t.Error(err)
	}
	kept, err := driver.ReadItems(file)
	if err != nil || len(kept) == 0 {
		t.Errorf("%d items of the lost crawl can be read, %v", len(kept), err)
	}
	t.Logf("%d items of the lost crawl can be read", len(kept))
	lost := d.id
	if d.id, err = d.Submit(ctx, d.sub.job); err != nil {
		t.Fatal(err)
	}
	res, again := d.finish(ctx, t)
	d.sub.once(t, res)
	t.Logf("the crawl anew: %d requests again; that of before was %s", again, lost)
}

// once checks that each page has its item once.
func (s subject) once(t *testing.T, res driver.Result) {
	t.Helper()
	got := driver.CountURLs(res.Items)
	missing, twice := 0, 0
	for _, u := range s.pages {
		switch n := got[u]; {
		case n == 0:
			missing++
		case n > 1:
			twice++
		}
	}
	if missing+twice > 0 || len(got) != len(s.pages) {
		t.Errorf("%d items missing, %d more than once, of %d pages", missing, twice, len(s.pages))
	}
}

// dump makes a backup of a database that is in use.
func dump(ctx context.Context, t *testing.T, dsn string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if out, err := exec.CommandContext(ctx, "pg_dump", "--format=custom", "--file", file, dsn).CombinedOutput(); err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, out)
	}
	return file
}

// restore puts a backup in the place of what a database has.
func restore(ctx context.Context, t *testing.T, dsn, file string) {
	t.Helper()
	if out, err := exec.CommandContext(ctx, "psql", dsn, "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public").CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(ctx, "pg_restore", "--exit-on-error", "--no-owner", "--dbname", dsn, file).CombinedOutput(); err != nil {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
}

// empty deletes all objects of a bucket and returns how many there were.
func empty(ctx context.Context, t *testing.T, bucket string) (n int) {
	t.Helper()
	do := func(method, url string, into any) {
		req, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if into != nil {
			if err := xml.NewDecoder(resp.Body).Decode(into); err != nil {
				t.Fatal(err)
			}
		}
	}
	for {
		var list struct {
			Contents []struct{ Key string }
		}
		do(http.MethodGet, bucket+"?list-type=2", &list)
		if len(list.Contents) == 0 {
			return n
		}
		for _, o := range list.Contents {
			do(http.MethodDelete, bucket+"/"+o.Key, nil)
			n++
		}
	}
}

// tail is the end of a long output.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
