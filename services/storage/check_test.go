package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checked runs Check and returns what it said.
func checked(t *testing.T, dir, store string, repair bool) (Findings, []string) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Dir, cfg.Archive = dir, store
	var said []string
	f, err := Check(t.Context(), cfg, CheckOptions{Repair: repair, Say: func(kind, line string) { said = append(said, kind+" "+line) }})
	if err != nil {
		t.Fatal(err)
	}
	return f, said
}

// TestCheck finds what was done to an archive, in files and in objects, and nothing
// else.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, medium := range []string{"files", "objects"} {
		t.Run(medium, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			warcs, store := filepath.Join(dir, "warc"), ""
			if medium == "objects" {
				warcs = filepath.Join(dir, "objects")
				store = "file://" + warcs
			}
			s := newStore(t, dir, func(c *Config) { c.Archive, c.SegmentSize = store, 50<<10 })
			for n := range 12 { // three segments and some
				if err := storeRecords(s, n*5, n*5+5); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.arch.Tend(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			f, said := checked(t, dir, store, false) // beside the storage, one segment open
			segments := f.Segments
			if diff := cmp.Diff(Findings{Segments: segments, Records: 60, Pages: 60}, f); diff != "" || len(said) > 0 || segments < 4 || f.Wrong() {
				t.Fatalf("%v %s", said, diff)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			files := globAll(t, warcs, ".warc.gz")
			indexes := globAll(t, warcs, ".cdxj")
			damage(t, files[0])
			remove(t, files[1])
			remove(t, indexes[2])
			if err := os.WriteFile(filepath.Join(warcs, "notes.txt"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			f, said = checked(t, dir, store, false)
			if f.Corrupt < 1 || f.Gone != 1 || f.Missing < 10 || f.Missing > 11 || f.Orphaned != 1 || f.Unindexed != 1 || f.Repaired != 0 || f.Pages != 60 || !f.Wrong() {
				t.Errorf("%+v\n%s", f, strings.Join(said, "\n"))
			}
			for _, want := range []string{"corrupt " + filepath.Base(files[0]), "missing " + filepath.Base(files[1]), "orphaned notes.txt", "unindexed " + filepath.Base(files[2])} {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("nothing says %q:\n%s", want, strings.Join(said, "\n"))
				}
			}
			// One page of the damaged segment is lost, the others were read singly.
			lost := 0
			for _, line := range said {
				if strings.Contains(line, "http://") && strings.Contains(line, filepath.Base(files[0])) {
					lost++
				}
			}
			if lost != 1 {
				t.Errorf("%d pages of the damaged segment are lost", lost)
			}
			if f, said := checked(t, dir, store, true); f.Repaired != 1 {
				t.Errorf("%+v %v", f, said)
			}
			if f, said := checked(t, dir, store, false); f.Unindexed != 0 {
				t.Errorf("%+v %v", f, said)
			}
		})
	}
}

// damage changes a byte in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(fmt.Errorf("take a file away: %w", err))
	}
}
