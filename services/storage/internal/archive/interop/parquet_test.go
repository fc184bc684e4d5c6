package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/export"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// items are an export.Source.
type items []string

func (x items) Each(_ context.Context, after, _ uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	for i := after; i < uint64(len(x)); i++ {
		if err := f(&storagev1.StoredItem{Cursor: i + 1, Json: []byte(x[i])}); err != nil {
			return i, err
		}
	}
	return uint64(len(x)), nil
}

// TestParquet: a program that has nothing in common with our writer reads the items that
// were written, with nested lists and objects, nulls, times and what fits no column.
func TestParquet(t *testing.T) {
	t.Parallel()
	src := items{
		`{"name":"Eel trap, \"willow\"","price":48.5,"count":9007199254740991,"sold":true,"at":"2026-11-22T10:11:12.345Z","tags":["a","b, c",null],"_url":"http://a/1"}`,
		`{"name":"Käse 🧀","price":null,"size":{"w":1,"h":{"cm":2.5}},"tags":[],"offers":[{"sku":"x","prices":[1,2.5]},{"sku":"y","prices":[]},{"prices":[3]}],"_url":"http://a/2"}`,
		`{}`,
		`{"name":null,"count":-7,"sold":false,"at":"2026-01-01T00:00:00.000Z","tags":["one"],"size":{"h":{"cm":0}},"offers":[],"any":{"x":[1,{"y":"z"}]},"_url":"http://a/4"}`,
		`{"name":"five","any":[[1],[2,3]],"_url":"http://a/5"}`,
	}
	schema := export.Schema{Columns: []export.Column{
		{Name: "at", Type: export.Time}, {Name: "price", Type: export.Number}, {Name: "any", Type: export.JSON},
	}}
	path := filepath.Join(t.TempDir(), "items.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := export.Write(t.Context(), f, src, export.Options{Kind: export.Kind{Format: export.Parquet}, Schema: schema}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(tool(t, "./read-parquet.mjs", path)) {
		if n == len(src) {
			t.Fatalf("a row too many: %s", line)
		}
		if diff := cmp.Diff(value(t, []byte(src[n])), value(t, line)); diff != "" {
			t.Errorf("row %d: %s", n, diff)
		}
		n++
	}
	if n != len(src) {
		t.Errorf("%d rows", n)
	}
}

// value is an item without the fields that are null: a table cannot tell them from those
// that are not there.
func value(t *testing.T, item []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(item, &v); err != nil {
		t.Fatalf("%s: %v", item, err)
	}
	return withoutNulls(v)
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			if field == nil {
				delete(v, name)
				continue
			}
			v[name] = withoutNulls(field)
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}
