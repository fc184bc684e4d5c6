package storage

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/internal/testkit/s3test"
)

// TestFaultyStore stores records in an S3 store that refuses, forgets to answer and
// breaks off, and merges in between: every record that was stored can be read, from
// parts and from merged objects, and the check finds nothing wrong.
func TestFaultyStore(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	dir := t.TempDir()
	s := newStore(t, dir, func(c *Config) { c.Archive, c.SegmentSize = server.URL("archive"), 200<<10 })
	defer s.Close()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 3))
	server.Fail(func(r *http.Request) s3test.Fault {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(12) > 0 {
			return s3test.None
		}
		if r.Method == http.MethodGet {
			return s3test.Refused
		}
		return []s3test.Fault{s3test.Refused, s3test.Lost}[rng.IntN(2)]
	})
	const batches, size = 24, 7
	for n := range batches {
		for try := 0; ; try++ { // as the bus does
			err := storeRecords(s, n*size, n*size+size)
			if err == nil {
				break
			}
			if crawl.KindOf(err) != crawl.Unavailable || try > 50 {
				t.Fatal(err)
			}
		}
		if n%6 == 5 {
			_, _ = s.arch.Tend(t.Context(), time.Now()) // tried again below
		}
	}
	server.Fail(nil)
	if _, err := s.arch.Tend(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	for n := range batches * size {
		p, err := s.cat.Newest(t.Context(), crawlID, fmt.Sprintf("http://example.com/page/%d", n), true)
		if err != nil {
			t.Fatal(err)
		}
		body, err := s.arch.Body(t.Context(), p.Place)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); string(got) != textOf(n) || err != nil {
			t.Errorf("page %d has another body, %v", n, err)
		}
		_ = body.Close()
	}
	f, said := checked(t, dir, server.URL("archive"), false)
	if f.Wrong() || f.Pages != batches*size || f.Records != batches*size || f.Unreferenced != 0 {
		t.Errorf("%+v %v", f, said)
	}
}

// TestReplica: a storage whose name is given goes on with its segments on an empty
// disk, as a pod does on another node.
func TestReplica(t *testing.T) {
	t.Parallel()
	server, database := s3test.Start(t), pgtest.Start(t, pgtest.Options{}).Database(t)
	named := func(name string) func(*Config) {
		return func(c *Config) {
			c.Archive, c.Catalogue, c.Replica = server.URL("archive"), database, name
		}
	}
	s := newStore(t, t.TempDir(), named("storage-0"))
	if err := storeRecords(s, 0, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"storage-1": 0, "storage-0": 1} {
		s := newStore(t, t.TempDir(), named(name))
		segments, err := s.cat.Segments(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(segments) != want {
			t.Errorf("%s has %d segments, want %d", name, len(segments), want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoOfOneName: a storage that lives on where it cannot be reached, and the one that
// has its name by now, write by turns. Each record that one of them said is stored can
// be read, and no two are in one place.
func TestTwoOfOneName(t *testing.T) {
	t.Parallel()
	server, database := s3test.Start(t), pgtest.Start(t, pgtest.Options{}).Database(t)
	open := func() *Service {
		return newStore(t, t.TempDir(), func(c *Config) {
			c.Archive, c.Catalogue, c.Replica = server.URL("archive"), database, "storage-0"
		})
	}
	old := open()
	if err := storeRecords(old, 0, 3); err != nil {
		t.Fatal(err)
	}
	both := [2]*Service{old, open()}
	const batches, size = 6, 3
	for n := 1; n <= batches; n++ {
		for try := 0; ; try++ { // as the bus does
			err := storeRecords(both[n%2], n*size, (n+1)*size)
			if err == nil {
				break
			}
			if crawl.KindOf(err) != crawl.Unavailable || try > 5 {
				t.Fatal(err)
			}
		}
	}
	for _, s := range both {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s := open()
	defer s.Close()
	for n := range (batches + 1) * size {
		p, err := s.cat.Newest(t.Context(), crawlID, fmt.Sprintf("http://example.com/page/%d", n), true)
		if err != nil {
			t.Fatal(err)
		}
		body, err := s.arch.Body(t.Context(), p.Place)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); string(got) != textOf(n) || err != nil {
			t.Errorf("page %d has another body, %v", n, err)
		}
		_ = body.Close()
	}
}
