//go:build unix

package datadir

import (
	"fmt"
	"os"
	"syscall"
)

// lock takes the file's lock without waiting. The kernel gives it back when the
// process ends in whatever way.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// unlock gives the lock back. To close the file would not do while the process starts another,
// which has the file, too, until it is the program that it is to become.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

func freeBytes(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("ask for free disk space of %s: %w", path, err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
