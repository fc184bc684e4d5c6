package chaos

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/test/driver"
)

// TestKillStorages kills storages at random moments of a crawl: the one with a SQLite
// file, and in turn the two that share a PostgreSQL. In the end every page has its item
// once, and the archive is valid to the end of every file and has every page.
func TestKillStorages(t *testing.T) {
	beside(t)
	for _, c := range []struct {
		name  string
		names []string
	}{{"sqlite", []string{"storage"}}, {"postgres", []string{"storage-1", "storage-2"}}} {
		kills := 4
		if *long {
			kills = 40
		} else if c.name == "sqlite" {
			continue // the short form of TestKillServices has it
		}
		t.Run(c.name, func(t *testing.T) {
			cfg := driver.ClusterConfig{Fetchers: 1, Parsers: 1}
			if len(c.names) > 1 {
				cfg.Storages, cfg.Catalogue = len(c.names), pgtest.Start(t, pgtest.Options{}).Database(t)
			}
			killStorages(t, startCluster(t, cfg), c.names, kills)
		})
	}
}

func killStorages(t *testing.T, c *driver.Cluster, names []string, kills int) {
	ctx := driver.Limit(t, 20*time.Minute)
	sub := newSubject(t)
	id, err := c.Submit(ctx, sub.job)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range sub.moments(t, kills) {
		victim := names[i%len(names)]
		sub.reached(ctx, t, at, func() bool { return true })
		if err := c.Proc(victim).Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(victim); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(ctx, victim); err != nil {
			t.Fatal(err)
		}
	}
	res, err := c.Finish(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	sub.check(t, res, kills*inFlight)
	responses := 0
	for _, name := range names {
		if err := c.Proc(name).Stop(20 * time.Second); err != nil {
			t.Error(err)
		}
		responses += countResponses(t, filepath.Join(c.Dir, name, "warc"))
	}
	t.Logf("%d kills, %d responses in the archive", kills, responses)
	if responses < len(sub.pages) {
		t.Errorf("%d responses in the archive for %d pages", responses, len(sub.pages))
	}
}

// countResponses reads all WARC files of a folder to their ends, which checks every
// gzip member, and counts the responses.
func countResponses(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.warc.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if errors.Is(err, io.EOF) {
			continue // nothing was committed to it
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n += bytes.Count(text, []byte("\r\nWARC-Type: response\r\n"))
	}
	return n
}
