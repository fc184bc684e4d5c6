package warc

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	stdflate "compress/flate"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
)

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678900, time.UTC)

func id(n byte) ID { return ID{0: 0x80, 6: 0x80, 8: 0x80, 15: n} }

// deflate compresses as a fetcher does: flushed, then closed.
func deflate(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum(data []byte) Sum {
	return Sum{Size: int64(len(data)), CRC32: crc32.ChecksumIEEE(data)}
}

func page(n int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "<p><a href=\"/x/%d\">link %d</a> some text</p>\n", rng.IntN(1000), rng.IntN(10))
	}
	return b.Bytes()[:n]
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	body := page(16 << 10)
	digest := sha256.Sum256(body)
	head := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
	trimmed, ok := Trim(deflate(t, body))
	if !ok {
		t.Fatal("a flushed and closed stream cannot be trimmed")
	}
	e := NewEncoder()
	var file []byte
	file = e.Append(file, &Record{Type: Info, ID: id(1), Date: when, Filename: "a.warc.gz", ContentType: TypeFields}, []byte("software: test\r\n"))
	second := int64(len(file))
	file = e.AppendSpliced(file, &Record{
		Type: Response, ID: id(2), Date: when, TargetURI: "http://example.com/\r\nWARC-Type: forged",
		IP: netip.MustParseAddr("::ffff:192.0.2.1"), PayloadDigest: digest[:], Truncated: "length",
		InfoID: id(1), ContentType: TypeResponse,
	}, head, trimmed, sum(body))
	third := int64(len(file))
	file = e.Append(file, &Record{Type: Revisit, ID: id(3), Date: when, TargetURI: "http://example.com/2", Profile: ProfileIdenticalPayload,
		RefersTo: id(2), RefersToURI: "http://example.com/", RefersToDate: when, ConcurrentTo: id(4), ContentType: TypeResponse}, head)

	type got struct {
		Version string
		Fields  []Field
		Offset  int64
		Block   string
	}
	want := []got{
		{"1.1", []Field{
			{"WARC-Type", "warcinfo"}, {"WARC-Record-ID", "<urn:uuid:80000000-0000-8000-8000-000000000001>"},
			{"WARC-Date", "2026-11-22T10:11:12.345678Z"}, {"WARC-Filename", "a.warc.gz"},
			{"Content-Type", "application/warc-fields"}, {"Content-Length", "16"},
		}, 0, "software: test\r\n"},
		{"1.1", []Field{
			{"WARC-Type", "response"}, {"WARC-Record-ID", id(2).String()}, {"WARC-Date", "2026-11-22T10:11:12.345678Z"},
			{"WARC-Target-URI", "http://example.com/  WARC-Type: forged"}, {"WARC-IP-Address", "192.0.2.1"},
			{"WARC-Payload-Digest", fmt.Sprintf("sha256:%x", digest)}, {"WARC-Truncated", "length"},
			{"WARC-Warcinfo-ID", id(1).String()}, {"Content-Type", TypeResponse}, {"Content-Length", fmt.Sprint(len(head) + len(body))},
		}, second, string(head) + string(body)},
		{"1.1", []Field{
			{"WARC-Type", "revisit"}, {"WARC-Record-ID", id(3).String()}, {"WARC-Date", "2026-11-22T10:11:12.345678Z"},
			{"WARC-Target-URI", "http://example.com/2"}, {"WARC-Concurrent-To", id(4).String()}, {"WARC-Refers-To", id(2).String()},
			{"WARC-Refers-To-Target-URI", "http://example.com/"}, {"WARC-Refers-To-Date", "2026-11-22T10:11:12.345678Z"},
			{"WARC-Profile", ProfileIdenticalPayload}, {"Content-Type", TypeResponse}, {"Content-Length", fmt.Sprint(len(head))},
		}, third, string(head)},
	}
	read := func(file []byte) (all []got) {
		r := NewReader(bytes.NewReader(file))
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				if r.End() != int64(len(file)) {
					t.Errorf("End is %d, the file has %d bytes", r.End(), len(file))
				}
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			block, err := io.ReadAll(e)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, got{e.Version, e.Fields, e.Offset, string(block)})
		}
	}
	if diff := cmp.Diff(want, read(file)); diff != "" {
		t.Error(diff)
	}

	// The standard library's reader inflates every member and checks its sum.
	zr, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	// The same records, not compressed.
	texts := read(plain)
	for i := range texts {
		texts[i].Offset = want[i].Offset
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("plain: %s", diff)
	}
}

func TestSpliceOfManySizes(t *testing.T) {
	t.Parallel()
	e := NewEncoder()
	for n := range 400 {
		body := page(n * n / 3)
		trimmed, ok := Trim(deflate(t, body))
		if !ok {
			t.Fatalf("%d bytes: cannot be trimmed", len(body))
		}
		// Heads below and above what is stored without compression.
		head := page(n * 10)
		body = append(bytes.Clone(head), body...)
		file := e.AppendSpliced(nil, &Record{Type: Response, ID: id(1), Date: when}, head, trimmed, sum(body[len(head):]))
		rec, err := NewReader(bytes.NewReader(file)).Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rec)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: another body, %v", len(body), err)
		}
		if end, _ := LastWhole(bytes.NewReader(file)); end != int64(len(file)) {
			t.Fatalf("%d bytes: the member's sum is wrong", len(body))
		}
	}
}

func TestResync(t *testing.T) {
	t.Parallel()
	body := page(100_000)
	for name, level := range map[string]int{"stored": 0, "fast": 1, "best": 9, "huffman": -2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var foreign, own bytes.Buffer
			w, err := stdflate.NewWriter(&foreign, level)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(body); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if Trimmable(foreign.Bytes()) {
				t.Error("a stream without a sync marker counts as trimmable")
			}
			var rs Resyncer
			if _, err := rs.Resync(io.Discard, strings.NewReader("\xff\xff\xff")); err == nil {
				t.Error("garbage was taken for a stream")
			}
			got, err := rs.Resync(&own, &foreign) // after a broken one
			if err != nil || got != sum(body) {
				t.Fatalf("sum %+v, %v", got, err)
			}
			if !Trimmable(own.Bytes()) {
				t.Error("the new stream cannot be trimmed")
			}
			back, err := io.ReadAll(flate.NewReader(&own))
			if err != nil || !bytes.Equal(back, body) {
				t.Errorf("another body, %v", err)
			}
		})
	}
}

func TestCombineCRC(t *testing.T) {
	t.Parallel()
	data := page(70_000)
	for _, cut := range []int{0, 1, 2, 3, 7, 255, 256, 4097, 65_535, 69_999, 70_000} {
		got := combineCRC(crc32.ChecksumIEEE(data[:cut]), crc32.ChecksumIEEE(data[cut:]), int64(len(data)-cut))
		if want := crc32.ChecksumIEEE(data); got != want {
			t.Errorf("cut at %d: %08x, want %08x", cut, got, want)
		}
	}
}

func TestLastWhole(t *testing.T) {
	t.Parallel()
	e := NewEncoder()
	var file []byte
	var ends []int64
	for i := range 5 {
		file = e.Append(file, &Record{Type: Metadata, ID: id(byte(i)), Date: when}, page(500))
		ends = append(ends, int64(len(file)))
	}
	for cut := range len(file) + 1 {
		want := int64(0)
		for _, end := range ends {
			if end <= int64(cut) {
				want = end
			}
		}
		if got, err := LastWhole(bytes.NewReader(file[:cut])); got != want || err != nil {
			t.Fatalf("cut at %d: %d, %v; want %d", cut, got, err, want)
		}
	}
	for name, tail := range map[string]string{"zeros": "\x00\x00\x00\x00", "text": "hello", "half a member": string(file[:30])} {
		if got, err := LastWhole(strings.NewReader(string(file) + tail)); got != int64(len(file)) || err != nil {
			t.Errorf("%s behind: %d, %v", name, got, err)
		}
	}
	damaged := bytes.Clone(file)
	damaged[ends[3]-6] ^= 1 // in the sum of the fourth record
	if got, err := LastWhole(bytes.NewReader(damaged)); got != ends[2] || err != nil {
		t.Errorf("damaged: %d, %v; want %d", got, err, ends[2])
	}
	broken := errors.New("disk")
	if _, err := LastWhole(io.MultiReader(bytes.NewReader(file[:50]), errReader{broken})); !errors.Is(err, broken) {
		t.Errorf("a failing disk counts as a damaged file: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"other text":      "HTTP/1.1 200 OK\r\n\r\n",
		"no length":       "WARC/1.1\r\nWARC-Type: response\r\n\r\n\r\n\r\n",
		"negative length": "WARC/1.1\r\nContent-Length: -1\r\n\r\n\r\n\r\n",
		"bad header line": "WARC/1.1\r\nhello\r\n\r\n",
		"no end":          "WARC/1.1\r\nContent-Length: 2\r\n\r\nabcdef",
		"cut":             "WARC/1.1\r\nContent-Length: 2000\r\n\r\nabcdef",
		"one byte":        "W",
		"endless line":    "WARC/1.1\r\nA: " + strings.Repeat("x", maxLine*2),
		"endless header":  "WARC/1.1\r\n" + strings.Repeat("A: "+strings.Repeat("x", 1000)+"\r\n", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewReader(strings.NewReader(in))
			_, err := r.Next()
			if err == nil {
				_, err = r.Next()
			}
			if !errors.Is(err, ErrFormat) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestSkipHTTPHead(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"usual":            "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		"line feeds":       "HTTP/1.1 200 OK\nA: b\n\n",
		"a buffer's line":  "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 16-3) + "\r\n\r\n",
		"many buffers":     "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 1000) + "\r\n\r\n",
		"status line only": "HTTP/1.1 200 OK\r\n\r\n",
	} {
		b := bufio.NewReaderSize(strings.NewReader(head+"\r\nbody"), 16)
		err := SkipHTTPHead(b)
		rest, _ := io.ReadAll(b)
		if err != nil || string(rest) != "\r\nbody" {
			t.Errorf("%s: %q is left, %v", name, rest, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	e := NewEncoder()
	f.Add(e.Append(nil, &Record{Type: Info, ID: id(1), Date: when}, []byte("a: b\r\n")))
	f.Add([]byte("WARC/1.1\r\nContent-Length: 2\r\n\r\nab\r\n\r\nWARC/1.0\r\nContent-Length: 0\r\n\r\n\r\n\r\n"))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		for {
			before := r.End()
			e, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFormat) {
					t.Fatalf("error of another kind: %v", err)
				}
				break
			}
			if e.Offset < before || e.Offset > int64(len(in)) || e.Length < 0 {
				t.Fatalf("record at %d of length %d, the last one ended at %d", e.Offset, e.Length, before)
			}
		}
		end, err := LastWhole(bytes.NewReader(in))
		if err != nil || end != r.End() || end > int64(len(in)) {
			t.Fatalf("last whole record ends at %d, %v; want %d", end, err, r.End())
		}
		if again, _ := LastWhole(bytes.NewReader(in[:end])); again != end {
			t.Fatalf("cut at %d, then at %d", end, again)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("http://example.com/", []byte("HTTP/1.1 200 OK\r\n\r\n"), []byte("hello"))
	f.Add("\r\n", []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, uri string, head, body []byte) {
		e := NewEncoder()
		trimmed, ok := Trim(deflate(t, body))
		if !ok {
			t.Fatal("cannot be trimmed")
		}
		rec := &Record{Type: Response, ID: id(1), Date: when, TargetURI: uri}
		whole := bytes.Join([][]byte{head, body}, nil)
		file := e.AppendSpliced(nil, rec, head, trimmed, sum(body))
		file = e.Append(file, rec, whole)
		if len(uri) > maxLine/2 {
			return
		}
		r := NewReader(bytes.NewReader(file))
		for range 2 {
			got, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			block, err := io.ReadAll(got)
			if err != nil || !bytes.Equal(block, whole) {
				t.Fatalf("block %q, %v", block, err)
			}
			if u := got.Get("warc-target-uri"); u != strings.TrimSpace(string(AppendClean(nil, uri))) {
				t.Fatalf("URI %q of %q", u, uri)
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

func BenchmarkAppendSpliced(b *testing.B) {
	body := page(16 << 10)
	digest := sha256.Sum256(body)
	trimmed, _ := Trim(deflate(b, body))
	head := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 10:11:12 GMT\r\nContent-Length: 16384\r\n\r\n")
	e := NewEncoder()
	rec := &Record{Type: Response, ID: id(2), Date: when, TargetURI: "http://example.com/some/path", IP: netip.MustParseAddr("192.0.2.1"), PayloadDigest: digest[:], InfoID: id(1), ContentType: TypeResponse}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = e.AppendSpliced(dst[:0], rec, head, trimmed, sum1)
	}
}

var sum1 = Sum{Size: 16 << 10, CRC32: 1}

func BenchmarkAppendRequest(b *testing.B) {
	head := []byte("GET /some/path HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Weir/0.1 (+https://github.com/weircrawl/weir)\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\r\n")
	e := NewEncoder()
	rec := &Record{Type: Request, ID: id(2), Date: when, TargetURI: "http://example.com/some/path", ConcurrentTo: id(3), InfoID: id(1), ContentType: TypeRequest}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = e.Append(dst[:0], rec, head)
	}
}
