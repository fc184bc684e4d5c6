package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)

// memIndex is an Index in memory.
type memIndex struct {
	list []Segment
	fail error
}

func (m *memIndex) AddSegment(_ context.Context, s *Segment) error {
	if m.fail != nil {
		return m.fail
	}
	s.ID = int64(len(m.list) + 1)
	m.list = append(m.list, *s)
	return nil
}

func (m *memIndex) SealSegment(_ context.Context, id int64) error {
	m.list[id-1].Sealed = true
	return nil
}

// keep does what a catalogue's commit does.
func (m *memIndex) keep(a *Archive, r *Result) {
	for id, size := range r.Sizes {
		m.list[id-1].Size = size
	}
	a.Keep(r)
}

func open(t *testing.T, dir string, idx *memIndex, change func(*Config)) *Archive {
	t.Helper()
	cfg := Config{Dir: dir, MaxSize: 1 << 30, MaxAge: time.Hour, Suffix: fmt.Sprintf("t%d", len(idx.list)), Software: "Weir/test"}
	if change != nil {
		change(&cfg)
	}
	a, err := Open(t.Context(), cfg, idx, idx.list, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func exchange(t *testing.T, n int, body string) *Exchange {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(body))
	if err := errors.Join(w.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
	trimmed, ok := warc.Trim(b.Bytes())
	if !ok {
		t.Fatal("cannot be trimmed")
	}
	sum := sha256.Sum256([]byte(body))
	id := sha256.Sum256(fmt.Append(nil, n))
	return &Exchange{
		ID: NewID(id[:]), URL: fmt.Sprintf("http://example.com/%d?a=b", n), At: when, Remote: netip.MustParseAddr("192.0.2.1"), Protocol: "HTTP/2.0", Status: 200,
		Request:  []Header{{"User-Agent", []byte("Weir/test")}},
		Response: []Header{{"Content-Type", []byte("text/html")}, {"Content-Encoding", []byte("br")}, {"Content-Length", []byte("12")}, {"X-Odd", []byte("a\r\nb")}},
		Body:     Body{Deflate: trimmed, Sum: warc.Sum{Size: int64(len(body)), CRC32: crc32.ChecksumIEEE([]byte(body))}, SHA256: sum[:]},
	}
}

func mustAppend(t *testing.T, a *Archive, idx *memIndex, xs ...*Exchange) *Result {
	t.Helper()
	r, err := a.Append(t.Context(), when, xs)
	if err != nil {
		t.Fatal(err)
	}
	idx.keep(a, r)
	return r
}

func body(t *testing.T, a *Archive, p Place) string {
	t.Helper()
	r, err := a.Body(p)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// text inflates a file with the standard library, which checks every member's sum.
func text(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	dir, idx := t.TempDir(), &memIndex{}
	a := open(t, dir, idx, nil)
	long := exchange(t, 2, strings.Repeat("long ", 1_000_000))
	long.Body.Stream, long.Body.Deflate = bytes.NewReader(long.Body.Deflate), nil
	empty := exchange(t, 3, "")
	empty.Body = Body{}
	cut := exchange(t, 4, "cut")
	cut.Truncated = true
	r := mustAppend(t, a, idx, exchange(t, 1, "hello"), long, empty, cut)
	for i, want := range []string{"hello", strings.Repeat("long ", 1_000_000), "", "cut"} {
		if got := body(t, a, r.Places[i]); got != want {
			t.Errorf("body %d is %.20q", i, got)
		}
	}

	head := func(kind, contentType, id, more string, length int) string {
		out := "WARC/1.1\r\nWARC-Type: " + kind + "\r\nWARC-Record-ID: " + id + "\r\nWARC-Date: 2026-11-22T10:11:12.345678Z\r\n" + more
		return out + fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, length)
	}
	x := exchange(t, 1, "hello")
	file := idx.list[0].File
	info := "WARC-Warcinfo-ID: " + a.info.String() + "\r\n"
	wantInfo := "software: Weir/test\r\nformat: WARC File Format 1.1\r\nconformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"
	response := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Archive-Orig-Content-Encoding: br\r\nX-Archive-Orig-Content-Length: 12\r\nX-Odd: a  b\r\nContent-Length: 5\r\n\r\nhello"
	request := "GET /1?a=b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Weir/test\r\n\r\n"
	want := head("warcinfo", "application/warc-fields", a.info.String(), "WARC-Filename: "+file+"\r\n", len(wantInfo)) + wantInfo + "\r\n\r\n" +
		head("response", warc.TypeResponse, x.ID.String(), "WARC-Target-URI: "+x.URL+"\r\nWARC-IP-Address: 192.0.2.1\r\nWARC-Payload-Digest: sha256:"+
			fmt.Sprintf("%x", x.Body.SHA256)+"\r\n"+info, len(response)) + response + "\r\n\r\n" +
		head("request", warc.TypeRequest, requestID(x.ID).String(), "WARC-Target-URI: "+x.URL+"\r\nWARC-Concurrent-To: "+x.ID.String()+"\r\n"+info, len(request)) + request + "\r\n\r\n"
	got := text(t, filepath.Join(dir, file))
	if diff := cmp.Diff(want, got[:min(len(want), len(got))]); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(got, "WARC-Truncated: length\r\n"); n != 1 {
		t.Errorf("%d truncated records", n)
	}
}

func TestTailIsCut(t *testing.T) {
	t.Parallel()
	dir, idx := t.TempDir(), &memIndex{}
	a := open(t, dir, idx, nil)
	first := mustAppend(t, a, idx, exchange(t, 1, "kept"))
	path := filepath.Join(dir, idx.list[0].File)

	// Appended, but the catalogue's commit failed: the next batch takes its place.
	if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 2, "lost")}); err != nil {
		t.Fatal(err)
	}
	second := mustAppend(t, a, idx, exchange(t, 3, "second"))
	if second.Places[0].Offset != first.Sizes[1] {
		t.Errorf("the second batch is at %d, the first ended at %d", second.Places[0].Offset, first.Sizes[1])
	}
	// Appended, then a crash.
	if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 4, "lost")}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, idx, nil)
	if st, err := os.Stat(path); err != nil || st.Size() != second.Sizes[1] {
		t.Errorf("the file has %v bytes, %d were committed (%v)", st.Size(), second.Sizes[1], err)
	}
	third := mustAppend(t, a, idx, exchange(t, 5, "third"))
	if len(idx.list) != 1 || third.Places[0].Offset != second.Sizes[1] {
		t.Errorf("not appended to the same file: %+v", third.Places[0])
	}
	if got := text(t, path); strings.Contains(got, "lost") || strings.Count(got, "WARC-Type: response") != 3 {
		t.Errorf("file: %s", got)
	}
	for place, want := range map[Place]string{first.Places[0]: "kept", second.Places[0]: "second", third.Places[0]: "third"} {
		if got := body(t, a, place); got != want {
			t.Errorf("body %q, want %q", got, want)
		}
	}
}

func TestRoll(t *testing.T) {
	t.Parallel()
	dir, idx := t.TempDir(), &memIndex{}
	a := open(t, dir, idx, func(c *Config) { c.MaxSize = 1000 })
	for n := range 3 {
		x := exchange(t, n, strings.Repeat(fmt.Sprint(n), 100))
		r, err := a.Append(t.Context(), when.Add(time.Duration(n)*time.Second), []*Exchange{x, x})
		if err != nil {
			t.Fatal(err)
		}
		idx.keep(a, r)
	}
	if len(idx.list) != 3 || !idx.list[0].Sealed || !idx.list[1].Sealed || idx.list[2].Sealed {
		t.Errorf("by size: %+v", idx.list)
	}
	a.cfg.MaxSize = 1 << 30
	r, err := a.Append(t.Context(), when.Add(2*time.Hour), []*Exchange{exchange(t, 9, "")})
	if err != nil {
		t.Fatal(err)
	}
	idx.keep(a, r)
	if len(idx.list) != 4 || !idx.list[2].Sealed {
		t.Errorf("by age: %+v", idx.list)
	}
	for _, s := range idx.list {
		if !strings.HasPrefix(text(t, filepath.Join(dir, s.File)), "WARC/1.1\r\nWARC-Type: warcinfo") {
			t.Errorf("%s has no warcinfo record first", s.File)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	dir, idx := t.TempDir(), &memIndex{}
	a := open(t, dir, idx, nil)
	idx.fail = crawl.Errorf(crawl.Unavailable, "full")
	if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 1, "a")}); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("error %v", err)
	}
	idx.fail = nil
	// A body that fails in the middle, on its way from another file.
	broken := exchange(t, 2, "b")
	broken.Body = Body{Stream: io.MultiReader(strings.NewReader("xx"), brokenReader{}), Sum: warc.Sum{Size: 10}}
	if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 1, "a"), broken}); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("error %v", err)
	}
	if st, err := os.Stat(filepath.Join(dir, idx.list[0].File)); err != nil || st.Size() != 0 {
		t.Errorf("%d bytes are left of a failed batch, %v", st.Size(), err)
	}
	r := mustAppend(t, a, idx, exchange(t, 1, "a"))
	if got := body(t, a, r.Places[0]); got != "a" {
		t.Errorf("body %q", got)
	}
	if _, err := a.Body(Place{File: "../../etc/passwd", Length: 10}); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("a path out of the folder: %v", err)
	}

	// A file that lost what was committed is not appended to.
	if err := errors.Join(a.Close(), os.Truncate(filepath.Join(dir, idx.list[0].File), 10)); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, idx, nil)
	mustAppend(t, a, idx, exchange(t, 3, "c"))
	if len(idx.list) != 2 || !idx.list[0].Sealed {
		t.Errorf("segments %+v", idx.list)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk") }
