package storage

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestLockEndsWithItsOwner: a program that is being started has the lock's file for a moment, and no hold on it.
func TestLockEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	for range 2 {
		f, err := lockDir(path)
		if err != nil {
			t.Fatal(err)
		}
		held, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(held) }()
		if err := unlockDir(f); err != nil {
			t.Fatal(err)
		}
	}
}
