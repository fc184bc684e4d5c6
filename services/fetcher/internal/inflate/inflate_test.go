package inflate_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

func encode(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "flate":
		w, _ = flate.NewWriter(&b, 6)
	case "br":
		w = brotli.NewWriterLevel(&b, 4)
	case "br-large":
		w = brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 4, LGWin: 24})
	case "zstd":
		w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
	case "zstd-large":
		w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	// An encoder that does not know the length keeps the window it was given.
	if f, ok := w.(interface{ Flush() error }); ok && strings.HasSuffix(coding, "large") {
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLargeWindowsAreReserved(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("all work and no play makes jack a dull boy "), 10_000)
	var p inflate.Pools
	refused := errors.New("refused")
	for coding, want := range map[string]int64{"gzip": 0, "br-large": 16 << 20, "zstd": 0, "zstd-large": 16 << 20} {
		name, _, _ := strings.Cut(coding, "-")
		coded := encode(t, coding, data)
		for range 3 { // fresh and pooled decoders
			var got int64
			r, err := p.NewReader(bytes.NewReader(coded), []string{name}, inflate.Limits{Max: 32 << 20, Reserve: func(n int64) error { got += n; return nil }})
			if err != nil {
				t.Fatal(err)
			}
			out, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(out, data) {
				t.Errorf("%s: %d bytes, %v", coding, len(out), err)
			}
			if got != want {
				t.Errorf("%s reserved %d, want %d", coding, got, want)
			}
			r.Close()
		}
		if want == 0 {
			continue
		}
		r, err := p.NewReader(bytes.NewReader(coded), []string{name}, inflate.Limits{Max: 32 << 20, Reserve: func(int64) error { return refused }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, refused) || errors.Is(err, inflate.ErrCorrupt) {
			t.Errorf("%s without memory: %v", coding, err)
		}
		r.Close()
	}
	// Magic, no content size, a window of 64 MiB, one last raw block of one byte.
	huge := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 16 << 3, 0x09, 0x00, 0x00, 'x'}
	r, err := p.NewReader(bytes.NewReader(huge), []string{"zstd"}, inflate.Limits{Max: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, inflate.ErrCorrupt) {
		t.Errorf("a window of 64 MiB: %v", err)
	}
}

func TestSourceErrorsPassThrough(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	data := bytes.Repeat([]byte("some text "), 10_000)
	var p inflate.Pools
	for _, coding := range []string{"gzip", "br", "zstd", "zlib", "flate"} {
		coded := encode(t, coding, data)
		name := map[string]string{"zlib": "deflate", "flate": "deflate"}[coding]
		if name == "" {
			name = coding
		}
		for _, at := range []int{0, 1, 2, 10, len(coded) / 2, len(coded) - 1} {
			src := io.MultiReader(bytes.NewReader(coded[:at]), iotest.ErrReader(broken))
			r, err := p.NewReader(src, []string{name}, inflate.Limits{Max: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); !errors.Is(err, broken) {
				t.Errorf("%s broken at %d: %v", coding, at, err)
			}
			r.Close()
			r, err = p.NewReader(bytes.NewReader(coded[:at]), []string{name}, inflate.Limits{Max: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); at > 2 && !errors.Is(err, inflate.ErrCut) {
				t.Errorf("%s cut at %d: %v", coding, at, err)
			}
			r.Close()
		}
	}
}

// TestTroubleBetweenMembers: a source that breaks, or has given all that it may, inside
// the header of a further gzip member is no quiet end.
func TestTroubleBetweenMembers(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	one := encode(t, "gzip", []byte("one"))
	two := append(bytes.Clone(one), encode(t, "gzip", []byte("two"))...)
	var p inflate.Pools
	for at := len(one) + 1; at < len(two); at++ {
		for _, tt := range []struct {
			src  io.Reader
			max  int64
			want error
		}{
			{io.MultiReader(bytes.NewReader(two[:at]), iotest.ErrReader(broken)), 1 << 20, broken},
			{bytes.NewReader(two), int64(at), inflate.ErrTooLong},
		} {
			r, err := p.NewReader(iotest.OneByteReader(tt.src), []string{"gzip"}, inflate.Limits{Max: tt.max})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := io.ReadAll(r); !errors.Is(err, tt.want) || !bytes.HasPrefix([]byte("onetwo"), out) || len(out) < 3 {
				t.Errorf("at %d of %d: %q, %v, want %v", at, len(two), out, err, tt.want)
			}
			r.Close()
		}
	}
}

func TestReadAfterClose(t *testing.T) {
	t.Parallel()
	var p inflate.Pools
	r, err := p.NewReader(strings.NewReader("x"), []string{"gzip"}, inflate.Limits{Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	r.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v", n, err)
	}
}

// FuzzReader checks that no body makes a reader panic, run on, or break the next
// user of its decoder.
func FuzzReader(f *testing.F) {
	data := bytes.Repeat([]byte("<p>seed</p>"), 50)
	for _, c := range []string{"gzip", "br", "zstd", "zlib", "flate"} {
		f.Add(encode(f, c, data), "gzip", c)
		f.Add(encode(f, c, data), c, "")
		f.Add(encode(f, "gzip", encode(f, c, data)), c, "gzip")
	}
	f.Add([]byte("plain"), "gzip, deflate", "br,identity,,zstd")
	f.Add([]byte{}, "zstd", "utf-8")
	var p inflate.Pools
	check := map[string][]byte{}
	for _, c := range []string{"gzip", "br", "zstd"} {
		check[c] = encode(f, c, data)
	}
	f.Fuzz(func(t *testing.T, body []byte, enc1, enc2 string) {
		const limit = 1 << 20
		r, err := p.NewReader(bytes.NewReader(body), []string{enc1, enc2}, inflate.Limits{Max: limit})
		if err != nil {
			return
		}
		_, err = io.Copy(io.Discard, io.LimitReader(r, limit))
		if err != nil && !errors.Is(err, inflate.ErrCorrupt) && !errors.Is(err, inflate.ErrCut) && !errors.Is(err, inflate.ErrTooLong) {
			t.Errorf("error of no kind: %v", err)
		}
		r.Close()
		for c, coded := range check {
			r, err := p.NewReader(bytes.NewReader(coded), []string{c}, inflate.Limits{Max: limit})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := io.ReadAll(r); err != nil || !bytes.Equal(out, data) {
				t.Errorf("%s after it: %d bytes, %v", c, len(out), err)
			}
			r.Close()
		}
	})
}
