package output

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"

	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// WriteFile lets f write a file that appears under path only when it is complete
// and on the disk; on an error nothing is left behind. An existing file is
// replaced.
func WriteFile(path string, f func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close() // closed already, or of no more interest
			_ = os.Remove(tmp.Name())
		}
	}()
	buf := bufio.NewWriterSize(tmp, 256<<10)
	if err := f(buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// CreateTemp makes private files; the user's own umask should decide.
	if err := tmp.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Lines writes items as JSON lines.
type Lines struct {
	// Count of the items written.
	Count uint64
	w     *bufio.Writer
}

// NewLines returns a writer of JSON lines. Flush it.
func NewLines(w io.Writer) *Lines { return &Lines{w: bufio.NewWriterSize(w, 64<<10)} }

// Write writes one item.
func (l *Lines) Write(item *storagev1.StoredItem) error {
	if _, err := l.w.Write(item.GetJson()); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	if err := l.w.WriteByte('\n'); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	l.Count++
	return nil
}

// Flush hands on what is buffered.
func (l *Lines) Flush() error {
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	return nil
}
