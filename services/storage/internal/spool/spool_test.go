package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

func deflate(t *testing.T, flush bool, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, data)
	if flush {
		_ = w.Flush()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func files(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestPutOpenDelete(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]bool{"flushed": true, "only closed": false, "flushed, objects": true, "only closed, objects": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := Open(dir, nil, 1<<20)
			left := 1
			if strings.HasSuffix(name, "objects") {
				store, serr := blob.OpenDir(t.TempDir())
				if serr != nil {
					t.Fatal(serr)
				}
				s, err = Open(dir, store, 1<<20)
				left = 0
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Repeat("some text ", 10_000)
			ref, err := s.Put(t.Context(), bytes.NewReader(deflate(t, flush, want)))
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			whole, err := io.ReadAll(b)
			if err != nil || !warc.Trimmable(whole) || int64(len(whole)) != b.Size {
				t.Errorf("%d bytes of %d, %v", len(whole), b.Size, err)
			}
			got, err := io.ReadAll(flate.NewReader(bytes.NewReader(whole)))
			if err != nil || string(got) != want {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			again, err := s.Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			trimmed, err := io.ReadAll(again.Trimmed())
			if err != nil || len(trimmed) != len(whole)-warc.FinalBlock {
				t.Errorf("%d bytes of %d, %v", len(trimmed), len(whole), err)
			}
			if n := files(t, dir); n != left {
				t.Errorf("%d files, want %d", n, left)
			}
			if err := errors.Join(s.Delete(t.Context(), ref), s.Delete(t.Context(), ref)); err != nil {
				t.Error(err)
			}
			if _, err := s.Open(t.Context(), ref); crawl.KindOf(err) != crawl.NotFound {
				t.Errorf("deleted body: %v", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("client gone")
	for name, c := range map[string]struct {
		src  io.Reader
		kind crawl.Kind
		is   error
	}{
		"too long":         {strings.NewReader(strings.Repeat("x", 1001)), crawl.Invalid, nil},
		"not a stream":     {strings.NewReader("\xff\xff\xffhello world"), crawl.Invalid, nil},
		"empty":            {strings.NewReader(""), crawl.Invalid, nil},
		"upload broke off": {io.MultiReader(strings.NewReader("x"), errReader{broken}), crawl.Internal, broken},
	} {
		if _, err := s.Put(t.Context(), c.src); err == nil || crawl.KindOf(err) != c.kind || (c.is != nil && !errors.Is(err, c.is)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := files(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
	for _, ref := range []string{"", "../../../../../../etc/passwd", strings.Repeat("g", 32), "..", strings.Repeat("0", 32)} {
		if _, err := s.Open(t.Context(), ref); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("ref %q: %v", ref, err)
		}
		if err := s.Delete(t.Context(), ref); err != nil {
			t.Errorf("ref %q: %v", ref, err)
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.Put(t.Context(), bytes.NewReader(deflate(t, true, "old")))
	if err != nil {
		t.Fatal(err)
	}
	young, err := s.Put(t.Context(), bytes.NewReader(deflate(t, true, "young")))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, name := range []string{old, "0123456789abcdef0123456789abcdef.part", "notes.txt"} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, name), nil, 0o600), os.Chtimes(filepath.Join(dir, name), now, now.Add(-25*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(t.Context(), now.Add(-24*time.Hour)); n != 2 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	b, err := s.Open(t.Context(), young)
	if err != nil {
		t.Fatalf("a young body was swept: %v", err)
	}
	_ = b.Close()
	if n := files(t, dir); n != 2 {
		t.Errorf("%d files are left", n)
	}
}

func TestSweepObjects(t *testing.T) {
	t.Parallel()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.TempDir(), store, 1000)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := s.Put(t.Context(), bytes.NewReader(deflate(t, true, "body")))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Errorf("swept %d young bodies, %v", n, err)
	}
	if n, err := s.Sweep(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if _, err := s.Open(t.Context(), ref); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("still there: %v", err)
	}
}
