package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	kflate "github.com/klauspost/compress/flate"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inflate reads a whole stream with two readers of others.
func inflate(tb testing.TB, stream []byte) []byte {
	tb.Helper()
	std, err := io.ReadAll(flate.NewReader(bytes.NewReader(stream)))
	if err != nil {
		tb.Fatalf("compress/flate: %v", err)
	}
	other, err := io.ReadAll(kflate.NewReader(bytes.NewReader(stream)))
	if err != nil || !bytes.Equal(std, other) {
		tb.Fatalf("klauspost/compress: %v, %d bytes of %d", err, len(other), len(std))
	}
	return std
}

func check(tb testing.TB, e *Encoder, src []byte) []byte {
	tb.Helper()
	prefix := []byte("before")
	out := e.Append(prefix, src)
	if !bytes.HasPrefix(out, prefix) {
		tb.Fatal("what was there before is not there")
	}
	out = out[len(prefix):]
	if got := inflate(tb, out); !bytes.Equal(got, src) {
		tb.Fatalf("%d bytes became %d", len(src), len(got))
	}
	if !bytes.HasSuffix(out, []byte{0, 0, 0xff, 0xff, 3, 0}) {
		tb.Fatalf("the stream ends in % x", out[max(0, len(out)-8):])
	}
	return out
}

func page(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "<p>Paragraph %d with <a href=\"/page/%d\">a link</a> and words %x.</p>\n", i, i*7919%1000, i*2654435761)
	}
	return b.Bytes()[:n]
}

func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// fibonacci has counts that make the longest codes.
func fibonacci() []byte {
	var out []byte
	a, b := 1, 1
	for sym := byte(0); len(out)+a < MaxInput; sym++ {
		for range a {
			out = append(out, sym)
		}
		a, b = b, a+b
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestAppend(t *testing.T) {
	t.Parallel()
	far := append(append(noise(40, 7), make([]byte, maxDistance-40)...), noise(40, 7)...)
	for name, src := range map[string][]byte{
		"empty":                      nil,
		"a byte":                     {'x'},
		"a few":                      []byte("hello"),
		"zeros":                      make([]byte, 300),
		"as many zeros as there may": make([]byte, MaxInput),
		"zeros and two more":         append(make([]byte, maxMatch+2+16), noise(64, 3)...),
		"page":                       page(16 << 10),
		"the longest page":           page(MaxInput),
		"noise":                      noise(5000, 1),
		"the longest noise":          noise(MaxInput, 2),
		"a match from the far end":   far,
		"a match beyond it":          append(append(noise(40, 7), make([]byte, maxDistance-39)...), noise(40, 7)...),
		"long codes":                 fibonacci(),
		"two letters":                []byte(strings.Repeat("ab", 5000)),
		"every byte once": func() (b []byte) {
			for i := range 256 {
				b = append(b, byte(i))
			}
			return b
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := New()
			first := bytes.Clone(check(t, e, src))
			if len(first) > len(src)+17 {
				t.Errorf("%d bytes became %d", len(src), len(first))
			}
			check(t, e, noise(2000, 9))
			if again := check(t, e, src); !bytes.Equal(first, again) {
				t.Error("the second time it is another stream")
			}
		})
	}
}

// TestSizes: every length near a border, of text and of what compresses badly.
func TestSizes(t *testing.T) {
	t.Parallel()
	e := New()
	text, bad := page(1000), noise(1000, 5)
	for n := range 300 {
		check(t, e, text[:n])
		check(t, e, bad[:n])
	}
	for n := MaxInput - 20; n <= MaxInput; n++ {
		check(t, e, page(n))
	}
}

// TestAsGood: it compresses a page as the other does at level 1, give or take.
func TestAsGood(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		src := page(n)
		var other bytes.Buffer
		w, _ := kflate.NewWriter(&other, kflate.BestSpeed)
		_, _ = w.Write(src)
		_ = w.Close()
		if got := len(New().Append(nil, src)); got > other.Len()*105/100+16 {
			t.Errorf("%d bytes became %d, and %d at level 1", n, got, other.Len())
		}
	}
}

func TestAllocations(t *testing.T) {
	e, src := New(), page(16<<10)
	dst := e.Append(nil, src)
	if n := testing.AllocsPerRun(20, func() { dst = e.Append(dst[:0], src) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAppend(f *testing.F) {
	for _, src := range [][]byte{nil, page(500), noise(300, 4), fibonacci()[:2000], make([]byte, 1000)} {
		f.Add(src, 1)
		f.Add(src, 7)
	}
	f.Fuzz(func(t *testing.T, src []byte, times int) {
		src = bytes.Repeat(src, 1+(times&0xf))
		check(t, New(), src[:min(len(src), MaxInput)])
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{4 << 10, 16 << 10, 64 << 10} {
		src := page(n)
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			e := New()
			var dst []byte
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				dst = e.Append(dst[:0], src)
			}
			b.ReportMetric(float64(len(dst)), "out")
		})
		b.Run(fmt.Sprintf("%dKiB klauspost", n>>10), func(b *testing.B) {
			var out bytes.Buffer
			w, _ := kflate.NewWriter(&out, kflate.BestSpeed)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				w.Reset(&out)
				_, _ = w.Write(src)
				_ = w.Flush()
				_ = w.Close()
			}
			b.ReportMetric(float64(out.Len()), "out")
		})
	}
}
