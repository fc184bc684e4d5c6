//go:build !linux

package archive

import "os"

// datasync makes a file durable where there is no call for its content alone.
func datasync(f *os.File) error { return f.Sync() }
