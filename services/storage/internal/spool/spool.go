// Package spool keeps bodies that are too long for a message, as files or as objects
// of a store, from their upload until the record that refers to them is committed. In a
// store, every replica of a storage can commit the record.
//
// A body is complete and durable from the moment it has a reference. It is kept
// in the form that the archive can place without compressing again (warc.Trim).
package spool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

// part ends the names of files that are still being written.
const part = ".part"

// prefix of the keys of bodies in a store.
const prefix = "bodies/"

// Spool is a place of bodies. Safe for concurrent use.
type Spool struct {
	dir      string
	store    blob.Store // nil: files
	maxBytes int64
}

// Open opens the folder, creating it. maxBytes bounds one body as stored. With a
// store, bodies are only in the folder while they arrive.
func Open(dir string, store blob.Store, maxBytes int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open body folder: %w", err)
	}
	return &Spool{dir: dir, store: store, maxBytes: maxBytes}, nil
}

// Put stores a raw DEFLATE stream and returns its reference; the body is durable
// then. An error of src is returned wrapped, and leaves nothing behind.
func (s *Spool) Put(ctx context.Context, src io.Reader) (ref string, err error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	ref = hex.EncodeToString(id[:])
	tmp := s.path(ref) + part
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", fmt.Errorf("store a body: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(tmp) // swept later if it cannot be removed now
		}
	}()
	n, err := io.Copy(f, io.LimitReader(src, s.maxBytes+1))
	if err != nil {
		return "", fmt.Errorf("store a body: %w", err)
	}
	if n > s.maxBytes {
		return "", crawl.Errorf(crawl.Invalid, "body over %d bytes", s.maxBytes)
	}
	if err := s.trimmable(f, n); err != nil {
		return "", err
	}
	if s.store != nil {
		if err := s.upload(ctx, ref, f); err != nil {
			return "", err
		}
		return ref, os.Remove(tmp)
	}
	if err := f.Sync(); err != nil {
		return "", fmt.Errorf("store a body: %w", err)
	}
	if err := os.Rename(tmp, s.path(ref)); err != nil {
		return "", fmt.Errorf("store a body: %w", err)
	}
	return ref, s.syncDir()
}

// upload moves a body that has arrived into the store.
func (s *Spool) upload(ctx context.Context, ref string, f *os.File) error {
	st, err := f.Stat()
	if err == nil {
		err = seek(f)
	}
	if err != nil {
		return fmt.Errorf("store a body: %w", err)
	}
	return s.store.Put(ctx, prefix+ref, f, st.Size())
}

// trimmable rewrites a stream that cannot be placed into the archive as it is.
func (s *Spool) trimmable(f *os.File, n int64) error {
	ok, err := endsTrimmable(f, n)
	if ok || err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, "*"+part)
	if err != nil {
		return fmt.Errorf("store a body: %w", err)
	}
	defer func() {
		_ = tmp.Close()
		_ = os.Remove(tmp.Name())
	}()
	var rs warc.Resyncer
	if _, err := rs.Resync(tmp, io.NewSectionReader(f, 0, n)); err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return fmt.Errorf("store a body: %w", err)
		}
		return crawl.Errorf(crawl.Invalid, "body is not a DEFLATE stream: %w", err)
	}
	if err := errors.Join(f.Truncate(0), seek(f), seek(tmp)); err != nil {
		return fmt.Errorf("store a body: %w", err)
	}
	if _, err := io.Copy(f, tmp); err != nil {
		return fmt.Errorf("store a body: %w", err)
	}
	return nil
}

func seek(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

func endsTrimmable(f *os.File, n int64) (bool, error) {
	if n < int64(warc.TailSize) {
		return false, nil
	}
	var tail [warc.TailSize]byte
	if _, err := f.ReadAt(tail[:], n-int64(len(tail))); err != nil {
		return false, fmt.Errorf("read a body: %w", err)
	}
	return warc.Trimmable(tail[:]), nil
}

// Body is an open body, read from its beginning.
type Body struct {
	io.ReadCloser
	// Size of the stream.
	Size int64
}

// Trimmed returns a reader of the stream in the form that the archive takes, in place
// of the body itself.
func (b *Body) Trimmed() io.Reader { return io.LimitReader(b, b.Size-warc.FinalBlock) }

// Open opens a body; crawl.NotFound for one that is not there (any more). The
// caller closes it. A body that is deleted meanwhile can be read to its end.
func (s *Spool) Open(ctx context.Context, ref string) (*Body, error) {
	if !valid(ref) {
		return nil, crawl.Errorf(crawl.NotFound, "no body %.40q", ref)
	}
	if s.store != nil {
		return s.openObject(ctx, ref)
	}
	f, err := os.Open(s.path(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, crawl.Errorf(crawl.NotFound, "no body %s", ref)
	}
	if err != nil {
		return nil, fmt.Errorf("open a body: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a body: %w", err), f.Close())
	}
	return &Body{ReadCloser: f, Size: st.Size()}, nil
}

func (s *Spool) openObject(ctx context.Context, ref string) (*Body, error) {
	info, err := s.store.Head(ctx, prefix+ref)
	if err == nil {
		var r io.ReadCloser
		if r, err = s.store.Get(ctx, prefix+ref, 0, info.Size); err == nil {
			return &Body{ReadCloser: r, Size: info.Size}, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, crawl.Errorf(crawl.NotFound, "no body %s", ref)
	}
	return nil, err
}

// Delete removes a body; one that is not there is no error.
func (s *Spool) Delete(ctx context.Context, ref string) error {
	if !valid(ref) {
		return nil
	}
	if s.store != nil {
		return s.store.Delete(ctx, prefix+ref)
	}
	if err := os.Remove(s.path(ref)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete a body: %w", err)
	}
	return nil
}

// Sweep deletes what was written before a time: bodies whose record never came,
// and uploads that broke off. It returns their number.
func (s *Spool) Sweep(ctx context.Context, before time.Time) (int, error) {
	n, err := s.sweepFiles(before)
	if err != nil || s.store == nil {
		return n, err
	}
	for info, err := range s.store.List(ctx, prefix, "") {
		if err != nil {
			return n, fmt.Errorf("sweep bodies: %w", err)
		}
		if !info.Modified.Before(before) {
			continue
		}
		if err := s.store.Delete(ctx, info.Key); err != nil {
			return n, fmt.Errorf("sweep bodies: %w", err)
		}
		n++
	}
	return n, s.store.Sweep(ctx, prefix, before)
}

func (s *Spool) sweepFiles(before time.Time) (int, error) {
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, fmt.Errorf("sweep bodies: %w", err)
	}
	n := 0
	for _, e := range list {
		if !valid(strings.TrimSuffix(e.Name(), part)) && !strings.HasSuffix(e.Name(), part) {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue // gone meanwhile, or young
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, fmt.Errorf("sweep bodies: %w", err)
		}
		n++
	}
	return n, nil
}

// valid keeps a reference from naming anything else: it comes from outside.
func valid(ref string) bool {
	if len(ref) != 32 {
		return false
	}
	for i := range len(ref) {
		if c := ref[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (s *Spool) path(ref string) string { return filepath.Join(s.dir, ref) }

func (s *Spool) syncDir() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("store a body: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
