package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLock: one has it, and the next when that one is done, although a program that is being
// started has the file for a moment, too.
func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	for range 2 {
		l, err := TakeLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := TakeLock(path); !errors.Is(err, ErrLocked) {
			t.Errorf("taken twice: %v", err)
		}
		held, err := syscall.Dup(int(l.file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(held) }()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoSuchDirectory(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := TakeLock(filepath.Join(missing, "lock")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrLocked) {
		t.Errorf("locked in a directory that is not there: %v", err)
	}
	if _, err := Free(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("free space of a directory that is not there: %v", err)
	}
	if free, err := Free(filepath.Dir(missing)); err != nil || free == 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
}
