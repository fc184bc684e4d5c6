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
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// source serves a shelf over a real connection.
func source(t *testing.T, s *shelf) Source {
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
	return Source{Client: storagev1.NewStorageServiceClient(conn), CrawlID: "c"}
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
	for _, format := range []Format{JSONL, CSV} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			s.put(nested()...)
			src := source(t, s)
			path := filepath.Join(t.TempDir(), "items."+string(format))
			n, err := Export(t.Context(), Target{path, format}, src, nil)
			if err != nil || n != 4 {
				t.Fatalf("%d items, %v", n, err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "items."+string(format))
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
			if _, err := Export(t.Context(), Target{"-", format}, src, &stdout); err != nil || stdout.String() != string(got) {
				t.Errorf("stdout differs: %v\n%s", err, stdout.String())
			}
		})
	}
}

func TestExportFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		shelf  *shelf
		format Format
		want   string
	}{
		"storage fails":    {&shelf{items: nested(), fail: errors.New("no")}, JSONL, "read items: "},
		"not an object":    {&shelf{items: []string{`[1]`}}, CSV, "read an item: it is not a JSON object: ["},
		"too many columns": {&shelf{items: wide(maxColumns + 1)}, CSV, "read an item: the items have over 4096 different fields, too many for CSV: use jsonl"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "items")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Export(t.Context(), Target{path, tt.format}, source(t, tt.shelf), nil)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
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

func TestNewTarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		path, format string
		want         Format
		err          string
	}{
		{"", "", "", ""},
		{"-", "", JSONL, ""},
		{"-", "csv", CSV, ""},
		{"x.jsonl", "", JSONL, ""},
		{"x.CSV", "", CSV, ""},
		{"x.dat", "jsonl", JSONL, ""},
		{"", "csv", "", "--format csv needs -o FILE, or -o - for stdout"},
		{"x", "", "", "x has no extension to tell the format by: add --format jsonl or --format csv"},
		{"x.xml", "", "", `unknown output format "xml": use jsonl or csv`},
		{"x.parquet", "", "", "output format parquet is not there yet: use jsonl or csv"},
		{"x.jsonl", "warc", "", "output format warc is not there yet: use jsonl or csv (the pages are WARC files already, in warc/ of the data directory)"},
		{"no/such/x.csv", "", "", "cannot write no/such/x.csv: no/such is not a directory; make it first"},
		{dir, "csv", "", "cannot write " + dir + ": it is a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.path+" "+tt.format, func(t *testing.T) {
			t.Parallel()
			got, err := NewTarget(tt.path, tt.format)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err || crawl.KindOf(err) != crawl.Invalid {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || got.Format != tt.want || got.Enabled() != (tt.path != "") || got.Stdout() != (tt.path == "-") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestWriteFileWithoutDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gone", "x")
	if err := WriteFile(path, func(io.Writer) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), "write "+path) {
		t.Error(err)
	}
}

func FuzzFlatten(f *testing.F) {
	for _, item := range nested() {
		f.Add([]byte(item))
	}
	f.Add([]byte(`{"a":{"b":{"c":[{"d":1}]}},"a":2}`))
	f.Fuzz(func(t *testing.T, item []byte) {
		_ = flatten(item, func(name, _ string) error { return nil }) // must not panic
	})
}
