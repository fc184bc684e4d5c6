package datadir

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crawl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	d := open(t, path)
	if _, err := Open(path); crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), path) {
		t.Errorf("second lock: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "x")); err == nil {
		t.Error("no error")
	}
}

func TestMarker(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "x"))
	if _, found := ReadMarker(d.Path()); found {
		t.Error("an empty directory has a crawl")
	}
	// Killed before the marker was written: there is something, unfinished.
	if err := os.Mkdir(d.Frontier(), 0o755); err != nil {
		t.Fatal(err)
	}
	if m, found := ReadMarker(d.Path()); !found || m.Over() {
		t.Errorf("a frontier alone: %+v, %v", m, found)
	}
	for _, want := range []Marker{{"id", "shop", Unfinished}, {"id", "shop", "finished"}} {
		if err := d.WriteMarker(want); err != nil {
			t.Fatal(err)
		}
		if got, found := ReadMarker(d.Path()); !found || got != want || got.Over() != (want.State == "finished") {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestSpecAndLog(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	if got, err := d.Spec(); got != nil || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if err := d.WriteSpec([]byte("name: a\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Spec(); string(got) != "name: a\n" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	f, err := d.OpenLog()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestSpace(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	for _, least := range []uint64{0, 1} {
		if err := d.CheckSpace(least); err != nil {
			t.Error(err)
		}
	}
	err := d.WatchSpace(t.Context(), math.MaxUint64, time.Millisecond)
	if crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "--data") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.WatchSpace(ctx, math.MaxUint64, time.Hour); err != nil {
		t.Error(err)
	}
}
