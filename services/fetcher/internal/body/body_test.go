package body_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/services/fetcher/internal/body"
)

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func free(int64) error { return nil }

// verify checks every fact about a body against the data it should hold.
func verify(t *testing.T, b body.Body, want []byte) {
	t.Helper()
	var out []byte
	if b.Compressed > 0 {
		var err error
		if out, err = io.ReadAll(flate.NewReader(bytes.NewReader(b.Bytes()))); err != nil {
			t.Fatalf("inflate: %v", err)
		}
	}
	if !bytes.Equal(out, want) {
		t.Errorf("%d bytes back of %d", len(out), len(want))
	}
	total := 0
	for _, s := range b.Segments {
		total += len(s)
	}
	if b.Size != int64(len(want)) || b.Compressed != int64(total) || b.CRC32 != crc32.ChecksumIEEE(want) {
		t.Errorf("size %d, compressed %d of %d, crc %x", b.Size, b.Compressed, total, b.CRC32)
	}
	if sum := sha256.Sum256(want); len(want) > 0 && b.SHA256 != sum {
		t.Errorf("sha256 %x", b.SHA256)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("a page of text, ", 40_000))
	random := noise(600_000)
	tests := []struct {
		name  string
		data  []byte
		limit int64
		want  int
	}{
		{"empty", nil, 1 << 20, 0},
		{"one byte", []byte("x"), 1 << 20, 1},
		{"page", text[:16<<10], 1 << 20, 16 << 10},
		{"one byte less than a chunk", text[:64<<10-1], 1 << 20, 64<<10 - 1},
		{"a chunk", text[:64<<10], 1 << 20, 64 << 10},
		{"a chunk and a byte", text[:64<<10+1], 1 << 20, 64<<10 + 1},
		{"long", text, 1 << 20, len(text)},
		{"long and random", random, 1 << 20, len(random)},
		{"exactly the limit", text[:1000], 1000, 1000},
		{"over a short limit", text, 1000, 1000},
		{"a limit of one chunk", text, 64 << 10, 64 << 10},
		{"over a long limit", text, 300_000, 300_000},
		{"exactly a long limit", random, int64(len(random)), len(random)},
	}
	var r body.Reader
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, src := range []io.Reader{bytes.NewReader(tt.data), iotest.HalfReader(bytes.NewReader(tt.data)), iotest.DataErrReader(bytes.NewReader(tt.data))} {
				b, err := r.Read(src, tt.limit, free)
				if err != nil {
					t.Fatal(err)
				}
				verify(t, b, tt.data[:tt.want])
				if b.Cut != (len(tt.data) > tt.want) {
					t.Errorf("cut = %v", b.Cut)
				}
			}
		})
	}
}

func TestReadKeepsWhatCame(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, n := range []int{0, 10, 64 << 10, 200_000} {
		data := noise(n)
		var r body.Reader
		b, err := r.Read(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), 1<<20, free)
		if !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", n, err)
		}
		verify(t, b, data)
	}
}

func TestReadAsksForMemory(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	data := noise(2 << 20)
	for _, allowed := range []int64{0, 1 << 20, 2 << 20} {
		var held int64
		var r body.Reader
		b, err := r.Read(bytes.NewReader(data), 16<<20, func(n int64) error {
			if held+n > allowed {
				return refused
			}
			held += n
			return nil
		})
		if !errors.Is(err, refused) || !b.Cut {
			t.Errorf("%d bytes allowed: cut=%v, %v", allowed, b.Cut, err)
		}
		if b.Size == 0 || b.Size == int64(len(data)) {
			t.Errorf("%d bytes allowed: %d kept", allowed, b.Size)
		}
		verify(t, b, data[:b.Size])
		// The compressor may hold a block or two when memory is refused.
		if int64(len(b.Segments)) > max(allowed-768<<10, 0)/(64<<10)+5 {
			t.Errorf("%d bytes allowed: %d segments", allowed, len(b.Segments))
		}
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	b := body.Body{Segments: [][]byte{[]byte("ab"), []byte("c")}, Compressed: 3}
	if diff := cmp.Diff([]byte("abc"), b.Bytes()); diff != "" {
		t.Error(diff)
	}
	if (&body.Body{}).Bytes() != nil {
		t.Error("bytes of an empty body")
	}
}
