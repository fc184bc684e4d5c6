package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"strings"
	"time"
)

// Store keeps objects. Keys are slash-separated paths without empty, "." or ".."
// parts. Safe for concurrent use. Errors about an object wrap fs.ErrNotExist or
// fs.ErrExist where that is what they mean; any other may be tried again.
type Store interface {
	// Put stores an object under a key that is free; fs.ErrExist otherwise. size is
	// the number of bytes in r, -1 if it is not known; more or fewer are an error.
	// After an error there is no object, unless the error is about the connection:
	// the same Put later finds out.
	Put(ctx context.Context, key string, r io.Reader, size int64) error
	// Get reads length bytes from offset, -1 for all that follow; what the object does
	// not have is left out. The caller closes the reader.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Head describes an object.
	Head(ctx context.Context, key string) (Info, error)
	// List goes through the objects whose keys begin with prefix and are greater than
	// after, in the order of their keys (bytes).
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// Sweep removes what uploads under a prefix left that broke off before a time.
	Sweep(ctx context.Context, prefix string, before time.Time) error
	// String names the store for people, without credentials.
	String() string
}

// Info describes an object.
type Info struct {
	// Key of the object.
	Key string
	// Size in bytes.
	Size int64
	// Modified is when it was stored, by the store's clock.
	Modified time.Time
}

// Open returns the store that a URL names, and checks that it can be reached:
//
//	s3://bucket/prefix?endpoint=https://host:9000&region=eu-west-1
//	file:///folder
//
// Credentials are never part of the URL: see OpenS3.
func Open(ctx context.Context, raw string) (Store, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse has the URL in it, and with it what may be a password.
		return nil, errors.New("the address of a store is not a URL: want s3://bucket/prefix or file:///folder")
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s://%s: no credentials in the URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", u.Scheme, u.Host)
	}
	switch u.Scheme {
	case "s3":
		cfg, err := s3Config(u)
		if err != nil {
			return nil, err
		}
		return OpenS3(ctx, cfg)
	case "file":
		if u.Host != "" || u.Path == "" {
			return nil, fmt.Errorf("%s: want file:///folder, with three slashes", raw)
		}
		return OpenDir(u.Path)
	default:
		return nil, fmt.Errorf("store %q: want s3://bucket/prefix or file:///folder", raw)
	}
}

// checkKey keeps a key from leading out of its store.
func checkKey(key string) error {
	if !fs.ValidPath(key) || key == "." || strings.HasSuffix(key, part) {
		return fmt.Errorf("key %.200q: not a path", key)
	}
	return nil
}

// source is what an object is made of; it fails unless it has the number of bytes that
// was said (-1: any). It keeps its error, since io.ErrUnexpectedEOF may be the end of
// a buffer or of a broken source.
type source struct {
	r    io.Reader
	size int64
	read int64
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.read += int64(n)
	switch {
	case s.size >= 0 && s.read > s.size:
		err = fmt.Errorf("object is longer than the %d bytes that were said", s.size)
	case errors.Is(err, io.EOF) && s.size >= 0 && s.read < s.size:
		err = fmt.Errorf("object has %d of the %d bytes that were said", s.read, s.size)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
