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
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/testkit/s3test"
	"github.com/weircrawl/weir/internal/warc"
)

func TestMain(m *testing.M) {
	if err := s3test.Credentials(os.Setenv); err != nil {
		panic(err) // the machine's mistake: an environment that cannot be set
	}
	// Idle connections of S3 clients, which keep them until the server closes.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)

// memIndex is an Index in memory.
type memIndex struct {
	mu   sync.Mutex
	list []Segment
	fail error
}

func (m *memIndex) AddSegment(_ context.Context, s *Segment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	s.ID = int64(len(m.list) + 1)
	m.list = append(m.list, *s)
	return nil
}

func (m *memIndex) SealSegment(_ context.Context, id int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list[id-1].Sealed = true
	return nil
}

// keep does what a catalogue's commit does.
func (m *memIndex) keep(a *Archive, r *Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, size := range r.Sizes {
		m.list[id-1].Size = size
	}
	a.Keep(r)
}

// place is where an archive is, so that it can be opened again.
type place struct {
	dir    string
	store  blob.Store
	server *s3test.Server // of the S3 store
	idx    *memIndex
	opened int
}

// everywhere runs a test with files, with objects in a folder, and with S3.
func everywhere(t *testing.T, test func(t *testing.T, p *place)) {
	t.Helper()
	for name, make := range map[string]func(t *testing.T, p *place){
		"files":   func(*testing.T, *place) {},
		"objects": func(t *testing.T, p *place) { p.store = openStore(t, "file://"+t.TempDir()) },
		"s3": func(t *testing.T, p *place) {
			p.server = s3test.Start(t)
			p.store = openStore(t, p.server.URL("archive"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &place{dir: t.TempDir(), idx: &memIndex{}}
			make(t, p)
			test(t, p)
		})
	}
}

func openStore(t *testing.T, url string) blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *place) open(t *testing.T, change func(*Config)) *Archive {
	t.Helper()
	p.opened++
	cfg := Config{Dir: p.dir, Store: p.store, MaxSize: 1 << 30, MaxAge: time.Hour, Suffix: fmt.Sprintf("t%d", p.opened), Software: "Weir/test"}
	if change != nil {
		change(&cfg)
	}
	a, err := Open(t.Context(), cfg, p.idx, p.idx.list, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// append appends exchanges and commits them.
func (p *place) append(t *testing.T, a *Archive, xs ...*Exchange) *Result {
	t.Helper()
	return p.appendAt(t, a, when, xs...)
}

func (p *place) appendAt(t *testing.T, a *Archive, now time.Time, xs ...*Exchange) *Result {
	t.Helper()
	r, err := a.Append(t.Context(), now, xs)
	if err != nil {
		t.Fatal(err)
	}
	p.idx.keep(a, r)
	return r
}

func tend(t *testing.T, a *Archive, now time.Time) int {
	t.Helper()
	n, err := a.Tend(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	return n
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
		Crawl: "c1", ID: NewID(id[:]), URL: fmt.Sprintf("http://example.com/%d?a=b", n), At: when, Remote: netip.MustParseAddr("192.0.2.1"), Protocol: "HTTP/2.0", Status: 200,
		Request:  []Header{{"User-Agent", []byte("Weir/test")}},
		Response: []Header{{"Content-Type", []byte("text/html")}, {"Content-Encoding", []byte("br")}, {"Content-Length", []byte("12")}, {"X-Odd", []byte("a\r\nb")}},
		Body:     Body{Deflate: trimmed, Sum: warc.Sum{Size: int64(len(body)), CRC32: crc32.ChecksumIEEE([]byte(body))}, SHA256: sum[:]},
	}
}

func body(t *testing.T, a *Archive, p Place) string {
	t.Helper()
	r, err := a.Body(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// raw is what the archive has under a name.
func raw(t *testing.T, a *Archive, name string, size int64) []byte {
	t.Helper()
	r, err := a.shelf.read(t.Context(), name, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// text inflates a segment with the standard library, which checks every member's sum.
func (p *place) text(t *testing.T, a *Archive, n int) string {
	t.Helper()
	s := p.idx.list[n]
	z, err := gzip.NewReader(bytes.NewReader(raw(t, a, s.File, s.Size)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names lists everything that is kept, the parts of open segments included.
func (p *place) names(t *testing.T, a *Archive) []string {
	t.Helper()
	out := []string{}
	if p.store != nil {
		for i, err := range p.store.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, i.Key)
		}
		return out
	}
	for name, err := range a.shelf.list(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk") }
