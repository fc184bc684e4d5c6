package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxOpen bounds the files that are open for appending. Hundreds of crawls may have
// one each; a file that was closed is opened again for 10 µs.
const maxOpen = 64

// files is a shelf in a folder.
type files struct {
	dir string

	mu      sync.Mutex
	handles map[string]*handle
	tick    uint64 // counts uses
}

// handle is a file that is open for appending.
type handle struct {
	*os.File
	users int    // writes that are under way
	used  uint64 // tick of the last use
}

// newFiles makes the folder.
func newFiles(dir string) (*files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	return &files{dir: dir, handles: map[string]*handle{}}, nil
}

// path keeps a name, which may come from a catalogue that people edit, in the folder.
func (s *files) path(name string) string {
	return filepath.Join(s.dir, filepath.Clean("/"+filepath.FromSlash(name)))
}

// acquire returns a segment's file, made and durable if it is new. It stays open until
// release at least.
func (s *files) acquire(name string) (*handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.handles[name]
	if h == nil {
		s.evict()
		f, err := s.openFile(name)
		if err != nil {
			return nil, err
		}
		h = &handle{File: f}
		s.handles[name] = h
	}
	s.tick++
	h.users, h.used = h.users+1, s.tick
	return h, nil
}

func (s *files) release(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.users--
}

// openFile opens or makes a segment's file.
func (s *files) openFile(name string) (*os.File, error) {
	f, err := os.OpenFile(s.path(name), os.O_RDWR, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if f, err = os.OpenFile(s.path(name), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	if err := syncDir(s.dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// evict closes the file that was used longest ago, if there are as many as may be.
// All that is in it is synced.
func (s *files) evict() {
	if len(s.handles) < maxOpen {
		return
	}
	oldest := ""
	for name, h := range s.handles {
		if h.users == 0 && (oldest == "" || h.used < s.handles[oldest].used) {
			oldest = name
		}
	}
	if oldest != "" {
		_ = s.handles[oldest].Close()
		delete(s.handles, oldest)
	}
}

// forget closes a segment's file.
func (s *files) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.handles[name]; h != nil {
		_ = h.Close()
		delete(s.handles, name)
	}
}

func (s *files) open(_ context.Context, name string) (int64, bool, error) {
	st, err := os.Stat(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return st.Size(), false, nil
}

func (s *files) write(_ context.Context, name string, at int64, r io.Reader, size int64) error {
	f, err := s.acquire(name)
	if err != nil {
		return err
	}
	defer s.release(f)
	n, err := io.Copy(io.NewOffsetWriter(f, at), r)
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d bytes, %d were said", n, size)
	}
	return datasync(f.File)
}

func (s *files) cut(_ context.Context, name string, size int64) error {
	f, err := s.acquire(name)
	if err != nil {
		return err
	}
	defer s.release(f)
	if err := f.Truncate(size); err != nil {
		return err
	}
	return datasync(f.File)
}

func (s *files) finish(_ context.Context, name string, size int64) (io.ReadCloser, error) {
	s.forget(name)
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	return readCloser{io.NewSectionReader(f, 0, size), f}, nil
}

func (s *files) tidy(context.Context, string) error { return nil }

func (s *files) unfinished(context.Context) ([]string, error) { return nil, nil }

func (s *files) read(_ context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	return readCloser{io.NewSectionReader(f, offset, length), f}, nil
}

func (s *files) put(_ context.Context, name string, r io.Reader, _ int64) error {
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "*"+temporary)
	if err != nil {
		return err
	}
	// An index comes line by line.
	w := bufio.NewWriterSize(f, 64<<10)
	_, err = io.Copy(w, r)
	if err := errors.Join(err, w.Flush(), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// temporary ends the names of files that are not whole yet.
const temporary = ".tmp"

func (s *files) list(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(s.dir, path)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(rel)
			if strings.HasPrefix(name, prefix) && !strings.HasSuffix(name, temporary) && !yield(name, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}

func (s *files) remove(_ context.Context, name string) error {
	s.forget(name)
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *files) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.handles {
		errs = append(errs, f.Close())
	}
	clear(s.handles)
	return errors.Join(errs...)
}

// String is the folder.
func (s *files) String() string { return s.dir }

// readCloser reads from one thing and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
