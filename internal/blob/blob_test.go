package blob_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/blob/blobtest"
	"github.com/weircrawl/weir/internal/testkit/s3test"
)

func open(t *testing.T, url string) blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDir(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, "file://"+t.TempDir()) })
}

func TestS3(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return smallParts(t, s3test.Start(t)) })
}

// smallParts opens a store that sends objects in the shortest parts that there are.
func smallParts(t *testing.T, server *s3test.Server) blob.Store {
	t.Helper()
	s, err := blob.OpenS3(t.Context(), blob.S3Config{Bucket: s3test.Bucket, Prefix: "some/prefix", Endpoint: server.Endpoint(), Region: "us-east-1", PartSize: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestS3LostAnswers: a write that was done, but whose answer got lost, is done once
// and is no error, whole or in parts.
func TestS3LostAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size int
		lost func(*http.Request) bool
	}{
		"put":         {100, func(r *http.Request) bool { return r.Method == http.MethodPut }},
		"part":        {6 << 20, func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" }},
		"unavailable": {100, func(r *http.Request) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := s3test.Start(t)
			s := smallParts(t, server)
			var n atomic.Int32
			server.Fail(func(r *http.Request) s3test.Fault {
				switch {
				case tt.lost(r) && n.Add(1) == 1:
					return s3test.Lost
				case name == "unavailable" && n.Add(1) == 1:
					return s3test.Refused
				}
				return s3test.None
			})
			data := bytes.Repeat([]byte("x"), tt.size)
			if err := s.Put(t.Context(), "k", bytes.NewReader(data), int64(len(data))); err != nil {
				t.Fatal(err)
			}
			if n.Load() == 0 {
				t.Fatal("nothing was lost")
			}
			server.Fail(nil)
			if i, err := s.Head(t.Context(), "k"); err != nil || i.Size != int64(tt.size) {
				t.Errorf("%+v, %v", i, err)
			}
			if err := s.Put(t.Context(), "k", bytes.NewReader(data), int64(len(data))); !errors.Is(err, fs.ErrExist) {
				t.Errorf("another put of the same bytes: %v", err)
			}
		})
	}
}

// TestS3Cut: a body that breaks off is an error, not a short body.
func TestS3Cut(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	s := open(t, server.URL(""))
	data := strings.Repeat("x", 1<<20)
	if err := s.Put(t.Context(), "k", strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	server.Fail(func(*http.Request) s3test.Fault { return s3test.Cut })
	r, err := s.Get(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("%d bytes and no error", len(got))
	}
}

// TestS3Sweep: what a killed process left of an upload in parts is removed.
func TestS3Sweep(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	s := smallParts(t, server)
	server.Fail(func(r *http.Request) s3test.Fault {
		if r.Method == http.MethodDelete { // the process is not there to clean up
			return s3test.Refused
		}
		return s3test.None
	})
	broken := io.MultiReader(bytes.NewReader(make([]byte, 6<<20)), &failing{})
	if err := s.Put(t.Context(), "k", broken, -1); err == nil {
		t.Fatal("stored")
	}
	server.Fail(nil)
	count := func() int {
		before := server.Requests()[http.MethodDelete]
		if err := s.Sweep(t.Context(), "k", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		return server.Requests()[http.MethodDelete] - before
	}
	if n := count(); n != 1 {
		t.Errorf("%d uploads aborted, want 1", n)
	}
	if n := count(); n != 0 {
		t.Errorf("%d uploads left", n)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

// TestDirSweep does the same for files.
func TestDirSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	left := filepath.Join(dir, "a", "k.123.part")
	if err := errors.Join(os.Mkdir(filepath.Dir(left), 0o755), os.WriteFile(left, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context(), "a/k", time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a young upload is gone: %v", err)
	}
	if err := s.Sweep(t.Context(), "a/k", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	for url, want := range map[string]string{
		"http://bucket":                        "want s3://bucket/prefix or file:///folder",
		"s3://":                                "no bucket",
		"s3://key:secret@bucket/":              "no credentials in the URL",
		"s3://bucket/?secret=x":                "credentials come from the environment",
		"s3://bucket/?endpoint=localhost:9000": "want http://host:port",
		"file://folder":                        "three slashes",
		strings.Replace(server.URL(""), s3test.Bucket, "other", 1): "no such bucket",
	} {
		_, err := blob.Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "weir-test-secret")) {
			t.Errorf("%s: the error has a secret: %v", url, err)
		}
	}
	if s := open(t, server.URL("p")); s.String() != "s3://"+s3test.Bucket+"/p" {
		t.Errorf("%s", s)
	}
}
