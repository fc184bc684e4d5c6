package inflate_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

// FuzzStacks undoes stacks of codings that were made, whole or cut, and checks that
// what comes out is what went in, or its beginning, and that no bound is passed on
// the way.
func FuzzStacks(f *testing.F) {
	f.Add([]byte("hello"), []byte{0}, 1000, 1<<16)
	f.Add([]byte("hello"), []byte{3, 1, 0}, 10, 1<<16)
	f.Add(bytes.Repeat([]byte{0}, 10_000), []byte{0, 0}, 1<<20, 1000)
	f.Add(bytes.Repeat([]byte("<p>seed</p>"), 500), []byte{4, 2}, 70, 1<<12)
	f.Add([]byte{0x1f, 0x8b}, []byte{1, 2, 3, 4, 0}, 20, 1<<16)
	f.Add([]byte{}, []byte{5, 3}, 3, 0)
	names := []string{"gzip", "deflate", "deflate", "br", "zstd", "zstd"}
	coders := []string{"gzip", "zlib", "flate", "br", "zstd", "zstd-large"}
	var pools inflate.Pools
	f.Fuzz(func(t *testing.T, data, stack []byte, cut, limit int) {
		if len(stack) > inflate.MaxLayers || len(data) > 1<<14 || limit < 0 {
			return
		}
		coded := data
		var encodings []string
		longest := 0
		for _, c := range stack {
			i := int(c) % len(names)
			coded = encode(t, coders[i], coded)
			longest = max(longest, len(coded))
			encodings = append(encodings, names[i])
		}
		whole := cut < 0 || cut >= len(coded)
		if !whole {
			coded = coded[:cut]
		}
		src := &counter{r: bytes.NewReader(coded)}
		var reserved int64
		lim := inflate.Limits{Max: int64(limit), Reserve: func(n int64) error { reserved += n; return nil }}
		r, err := pools.NewReader(src, encodings, lim)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		out, err := io.ReadAll(r)
		if len(stack) > 0 && src.n > int64(limit) {
			t.Errorf("%d bytes were taken in, %d allowed", src.n, limit)
		}
		if reserved > inflate.MaxLayers*16<<20 {
			t.Errorf("%d bytes reserved", reserved)
		}
		switch {
		case err == nil && whole:
			if !bytes.Equal(out, data) {
				t.Errorf("%v: %d bytes came out, %d went in", encodings, len(out), len(data))
			}
		case err == nil, errors.Is(err, inflate.ErrCut), errors.Is(err, inflate.ErrCorrupt), errors.Is(err, inflate.ErrTooLong):
			// A piece too short to look coded is handed on as it is.
			if len(out) > 1 && !bytes.HasPrefix(data, out) && !whole {
				t.Errorf("%v cut at %d: %q is not the beginning of %q", encodings, cut, out, data)
			}
			if whole && longest < limit {
				t.Errorf("%v: %v, though nothing was longer than %d", encodings, err, longest)
			}
		default:
			t.Errorf("error of no kind: %v", err)
		}
	})
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
