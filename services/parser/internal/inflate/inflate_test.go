package inflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	fast "github.com/klauspost/compress/flate"
)

// deflate compresses with the standard library at a level, or as fetchers do at stateless.
func deflate(tb testing.TB, level int, data []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	if level == stateless {
		if err := fast.StatelessDeflate(&out, data, true, nil); err != nil {
			tb.Fatal(err)
		}
		return out.Bytes()
	}
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

const stateless = 100

// page is a text such as pages are: markup, links, and words of which some are frequent.
func page(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 2000)
	for i := range words {
		for range 1 + r.IntN(4) {
			words[i] += string("bcdfghklmnprstvw"[r.IntN(16)]) + string("aeiou"[r.IntN(5)])
		}
	}
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, `<p class="text"><a href="/category/%d/item-%d.html">`, r.IntN(50), r.IntN(10000))
		for range 40 {
			b.WriteString(words[min(int(r.ExpFloat64()*300), len(words)-1)] + " ")
		}
		b.WriteString("</a></p>\n")
	}
	return []byte(b.String()[:n])
}

// bodies are those that the tests compress.
func bodies() map[string][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	skewed := make([]byte, 100_000) // codes of all lengths
	for i := range skewed {
		skewed[i] = byte(min(r.ExpFloat64()*12, 255))
	}
	return map[string][]byte{
		"empty": nil, "one": []byte("a"), "short": []byte("hello, hello, hello"), "page": page(16 << 10), "long": page(1 << 20),
		"noise": noise, "skewed": skewed, "same": bytes.Repeat([]byte{'x'}, 70_000), "pairs": bytes.Repeat([]byte("ab"), 9000),
		"seven": bytes.Repeat([]byte("abcdefg"), 9000),
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for name, want := range bodies() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9, stateless} {
			t.Run(fmt.Sprintf("%s/%d", name, level), func(t *testing.T) {
				t.Parallel()
				var d Decoder
				src := append(deflate(t, level, want), "behind it"...)
				for _, room := range []int{0, 10, len(want), len(want) + Room} {
					got, more, err := d.Decode(make([]byte, 0, room), src, len(want))
					if err != nil || more || !bytes.Equal(got, want) {
						t.Fatalf("room %d: %d bytes, more %t, %v; want %d", room, len(got), more, err, len(want))
					}
				}
				if len(want) == 0 {
					return
				}
				got, more, err := d.Decode(nil, src, len(want)-1)
				if err != nil || !more || !bytes.Equal(got, want[:len(want)-1]) {
					t.Errorf("limited: %d bytes, more %t, %v", len(got), more, err)
				}
			})
		}
	}
}

// TestDecodeCut: whatever is there of a stream is returned, as by a reader.
func TestDecodeCut(t *testing.T) {
	t.Parallel()
	want := page(3000)
	for _, level := range []int{flate.NoCompression, 6, stateless} {
		src := deflate(t, level, want)
		var d Decoder
		for n := range src {
			got, more, err := d.Decode(make([]byte, 0, len(want)+Room), src[:n], len(want)+1)
			if !errors.Is(err, io.ErrUnexpectedEOF) && len(got) < len(want) || more || !bytes.HasPrefix(want, got) {
				t.Fatalf("level %d, %d of %d bytes: %d, more %t, %v", level, n, len(src), len(got), more, err)
			}
			if known, _ := io.ReadAll(flate.NewReader(bytes.NewReader(src[:n]))); len(got) < len(known) {
				t.Fatalf("level %d, %d of %d bytes: %d, a reader has %d", level, n, len(src), len(got), len(known))
			}
		}
	}
}

func TestDecodeCorrupt(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{
		"a third kind of block":          "\x07",
		"a stored length unlike itself":  "\x01\x05\x00\x00\x00hello",
		"a match before the first byte":  "\x03\x02\x00",
		"more codes than there are":      "\xfd\xff\xff\xff\xff\xff",
		"a code that is over-subscribed": "\x05\x00\xff\xff\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d Decoder
			if got, more, err := d.Decode(nil, []byte(src), 100); !errors.Is(err, errCorrupt) || more || len(got) > 0 {
				t.Errorf("%q, more %t, %v", got, more, err)
			}
		})
	}
}

// FuzzDecode compares with the standard library, whatever comes.
func FuzzDecode(f *testing.F) {
	for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 9, stateless} {
		f.Add(deflate(f, level, page(2000)), 2000)
		f.Add(deflate(f, level, []byte("aaaaaaaaaaaabbbbbbbbbbbbbbb")), 10)
	}
	f.Fuzz(func(t *testing.T, src []byte, size int) {
		const limit = 1 << 16
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(src)), limit+1))
		var d Decoder
		got, more, err := d.Decode(make([]byte, 0, max(0, min(size, limit))), src, limit)
		switch {
		case len(want) > limit:
			if !more || err != nil || !bytes.Equal(got, want[:limit]) {
				t.Fatalf("%d bytes, more %t, %v; want the first of more", len(got), more, err)
			}
		case (err == nil) != (wantErr == nil) || more:
			t.Fatalf("more %t, %v; want %v", more, err, wantErr)
		case wantErr == nil && !bytes.Equal(got, want):
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		case !bytes.HasPrefix(got, want):
			t.Fatalf("%d bytes before the damage, want those %d and maybe more", len(got), len(want))
		}
	})
}

// BenchmarkDecode inflates one page after the other: of the same again and again, the
// processor would know every branch.
func BenchmarkDecode(b *testing.B) {
	const pages, size = 128, 16 << 10
	all := page(pages * size)
	var src [pages][]byte
	for i := range src {
		src[i] = deflate(b, stateless, all[i*size:(i+1)*size])
	}
	b.Run("whole", func(b *testing.B) {
		var d Decoder
		buf := make([]byte, 0, size+Room)
		b.SetBytes(size)
		for i := 0; b.Loop(); i++ {
			if got, _, err := d.Decode(buf, src[i%pages], size); err != nil || len(got) != size {
				b.Fatal(err)
			}
		}
	})
	b.Run("reader", func(b *testing.B) {
		in := bytes.NewReader(nil)
		r, buf := fast.NewReader(in), make([]byte, size+1)
		b.SetBytes(size)
		for i := 0; b.Loop(); i++ {
			in.Reset(src[i%pages])
			if err := r.(fast.Resetter).Reset(in, nil); err != nil {
				b.Fatal(err)
			}
			if n, err := io.ReadFull(r, buf); err != io.ErrUnexpectedEOF || n != size {
				b.Fatal(n, err)
			}
		}
	})
}
