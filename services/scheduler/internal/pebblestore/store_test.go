package pebblestore

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Factory {
		fs := vfs.NewMem()
		return storetest.Factory{Open: func(t *testing.T) frontier.Store {
			s, err := Open(Config{Dir: "store", FS: fs, Partitions: storetest.Partitions, MemTableBytes: 256 << 10, SeenEntries: 8})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}}
	})
}

// TestCloseLeavesNothing runs alone: TestDiskFull leaves failed databases behind,
// on purpose, with their goroutines.
func TestCloseLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Acquire(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "store")
	s, err := Open(Config{Dir: dir, Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Partitions: 4}); err == nil || !strings.Contains(err.Error(), "is another weir using") || strings.Contains(err.Error(), "\n") {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Partitions: 8}); crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "4 partitions") {
		t.Errorf("opened with another number of partitions: %v", err)
	}
	s, err = Open(Config{Dir: dir, Partitions: 4})
	if err != nil {
		t.Fatalf("a refused Open holds on to the store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestOtherFormat: a store of another version of keys and values is refused.
func TestOtherFormat(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, err := Open(Config{Dir: "store", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := s.db.NewBatch()
	if err := errors.Join(setNumber(b, metaKey(metaFormat), format-1), s.write(b), b.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: "store", FS: fs}); crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "use the version that made it") {
		t.Errorf("opened another format: %v", err)
	}
}

// TestNoQuotas: one process has all partitions, and so all pages of a limit.
func TestNoQuotas(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{Dir: "store", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Grant(t.Context(), 0, 1, 1); n != 0 || crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("granted %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestDiskFull: whatever Pebble does about it, the caller gets an error that says
// what to do, from the call at hand and all later ones, and the process lives.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		suffix string // of the files that cannot grow
	}{
		{"log", ".log"},
		{"tables", ".sst"},
		{"everything", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			full := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, c.suffix) {
					return syscall.ENOSPC
				}
				return nil
			})}
			s, err := Open(Config{Dir: "store", FS: errorfs.Wrap(vfs.NewMem(), full), MemTableBytes: 256 << 10})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Acquire(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			full.On()
			err = writeUntilError(s)
			full.Off()
			if crawl.KindOf(err) != crawl.Unavailable || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space in store and run again with --resume") {
				t.Errorf("error is %v", err)
			}
			if err := writeUntilError(s); err == nil {
				t.Error("writes go on after a failure")
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// writeUntilError writes some megabytes, enough to flush memtables.
func writeUntilError(s *Store) error {
	text := make([]byte, 64<<10)
	for i := range 400 {
		for j := range text {
			text[j] = byte(i*j>>3 ^ j)
		}
		c, err := s.Apply(&frontier.Batch{Robots: []frontier.RobotsRow{{Host: uint64(i), Text: text}}, Sync: true})
		if err != nil {
			return err
		}
		if err := c.Wait(); err != nil {
			return err
		}
	}
	return nil
}
