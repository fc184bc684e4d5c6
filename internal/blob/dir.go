package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// part ends the names of files that are still being written.
const part = ".part"

// Dir is a store in a folder.
type Dir struct{ root string }

// OpenDir returns a store in a folder, which is made.
func OpenDir(root string) (*Dir, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("open a store: %w", err)
	}
	return &Dir{root: root}, nil
}

func (d *Dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// Put writes a file beside its place, and links it there when it is durable: a link
// is refused where there is a file.
func (d *Dir) Put(ctx context.Context, key string, r io.Reader, size int64) (err error) {
	if err := checkKey(key); err != nil {
		return err
	}
	path := d.path(key)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*"+part)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // swept later if it cannot be removed now
	}()
	if _, err := io.Copy(f, &contextReader{ctx, &source{r: r, size: size}}); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync()); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return d.syncTree(dir)
}

// syncTree makes the names of a folder durable, and that of the folder itself.
func (d *Dir) syncTree(dir string) error {
	for {
		f, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
		if dir == d.root {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// Get reads a part of a file.
func (d *Dir) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := os.Open(d.path(key))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if length < 0 {
		length = 1<<63 - 1 - offset
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, length), f}, nil
}

// Head describes a file.
func (d *Dir) Head(_ context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	st, err := os.Stat(d.path(key))
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, fmt.Errorf("look up %s: %w", key, err)
	}
	return Info{Key: key, Size: st.Size(), Modified: st.ModTime()}, nil
}

// List reads the folder first, so that what it has at once is in the order of keys,
// which is not that of folders.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var all []Info
		err := d.walk(ctx, prefix, func(key string, st fs.FileInfo) error {
			if key > after && !strings.HasSuffix(key, part) {
				all = append(all, Info{Key: key, Size: st.Size(), Modified: st.ModTime()})
			}
			return nil
		})
		if err != nil {
			yield(Info{}, fmt.Errorf("list %s: %w", prefix, err))
			return
		}
		slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.Key, b.Key) })
		for _, i := range all {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// walk calls visit for every file whose key begins with prefix.
func (d *Dir) walk(ctx context.Context, prefix string, visit func(key string, st fs.FileInfo) error) error {
	// Only the folder that the prefix leads into can have them.
	start := d.path(prefix[:strings.LastIndexByte(prefix, '/')+1])
	err := filepath.WalkDir(start, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted meanwhile
			}
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if !strings.HasPrefix(key, prefix) {
			return nil
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return visit(key, st)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Delete removes a file; its folder stays.
func (d *Dir) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	path := d.path(key)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// Sweep removes files that were never finished.
func (d *Dir) Sweep(ctx context.Context, prefix string, before time.Time) error {
	err := d.walk(ctx, prefix, func(key string, st fs.FileInfo) error {
		if !strings.HasSuffix(key, part) || !st.ModTime().Before(before) {
			return nil
		}
		if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sweep %s: %w", prefix, err)
	}
	return nil
}

// String is the folder's URL.
func (d *Dir) String() string { return "file://" + d.root }

// contextReader ends a copy with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
