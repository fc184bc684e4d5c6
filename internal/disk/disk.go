// Package disk says who may use a directory, and how much room its disk has.
package disk

import (
	"errors"
	"fmt"
	"os"
)

// ErrLocked: another process, or another part of this one, has the lock.
var ErrLocked = errors.New("locked by another process")

// Lock is the lock of a file, held by this process until Close or its end, in whatever way
// it ends. Where the system has none that is known here, everybody gets it.
type Lock struct{ file *os.File }

// TakeLock makes the file if need be and takes its lock without waiting. When somebody else
// has it, the error is ErrLocked.
func TakeLock(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return &Lock{file: f}, nil
}

// Close gives the lock back. The file stays: removing it would let two processes lock two
// files of the same name.
func (l *Lock) Close() error {
	// To close the file alone would not do while this process starts another, which has the
	// file, too, until it is the program that it is to become.
	return errors.Join(unlock(l.file), l.file.Close())
}
