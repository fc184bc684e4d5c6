package export

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/weircrawl/weir/internal/crawl"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, format string
		want         Kind
		wantErr      string
	}{
		{"items.jsonl", "", Kind{JSONL, None}, ""},
		{"dir.v1/items.2026.jsonl.gz", "", Kind{JSONL, Gzip}, ""},
		{"items.NDJSON.zst", "", Kind{JSONL, Zstd}, ""},
		{"s3://b/p/items.csv.gz", "", Kind{CSV, Gzip}, ""},
		{"items.parquet", "", Kind{Parquet, None}, ""},
		{"items.dat", "csv.zst", Kind{CSV, Zstd}, ""},
		{"pages.warc.gz", "", Kind{WARC, Gzip}, ""},
		{"-", "warc", Kind{WARC, Gzip}, ""},
		{"pages.warc", "", Kind{}, "use warc.gz"},
		{"-", "warc.zst", Kind{}, "use warc.gz"},
		{"items.parquet.gz", "", Kind{}, "leave .gz out"},
		{"items", "", Kind{}, "add --format"},
		{"items.xls", "", Kind{}, `unknown output format "xls"`},
		{"x", "jsonl.bz2", Kind{}, `unknown compression "bz2"`},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.format, func(t *testing.T) {
			t.Parallel()
			got, err := KindOf(tt.name, tt.format)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || crawl.KindOf(err) != crawl.Invalid {
					t.Fatalf("error %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v, want %+v", got, err, tt.want)
			}
			if again, err := KindOf("x"+got.Extension(), ""); err != nil || again != got {
				t.Errorf("its own extension %s reads as %+v, %v", got.Extension(), again, err)
			}
		})
	}
}

// unpack undoes a compression.
func unpack(t *testing.T, c Compression, data []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch c {
	case Gzip:
		r, err = gzip.NewReader(r)
	case Zstd:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	items := []string{
		`{"title":"a, \"b\"","price":1.50,"tags":["x","y"],"_url":"http://a/1"}`,
		`{"title":null,"maker":{"name":"m","at":{"city":"c"}},"_url":"http://a/2"}`,
		`{"title":"c","extra":true,"_url":"http://a/3"}`,
	}
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"json lines", Options{Kind: Kind{JSONL, None}}, strings.Join(items, "\n") + "\n"},
		{"gzip", Options{Kind: Kind{JSONL, Gzip}}, strings.Join(items, "\n") + "\n"},
		{"a range", Options{Kind: Kind{JSONL, Zstd}, After: 1, End: 2}, items[1] + "\n"},
		{"behind the end", Options{Kind: Kind{JSONL, None}, After: 3}, ""},
		{"csv has the union of the columns", Options{Kind: Kind{CSV, Gzip}}, "title,price,tags,maker.name,maker.at.city,extra,_url\n" +
			`"a, ""b""",1.50,"[""x"",""y""]",,,,http://a/1` + "\n,,,m,c,,http://a/2\nc,,,,,true,http://a/3\n"},
		{"csv of a range has its columns", Options{Kind: Kind{CSV, None}, After: 2}, "title,extra,_url\nc,true,http://a/3\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			r, err := Write(t.Context(), &b, shelfOf(items...), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Bytes != uint64(b.Len()) {
				t.Errorf("%d bytes, said %d", b.Len(), r.Bytes)
			}
			if got := unpack(t, tt.o.Kind.Compression, b.Bytes()); got != tt.want {
				t.Error(cmp.Diff(tt.want, got))
			}
		})
	}
}

// TestFileGoesOn: an export that broke off goes on where it was, and the file is the
// same as one made at once.
func TestFileGoesOn(t *testing.T) {
	t.Parallel()
	const n = 5 * clockEvery
	for _, kind := range []Kind{{JSONL, None}, {JSONL, Gzip}, {JSONL, Zstd}, {CSV, None}, {CSV, Gzip}, {Parquet, None}} {
		t.Run(kind.Extension(), func(t *testing.T) {
			t.Parallel()
			src := shelfOf(many(n)...)
			o := Options{Kind: kind}
			var whole bytes.Buffer
			if _, err := Write(t.Context(), &whole, src, o); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "items"+kind.Extension())
			p := newPart(path, "shop", o)
			p.every = 0
			src.broken = 3*clockEvery + 17
			if kind.Format != JSONL { // their first reading must pass
				src.broken = 0
				_, err := p.run(t.Context(), &breaking{shelf: src, at: 3*clockEvery + 17})
				if !errors.Is(err, errBroken) {
					t.Fatalf("the first run: %v", err)
				}
			} else if _, err := p.run(t.Context(), src); !errors.Is(err, errBroken) {
				t.Fatalf("the first run: %v", err)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("half a file is there: %v", err)
			}
			src.broken = 0
			read := &counting{shelf: src}
			r, err := File(t.Context(), path, "shop", read, o)
			if err != nil || r.Items != n || r.Last != n {
				t.Fatalf("%+v, %v", r, err)
			}
			if want := uint64(2 * clockEvery); kind.resumable() && read.n != want {
				t.Errorf("%d items were read again, want %d", read.n, want)
			}
			got, err := os.ReadFile(path)
			if err != nil || uint64(len(got)) != r.Bytes {
				t.Fatalf("%d bytes, said %d: %v", len(got), r.Bytes, err)
			}
			if kind.Format == Parquet {
				return // its bytes are looked at elsewhere
			}
			if unpack(t, kind.Compression, got) != unpack(t, kind.Compression, whole.Bytes()) {
				t.Error("the file differs from one made at once")
			}
			left, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestFileStartsOver: what was left by another export is not gone on with.
func TestFileStartsOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "items.jsonl")
	o := Options{Kind: Kind{JSONL, None}}
	src := shelfOf(many(3 * clockEvery)...)
	src.broken = 2*clockEvery + 5
	p := newPart(path, "shop", o)
	p.every = 0
	if _, err := p.run(t.Context(), src); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	r, err := File(t.Context(), path, "news", shelfOf(`{"a":1}`), o)
	if err != nil || r.Items != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "{\"a\":1}\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzFlatten(f *testing.F) {
	for _, item := range []string{`{"a":{"b":{"c":[{"d":1}]}},"a":2}`, `{"x":null,"y":"\ud800","z":[1, 2]}`, `[]`, `{`} {
		f.Add([]byte(item))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		var v map[string]any
		bad := json.Unmarshal(item, &v) != nil || v == nil
		if err := flatten(item, func(string, string) error { return nil }); bad && err == nil {
			t.Errorf("%q is no object, and was read", item)
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	src := shelfOf(many(10_000)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(b.Context(), io.Discard, src, Options{Kind: Kind{CSV, None}}); err != nil {
			b.Fatal(err)
		}
	}
}
