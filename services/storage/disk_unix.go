//go:build linux || darwin

package storage

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// freeBytes is what an ordinary user may still write.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// lockDir keeps a second process from the stores, until unlockDir or the process's end.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process has it open (%s): stop that one or use another directory", path), f.Close())
	}
	return f, nil
}

// unlockDir gives the lock of lockDir back. To close the file would not do while the process
// starts another, which has the file, too, until it is the program that it is to become.
func unlockDir(f *os.File) error {
	return errors.Join(os.NewSyscallError("flock", syscall.Flock(int(f.Fd()), syscall.LOCK_UN)), f.Close())
}
