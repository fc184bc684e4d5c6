// Package blobtest is the conformance suite of blob.Store.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/blob"
)

// Run checks a kind of store; open returns an empty one.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, check := range map[string]func(*testing.T, blob.Store){
		"put and get":       putAndGet,
		"ranges":            ranges,
		"taken keys":        takenKeys,
		"one of many wins":  oneWins,
		"long objects":      longObjects,
		"broken sources":    brokenSources,
		"list":              list,
		"delete":            deletes,
		"keys":              keys,
		"ended context":     endedContext,
		"sweep keeps whole": sweep,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func put(t *testing.T, s blob.Store, key, data string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s blob.Store, key string, offset, length int64) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func listed(t *testing.T, s blob.Store, prefix, after string) []string {
	t.Helper()
	out := []string{}
	for i, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(i.Key, " ", i.Size))
	}
	return out
}

func putAndGet(t *testing.T, s blob.Store) {
	put(t, s, "a/b.txt", "hello")
	put(t, s, "empty", "")
	// Of a reader that can be read once, without its length.
	if err := s.Put(t.Context(), "stream", iotest.OneByteReader(strings.NewReader("streamed")), -1); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a/b.txt": "hello", "empty": "", "stream": "streamed"} {
		if got := get(t, s, key, 0, -1); got != want {
			t.Errorf("%s is %q", key, got)
		}
		i, err := s.Head(t.Context(), key)
		if err != nil || i.Key != key || i.Size != int64(len(want)) || time.Since(i.Modified).Abs() > time.Hour {
			t.Errorf("head of %s: %+v, %v", key, i, err)
		}
	}
	for _, key := range []string{"a", "a/b", "missing", "a/b.txt/c"} {
		if _, err := s.Head(t.Context(), key); !errors.Is(err, fs.ErrNotExist) && key != "a/b.txt/c" {
			t.Errorf("head of %s: %v", key, err)
		}
	}
	if _, err := s.Get(t.Context(), "missing", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get of what is not there: %v", err)
	}
}

func ranges(t *testing.T, s blob.Store) {
	put(t, s, "digits", "0123456789")
	for _, tt := range []struct {
		offset, length int64
		want           string
	}{
		{0, -1, "0123456789"}, {0, 1, "0"}, {0, 3, "012"}, {3, 4, "3456"}, {9, 1, "9"}, {8, 10, "89"}, {7, -1, "789"}, {5, 0, ""}, {10, 5, ""}, {12, 1, ""},
	} {
		if got := get(t, s, "digits", tt.offset, tt.length); got != tt.want {
			t.Errorf("%d bytes from %d are %q, want %q", tt.length, tt.offset, got, tt.want)
		}
	}
}

func takenKeys(t *testing.T, s blob.Store) {
	put(t, s, "k", "first")
	for _, size := range []int64{6, -1} {
		if err := s.Put(t.Context(), "k", strings.NewReader("second"), size); !errors.Is(err, fs.ErrExist) {
			t.Errorf("put over an object (size %d): %v", size, err)
		}
	}
	if got := get(t, s, "k", 0, -1); got != "first" {
		t.Errorf("changed to %q", got)
	}
}

func oneWins(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			data := fmt.Sprint("writer ", i)
			errs[i] = s.Put(t.Context(), "k", strings.NewReader(data), int64(len(data)))
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if got := get(t, s, "k", 0, -1); got != fmt.Sprint("writer ", winner) {
		t.Errorf("%q, but writer %d won", got, winner)
	}
}

// longObjects are beyond the size of a part.
func longObjects(t *testing.T, s blob.Store) {
	data := make([]byte, 11<<20+17)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(data)
	for _, size := range []int64{int64(len(data)), -1} {
		key := fmt.Sprint("long/", size)
		if err := s.Put(t.Context(), key, iotest.HalfReader(bytes.NewReader(data)), size); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s, key, 0, -1); sha256.Sum256([]byte(got)) != sha256.Sum256(data) {
			t.Errorf("%s: %d bytes of another content", key, len(got))
		}
		if got := get(t, s, key, 6<<20, 100); got != string(data[6<<20:6<<20+100]) {
			t.Errorf("%s: a range is another", key)
		}
		if err := s.Put(t.Context(), key, bytes.NewReader(data), size); !errors.Is(err, fs.ErrExist) {
			t.Errorf("put over a long object: %v", err)
		}
	}
}

func brokenSources(t *testing.T, s blob.Store) {
	broken := errors.New("broken")
	long := bytes.Repeat([]byte("x"), 6<<20)
	for name, tt := range map[string]struct {
		r    io.Reader
		size int64
	}{
		"fails at once":      {iotest.ErrReader(broken), 10},
		"fails later":        {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), -1},
		"fails behind parts": {io.MultiReader(bytes.NewReader(long), iotest.ErrReader(broken)), -1},
		"too short":          {strings.NewReader("abc"), 4},
		"too long":           {strings.NewReader("abcde"), 4},
		"much too short":     {bytes.NewReader(long), int64(len(long)) + 1},
	} {
		if err := s.Put(t.Context(), "k", tt.r, tt.size); err == nil {
			t.Errorf("%s: stored", name)
		}
		if _, err := s.Head(t.Context(), "k"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: there is an object: %v", name, err)
		}
	}
	put(t, s, "k", "whole")
	if err := s.Sweep(t.Context(), "", time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"k 5"}, listed(t, s, "", "")); diff != "" {
		t.Error(diff)
	}
}

func list(t *testing.T, s blob.Store) {
	for _, key := range []string{"a/2", "a/1", "a-b/1", "a/10", "b", "a/sub/x", "ab"} {
		put(t, s, key, key)
	}
	for _, tt := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", []string{"a-b/1 5", "a/1 3", "a/10 4", "a/2 3", "a/sub/x 7", "ab 2", "b 1"}},
		{"a/", "", []string{"a/1 3", "a/10 4", "a/2 3", "a/sub/x 7"}},
		{"a/1", "", []string{"a/1 3", "a/10 4"}},
		{"a/", "a/10", []string{"a/2 3", "a/sub/x 7"}},
		{"a/sub/", "a/0", []string{"a/sub/x 7"}},
		{"nothing/", "", []string{}},
	} {
		if diff := cmp.Diff(tt.want, listed(t, s, tt.prefix, tt.after)); diff != "" {
			t.Errorf("%q after %q: %s", tt.prefix, tt.after, diff)
		}
	}
	for range s.List(t.Context(), "", "") {
		break // a reader may stop
	}
}

func deletes(t *testing.T, s blob.Store) {
	put(t, s, "a/k", "x")
	for range 2 { // the second time there is nothing
		if err := s.Delete(t.Context(), "a/k"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Head(t.Context(), "a/k"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	put(t, s, "a/k", "again")
}

func keys(t *testing.T, s blob.Store) {
	for _, key := range []string{"", ".", "..", "../x", "/x", "a//b", "a/../b", "a/", "x.part"} {
		if err := s.Put(t.Context(), key, strings.NewReader(""), 0); err == nil {
			t.Errorf("key %q is taken", key)
		}
	}
	for _, key := range []string{"with space", "uml\u00e4ut", "per%20cent+plus", "a=b&c", "#hash?query"} {
		put(t, s, key, key)
		if got := get(t, s, key, 0, -1); got != key {
			t.Errorf("%q is %q", key, got)
		}
	}
}

func endedContext(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "k", strings.NewReader("x"), 1); err == nil {
		t.Error("stored")
	}
	if _, err := s.Head(t.Context(), "k"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is an object: %v", err)
	}
}

func sweep(t *testing.T, s blob.Store) {
	put(t, s, "a/k", "x")
	if err := s.Sweep(t.Context(), "a/", time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if got := get(t, s, "a/k", 0, -1); got != "x" {
		t.Errorf("%q", got)
	}
}
