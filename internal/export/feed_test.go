package export

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/s3test"
)

func folder(t *testing.T) blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func object(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func keys(t *testing.T, s blob.Store) []string {
	t.Helper()
	var out []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Key)
	}
	return out
}

// TestFeedCuts: files are cut by number and by time, and the end writes the rest.
func TestFeedCuts(t *testing.T) {
	t.Parallel()
	store := folder(t)
	synctest.Test(t, func(t *testing.T) {
		src := shelfOf(many(5)...)
		f := Feed{Store: store, Name: "shop", Options: Options{Kind: Kind{JSONL, None}}, Items: 2, Every: 10 * time.Second, Key: "k"}
		ended := make(chan struct{})
		type outcome struct {
			m   Manifest
			err error
		}
		done := make(chan outcome)
		go func() {
			m, err := f.Run(t.Context(), src, ended)
			done <- outcome{m, err}
		}()
		want := func(when string, names ...string) {
			t.Helper()
			synctest.Wait()
			if d := cmp.Diff(names, keys(t, store)); d != "" {
				t.Errorf("%s: %s", when, d)
			}
		}
		time.Sleep(3 * time.Second)
		two := []string{"shop-000001.json", "shop-000001.jsonl", "shop-000002.json", "shop-000002.jsonl"}
		want("after 3 s", two...)
		time.Sleep(8 * time.Second)
		want("after 11 s", append(two, "shop-000003.json", "shop-000003.jsonl")...)
		src.put(many(1)...)
		close(ended)
		out := <-done
		if out.err != nil || out.m.Items != 6 || len(out.m.Parts) != 4 || out.m.Last != 6 {
			t.Fatalf("%+v, %v", out.m, out.err)
		}
		want("at the end", append(two, "shop-000003.json", "shop-000003.jsonl", "shop-000004.json", "shop-000004.jsonl", "shop-manifest.json")...)
		var all strings.Builder
		for _, p := range out.m.Parts {
			all.WriteString(object(t, store, p.File))
		}
		if all.String() != strings.Join(src.items, "\n")+"\n" {
			t.Error("the parts are not the items")
		}
		var m Manifest
		if err := json.Unmarshal([]byte(object(t, store, "shop-manifest.json")), &m); err != nil || !cmp.Equal(m, out.m) {
			t.Errorf("manifest %v: %s", err, cmp.Diff(out.m, m))
		}
	})
}

// TestFeedGoesOn: a feed that was killed anywhere goes on without losing or repeating
// an item, in a folder and in an object store.
func TestFeedGoesOn(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) blob.Store{
		"folder": folder,
		"s3": func(t *testing.T) blob.Store {
			s, err := blob.Open(t.Context(), s3test.Start(t).URL("feeds"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			ended := make(chan struct{})
			close(ended)
			src := shelfOf(many(10)...)
			f := Feed{Store: store, Name: "x/items", Options: Options{Kind: Kind{JSONL, Gzip}}, Items: 3, Key: "k"}
			src.broken = 8 // in the third part
			if _, err := f.Run(t.Context(), src, ended); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			// As a kill after the data and before its description leaves it.
			if err := store.Put(t.Context(), "x/items-000003.jsonl.gz", strings.NewReader("half"), -1); err != nil {
				t.Fatal(err)
			}
			src.broken = 0
			m, err := f.Run(t.Context(), src, ended)
			if err != nil || m.Items != 10 || len(m.Parts) != 4 {
				t.Fatalf("%+v, %v", m, err)
			}
			var all strings.Builder
			for _, p := range m.Parts {
				all.WriteString(unpack(t, Gzip, []byte(object(t, store, p.File))))
			}
			if all.String() != strings.Join(src.items, "\n")+"\n" {
				t.Error("the parts are not the items")
			}
			again, err := f.Run(t.Context(), src, ended)
			if err != nil || !cmp.Equal(again, m) {
				t.Errorf("a run with nothing to do: %v, %s", err, cmp.Diff(m, again))
			}
			f.Key = "something else"
			if _, err := f.Run(t.Context(), src, ended); crawl.KindOf(err) != crawl.Invalid {
				t.Errorf("parts of something else: %v", err)
			}
		})
	}
}
