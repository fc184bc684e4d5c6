package export

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// cellsOf reads a file with the library's own reader: for each row the values of each
// column, with their repetition and definition levels.
func cellsOf(t *testing.T, data []byte) []string {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	paths := f.Schema().Columns()
	var out []string
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		buf := make([]parquet.Row, 1)
		for {
			n, err := rows.ReadRows(buf)
			if n == 0 {
				if cerr := rows.Close(); cerr != nil {
					t.Fatal(cerr)
				}
				break
			}
			var b strings.Builder
			last := -1
			for _, v := range buf[0] {
				if c := v.Column(); c != last {
					fmt.Fprintf(&b, " %s:", strings.Join(paths[c], "."))
					last = c
				}
				text := "-"
				if !v.IsNull() {
					text = v.String()
				}
				fmt.Fprintf(&b, " %s/%d/%d", text, v.RepetitionLevel(), v.DefinitionLevel())
			}
			out = append(out, strings.TrimSpace(b.String()))
			if err != nil {
				break
			}
		}
	}
	return out
}

// TestParquetLevels compares with what the format's rules give by hand.
func TestParquetLevels(t *testing.T) {
	t.Parallel()
	schema := Schema{Closed: true, Columns: []Column{
		{Name: "n", Type: Integer},
		{Name: "tags", Type: Text, List: true},
		{Name: "variants", Type: Object, List: true, Fields: []Column{{Name: "sku", Type: Text}, {Name: "sizes", Type: Number, List: true}}},
	}}
	tests := []struct{ item, want string }{
		{`{}`, "_misfits: -/0/0 n: -/0/0 tags.list.element: -/0/0 variants.list.element.sizes.list.element: -/0/0 variants.list.element.sku: -/0/0"},
		{`{"n":7,"tags":[],"variants":[]}`, "_misfits: -/0/0 n: 7/0/1 tags.list.element: -/0/1 variants.list.element.sizes.list.element: -/0/1 variants.list.element.sku: -/0/1"},
		{`{"tags":["a",null,"b"]}`, "_misfits: -/0/0 n: -/0/0 tags.list.element: a/0/3 -/1/2 b/1/3 variants.list.element.sizes.list.element: -/0/0 variants.list.element.sku: -/0/0"},
		{
			`{"variants":[{"sku":"x","sizes":[1,2.5]},{},{"sizes":[3]}]}`,
			"_misfits: -/0/0 n: -/0/0 tags.list.element: -/0/0 variants.list.element.sizes.list.element: 1/0/6 2.5/2/6 -/1/3 3/1/6 variants.list.element.sku: x/0/4 -/1/3 -/1/3",
		},
		{`{"n":"seven","tags":"one","more":{"x":1}}`, `_misfits: {"more":{"x":1},"n":"seven"}/0/1 n: -/0/0 tags.list.element: one/0/3 variants.list.element.sizes.list.element: -/0/0 variants.list.element.sku: -/0/0`},
		{`{"variants":[{"sku":5}]}`, `_misfits: {"variants":[{"sku":5}]}/0/1 n: -/0/0 tags.list.element: -/0/0 variants.list.element.sizes.list.element: -/0/3 variants.list.element.sku: -/0/3`},
	}
	for _, tt := range tests {
		t.Run(tt.item, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if _, err := Write(t.Context(), &b, shelfOf(tt.item), Options{Kind: Kind{Format: Parquet}, Schema: schema}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{tt.want}, cellsOf(t, b.Bytes())); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestParquetFindsTypes: without a spec the columns are those of the values.
func TestParquetFindsTypes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	items := []string{
		`{"a":1,"b":"x","c":null,"d":[1,2],"e":{"f":true},"g":[{"h":1}],"i":1}`,
		`{"a":2.5,"b":3,"d":[],"e":{"f":false,"k":"v"},"g":[{"h":2,"m":[["deep"]]}],"i":2}`,
	}
	if _, err := Write(t.Context(), &b, shelfOf(items...), Options{Kind: Kind{Format: Parquet}}); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	want := `message item {
	optional binary _misfits (JSON);
	optional double a;
	optional binary b (JSON);
	optional group d (LIST) {
		repeated group list {
			optional int64 element (INT(64,true));
		}
	}
	optional group e {
		optional boolean f;
		optional binary k (STRING);
	}
	optional group g (LIST) {
		repeated group list {
			optional group element {
				optional int64 h (INT(64,true));
				optional binary m (JSON);
			}
		}
	}
	optional int64 i (INT(64,true));
}`
	if got := f.Schema().String(); got != want {
		t.Error(cmp.Diff(want, got))
	}
	if f.NumRows() != 2 {
		t.Errorf("%d rows", f.NumRows())
	}
}

func TestSchemaOfSpec(t *testing.T) {
	t.Parallel()
	spec := &crawlv1.CrawlSpec{Extract: []*crawlv1.ExtractRule{
		{Name: "a", Fields: map[string]*crawlv1.FieldRule{
			"price": {Css: "p", Type: crawlv1.FieldType_FIELD_TYPE_NUMBER}, "deep": {Value: "depth"}, "at": {Value: "fetched_at"},
			"mixed": {Css: "x"},
			"parts": {Each: "css:.p", Fields: map[string]*crawlv1.FieldRule{"sku": {Css: "b"}}},
		}},
		{Name: "b", Fields: map[string]*crawlv1.FieldRule{
			"price": {Css: "p", Type: crawlv1.FieldType_FIELD_TYPE_INTEGER, Many: true}, "mixed": {Css: "x", Type: crawlv1.FieldType_FIELD_TYPE_BOOLEAN},
			"parts": {Each: "css:.q", Fields: map[string]*crawlv1.FieldRule{"no": {Css: "i", Type: crawlv1.FieldType_FIELD_TYPE_INTEGER}}},
		}},
	}}
	got := SchemaOf(spec)
	want := Schema{Closed: true, Columns: []Column{
		{Name: "_fetched_at", Type: Time}, {Name: "_media", Type: JSON}, {Name: "_rule", Type: Text}, {Name: "_url", Type: Text},
		{Name: "at", Type: Time}, {Name: "deep", Type: Text}, {Name: "mixed", Type: JSON},
		{Name: "parts", Type: Object, List: true, Fields: []Column{{Name: "no", Type: Integer}, {Name: "sku", Type: Text}}},
		{Name: "price", Type: Number, List: true},
	}}
	got.Columns, want.Columns = sorted(got.Columns), sorted(want.Columns)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if SchemaOf(&crawlv1.CrawlSpec{Extractor: &crawlv1.Extractor{Address: "x"}}).Closed {
		t.Error("a program of the user's may make any field")
	}
}
