package output

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	"github.com/weircrawl/weir/internal/testkit/s3test"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	if err := s3test.Credentials(os.Setenv); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// shelf is a storage service that has items, two in a message.
type shelf struct {
	storagev1.UnimplementedStorageServiceServer
	mu    sync.Mutex
	items []string
	fail  error
}

func (s *shelf) put(items ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, items...)
}

func (s *shelf) ListItems(req *storagev1.ListItemsRequest, out grpc.ServerStreamingServer[storagev1.ListItemsResponse]) error {
	s.mu.Lock()
	items := slices.Clone(s.items)
	s.mu.Unlock()
	var batch []*storagev1.StoredItem
	var n uint64
	for i, json := range items {
		cursor := uint64(i) + 1
		if cursor <= req.GetAfter() || req.GetLimit() > 0 && n == req.GetLimit() {
			continue
		}
		n++
		if batch = append(batch, &storagev1.StoredItem{Cursor: cursor, Json: []byte(json)}); len(batch) == 2 {
			if err := out.Send(&storagev1.ListItemsResponse{Items: batch}); err != nil {
				return err
			}
			batch = nil
		}
	}
	if err := out.Send(&storagev1.ListItemsResponse{Items: batch}); err != nil {
		return err
	}
	return s.fail
}

// Export has an archive of three pieces, and fails behind it where the shelf fails.
func (s *shelf) Export(req *storagev1.ExportRequest, out grpc.ServerStreamingServer[storagev1.ExportResponse]) error {
	for _, piece := range []string{"re", "cor", "ds of " + req.GetCrawlId() + " as " + req.GetFormat()} {
		if err := out.Send(&storagev1.ExportResponse{Data: []byte(piece)}); err != nil {
			return err
		}
	}
	if s.fail != nil {
		return s.fail
	}
	return out.Send(&storagev1.ExportResponse{Warnings: []string{"one is missing"}})
}

// source serves a shelf over a real connection.
func source(t *testing.T, s *shelf) export.Source {
	t.Helper()
	return export.Remote{Client: dial(t, s), Request: &storagev1.ListItemsRequest{CrawlId: "c"}}
}

func dial(t *testing.T, s *shelf) storagev1.StorageServiceClient {
	t.Helper()
	lis := bufconn.Listen(1 << 16)
	srv := grpc.NewServer()
	storagev1.RegisterStorageServiceServer(srv, s)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		<-done
	})
	return storagev1.NewStorageServiceClient(conn)
}

func nested() []string {
	return []string{
		`{"name":"Eel trap, \"willow\"","price":48.50,"_url":"https://a/1","_rule":"p"}`,
		`{"price":null,"size":{"w":1,"h":{"cm":2}},"tags":["a","b, c"],"_url":"https://a/2","_rule":"p"}`,
		`{"name":"two\nlines","sold":true,"big":12345678901234567890,"_rule":"p","_fetched_at":"2026-01-01T00:00:00Z"}`,
		`{}`,
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	for _, kind := range []export.Kind{{Format: export.JSONL}, {Format: export.CSV}} {
		format := string(kind.Format)
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			s.put(nested()...)
			src := source(t, s)
			path := filepath.Join(t.TempDir(), "items."+format)
			r, err := Job{Source: src}.Export(t.Context(), Target{path, kind})
			if err != nil || r.Items != 4 {
				t.Fatalf("%+v, %v", r, err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "items."+format)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
			var stdout bytes.Buffer
			if _, err := (Job{Source: src, Stdout: &stdout}).Export(t.Context(), Target{"-", kind}); err != nil || stdout.String() != string(got) {
				t.Errorf("stdout differs: %v\n%s", err, stdout.String())
			}
		})
	}
}

func TestExportFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		shelf  *shelf
		format export.Format
		want   string
	}{
		"storage fails":    {&shelf{items: nested(), fail: errors.New("no")}, export.JSONL, "read items: "},
		"not an object":    {&shelf{items: []string{`[1]`}}, export.CSV, "read an item: it is not a JSON object: ["},
		"too many columns": {&shelf{items: wide(4097)}, export.CSV, "read an item: the items have over 4096 different fields, too many for a table: use jsonl"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "items")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Job{Source: source(t, tt.shelf)}.Export(t.Context(), Target{path, export.Kind{Format: tt.format}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
			if old, _ := os.ReadFile(path); string(old) != "old" || len(files)+len(hidden) != 1 {
				t.Errorf("left %q, %v, %v", old, files, hidden)
			}
		})
	}
}

func wide(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`{"f%d":1}`, i))
	}
	return out
}

func TestFollow(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.put(`{"a":1}`, `{"a":2}`, `{"a":3}`)
	src := source(t, s)
	r, w := io.Pipe()
	done := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		n, err := Follow(t.Context(), src, w, time.Millisecond, done)
		if err == nil && n != 5 {
			err = fmt.Errorf("%d items", n)
		}
		result <- errors.Join(err, w.Close())
	}()
	first := make([]byte, len(`{"a":1}`)*3+3)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	// What is committed before the end comes, and nothing twice.
	s.put(`{"a":4}`, `{"a":5}`)
	close(done)
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(first)+string(rest), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n{\"a\":5}\n"; got != want {
		t.Errorf("got %s", got)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestFollowStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if _, err := Follow(ctx, source(t, &shelf{}), io.Discard, time.Hour, nil); err == nil {
		t.Error("no error")
	}
}

func TestNewTargets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		paths  []string
		format string
		want   string
		err    string
	}{
		{nil, "", "", ""},
		{[]string{"-"}, "", ".jsonl", ""},
		{[]string{"-"}, "csv", ".csv", ""},
		{[]string{"x.jsonl"}, "", ".jsonl", ""},
		{[]string{"x.CSV", "y.parquet", "-"}, "", ".csv.parquet.jsonl", ""},
		{[]string{"x.dat"}, "jsonl.gz", ".jsonl.gz", ""},
		{[]string{"s3://bucket/no/such/x.csv.zst?region=x"}, "", ".csv.zst", ""},
		{[]string{"x.warc.gz"}, "", ".warc.gz", ""},
		{[]string{"-"}, "warc", ".warc.gz", ""},
		{[]string{"x.warc"}, "", "", "the records of an archive are compressed by gzip: use warc.gz"},
		{nil, "csv", "", "--format csv needs -o FILE, or -o - for stdout"},
		{[]string{"x"}, "", "", "x has no extension to tell the format by: add --format jsonl, csv, parquet or warc"},
		{[]string{"x.xml"}, "", "", `unknown output format "xml": use jsonl, csv or parquet, with .gz or .zst to compress, or warc.gz`},
		{[]string{"x.csv", "x.csv"}, "", "", "-o x.csv is given twice"},
		{[]string{"no/such/x.csv"}, "", "", "cannot write no/such/x.csv: no/such is not a directory; make it first"},
		{[]string{dir}, "csv", "", "cannot write " + dir + ": it is a directory"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.paths, " ")+" "+tt.format, func(t *testing.T) {
			t.Parallel()
			got, err := NewTargets(tt.paths, tt.format)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err || crawl.KindOf(err) != crawl.Invalid {
					t.Errorf("got %v", err)
				}
				return
			}
			kinds := ""
			for _, g := range got {
				kinds += g.Kind.Extension()
			}
			if err != nil || kinds != tt.want || got.Stdout() != slices.Contains(tt.paths, "-") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestObjects: an object of a store is written like a file, and never over another.
func TestObjects(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.put(nested()...)
	j := Job{Source: source(t, s), Key: "c"}
	ts, err := NewTargets([]string{s3test.Start(t).URL("out") + "/"}, "")
	if err == nil {
		t.Fatalf("a folder is no name: %v", ts)
	}
	address := strings.Replace(s3test.Start(t).URL("out"), "out", "out/items.jsonl.gz", 1)
	ts, err = NewTargets([]string{address}, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.Export(t.Context(), ts[0])
	if err != nil || r.Items != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := j.Export(t.Context(), ts[0]); crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second time: %v", err)
	}
	f, err := j.Feed(t.Context(), ts[0])
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	close(ended)
	f.Items = 3
	if m, err := f.Run(t.Context(), j.Source, ended); err != nil || len(m.Parts) != 2 || m.Parts[1].File != "items-000002.jsonl.gz" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestArchive: the archive is written to a file, an object and stdout, and where storage
// fails nothing of it is left.
func TestArchive(t *testing.T) {
	t.Parallel()
	const want = "records of c as warc"
	dir := t.TempDir()
	object := strings.Replace(s3test.Start(t).URL("out"), "out", "out/x.warc.gz", 1)
	ts, err := NewTargets([]string{filepath.Join(dir, "x.warc.gz"), object, "-"}, "warc")
	if err != nil || !ts.Archive() {
		t.Fatal(ts, err)
	}
	broken := &shelf{fail: errors.New("no")}
	for _, target := range ts {
		var stdout bytes.Buffer
		var warned []string
		j := Job{Stdout: &stdout, Archive: Archive{Client: dial(t, broken), CrawlID: "c", Warn: func(line string) { warned = append(warned, line) }}}
		if _, err := j.Export(t.Context(), target); err == nil || !strings.Contains(err.Error(), "read the archive: ") {
			t.Errorf("%s: %v", target.Path, err)
		}
		if left, err := os.ReadDir(dir); err == nil && target.Path != object && !target.Stdout() && len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		stdout.Reset()
		j.Archive.Client = dial(t, &shelf{})
		r, err := j.Export(t.Context(), target)
		if err != nil || r.Bytes != uint64(len(want)) || len(warned) != 1 {
			t.Errorf("%s: %+v, %v, warnings %q", target.Path, r, err, warned)
		}
		got := stdout.Bytes()
		if !target.Stdout() {
			store, name, err := target.store(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			body, err := store.Get(t.Context(), name, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			got, err = io.ReadAll(body)
			if err := errors.Join(err, body.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != want {
			t.Errorf("%s has %q", target.Path, got)
		}
		if _, err := j.Export(t.Context(), target); (target.Path == object) != (crawl.KindOf(err) == crawl.Invalid) {
			t.Errorf("%s a second time: %v", target.Path, err)
		}
	}
}

func TestWriteFileWithoutDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gone", "x")
	if err := WriteFile(path, func(io.Writer) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), "write "+path) {
		t.Error(err)
	}
}
