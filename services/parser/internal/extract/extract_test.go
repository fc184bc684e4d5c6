package extract

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

const shop = `<!doctype html><html lang=en><head><title>Shop</title><style>p{}</style></head><body>
<h1> Two
  words</h1><p class="price">EUR 1,299.90</p><p class=empty> </p><p class="stock in">12</p>
<img class=photo src="../img/a b.jpg?utm_source=x" alt="A &quot;photo&quot;"><img class=none alt="">
<ul><li class=tag>red</li><li class=tag>green<br>ish</li><li class=tag></li></ul>
<article class=product data-id=1><h2>One</h2><span class=p>1.50</span><a href=/one>x</a></article>
<article class=product data-id=2><h2>Two</h2><span class=p>n/a</span><a href=mailto:x>x</a></article>
<article class=product data-id=3><span class=p>-3</span><a>x</a></article>
<table><tr><td>a</td><td>b</td></tr></table><script id=data>{"price": 5}</script>
<noscript><i class=ns>plain</i></noscript></body></html>`

func shopPage(tb testing.TB) *Page {
	tb.Helper()
	base, err := weburl.New(weburl.Options{}).Base("https://shop.example/p/1")
	if err != nil {
		tb.Fatal(err)
	}
	return &Page{
		URL: "https://shop.example/p/1", Depth: 2, FetchedAt: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), Status: 200,
		ContentType: "text/html", Title: "Shop", Tree: tree.New([]byte(shop), nil), Base: base,
	}
}

func mustCompile(tb testing.TB, rules ...Rule) *Set {
	tb.Helper()
	s, err := Compile(rules)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestFields: one field of one item, as JSON.
func TestFields(t *testing.T) {
	t.Parallel()
	re := regexp.MustCompile
	for _, c := range []struct {
		name  string
		field Field
		want  string
	}{
		{"text", Field{CSS: "h1"}, `"Two words"`},
		{"first of several", Field{CSS: "h2"}, `"One"`},
		{"group of selectors in document order", Field{CSS: "h2, h1"}, `"Two words"`},
		{"no match", Field{CSS: "h5"}, `null`},
		{"empty text is no value", Field{CSS: ".empty"}, `null`},
		{"attribute", Field{CSS: ".photo", Attr: "alt"}, `"A \"photo\""`},
		{"attribute of the first that has one", Field{CSS: "article a", Attr: "href"}, `"/one"`},
		{"empty attribute is no value", Field{CSS: ".none", Attr: "alt"}, `null`},
		{"absent attribute", Field{CSS: "h1", Attr: "id"}, `null`},
		{"number with thousands", Field{CSS: ".price", Regex: re(`([0-9.,]+)`), Kind: Number}, `1299.9`},
		{"number in text", Field{CSS: ".price", Kind: Number}, `null`},
		{"number of the first that fits", Field{CSS: ".tag, .p", Kind: Number}, `1.5`},
		{"integer", Field{CSS: ".stock", Kind: Integer}, `12`},
		{"integer with a point", Field{CSS: ".p", Kind: Integer}, `-3`},
		{"boolean", Field{CSS: ".tag", Regex: re(`^red$`), Kind: Boolean}, `null`},
		{"regex without a group", Field{CSS: ".price", Regex: re(`[A-Z]+`)}, `"EUR"`},
		{"regex with two groups", Field{CSS: ".price", Regex: re(`([A-Z])([A-Z])`)}, `"E"`},
		{"regex whose group is not used", Field{CSS: "h1", Regex: re(`Two|(x)`)}, `null`},
		{"regex without a match", Field{CSS: "h1", Regex: re(`x`)}, `null`},
		{"url", Field{CSS: ".photo", Attr: "src", Kind: URL}, `"https://shop.example/img/a%20b.jpg?utm_source=x"`},
		{"url of another scheme", Field{CSS: `a[href^="mailto"]`, Attr: "href", Kind: URL}, `null`},
		{"many", Field{CSS: ".tag", Many: true}, `["red","green ish"]`},
		{"many without a match", Field{CSS: "h5", Many: true}, `[]`},
		{"many numbers", Field{CSS: ".p", Many: true, Kind: Number}, `[1.5,-3]`},
		{"many attributes", Field{CSS: "article", Attr: "data-id", Many: true, Kind: Integer}, `[1,2,3]`},
		{"cells are apart", Field{CSS: "tr"}, `"a b"`},
		{"a script when asked for", Field{CSS: "#data", Regex: re(`"price": (\d+)`), Kind: Integer}, `5`},
		{"no script or style in text", Field{CSS: "html", Regex: re(`(price|p\{)`)}, `null`},
		{"noscript is read", Field{CSS: ".ns"}, `"plain"`},
		{"fact url", Field{Fact: "url"}, `"https://shop.example/p/1"`},
		{"fact depth", Field{Fact: "depth", Kind: Integer}, `2`},
		{"fact depth as text", Field{Fact: "depth"}, `"2"`},
		{"fact status", Field{Fact: "status", Kind: Number}, `200`},
		{"fact fetched_at", Field{Fact: "fetched_at"}, `"2026-01-02T03:04:05.678Z"`},
		{"fact content_type", Field{Fact: "content_type"}, `"text/html"`},
		{"fact title with regex", Field{Fact: "title", Regex: re(`^(.)`)}, `"S"`},
		{"fact as list", Field{Fact: "title", Many: true}, `["Shop"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.field.Name = "f"
			var x Extractor
			got := x.Run(mustCompile(t, Rule{Name: "r", Fields: []Field{c.field}}), shopPage(t))
			want := `{"f":` + c.want + `,"_url":"https://shop.example/p/1","_rule":"r","_fetched_at":"2026-01-02T03:04:05.678Z"}`
			if len(got.Items) != 1 || string(got.Items[0].JSON) != want {
				t.Errorf("items %+v, want %s", got.Items, want)
			}
		})
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, Rule{Name: "product", Each: "css:article.product", Fields: []Field{
		{Name: "id", CSS: "article", Attr: "data-id", Kind: Integer},
		{Name: "name", CSS: "h2", Required: true},
		{Name: "price", CSS: ".p", Kind: Number},
	}})
	var x Extractor
	got := x.Run(set, shopPage(t))
	tail := `,"_url":"https://shop.example/p/1","_rule":"product","_fetched_at":"2026-01-02T03:04:05.678Z"}`
	want := Items{Rejected: 1, Counts: []Counts{{
		Rule: "product", Items: 2, Rejected: 1, Names: []string{"id", "name", "price"}, Fields: []FieldCount{{Filled: 3}, {Filled: 2, Empty: 1}, {Filled: 2, Invalid: 1}},
	}}, Items: []Item{
		{"product", 0, []byte(`{"id":1,"name":"One","price":1.5` + tail)},
		{"product", 1, []byte(`{"id":2,"name":"Two","price":null` + tail)},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func TestRulesByURL(t *testing.T) {
	t.Parallel()
	pattern := func(s string) *crawl.Pattern {
		p, err := crawl.CompilePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	field := []Field{{Name: "f", Fact: "title"}}
	set := mustCompile(t, Rule{Name: "a", Match: pattern("*/p/*"), Fields: field}, Rule{Name: "b", Match: pattern("*/q/*"), Fields: field}, Rule{Name: "c", Fields: field})
	var x Extractor
	var rules []string
	for _, it := range x.Run(set, shopPage(t)).Items {
		rules = append(rules, it.Rule)
	}
	if diff := cmp.Diff([]string{"a", "c"}, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestPagesWithoutTree(t *testing.T) {
	t.Parallel()
	set := mustCompile(t,
		Rule{Name: "css", Fields: []Field{{Name: "f", CSS: "h1"}}},
		Rule{Name: "required", Fields: []Field{{Name: "f", CSS: "h1", Required: true}}},
		Rule{Name: "each", Each: "css:h1", Fields: []Field{{Name: "f", Fact: "url"}}},
		Rule{Name: "fact", Fields: []Field{{Name: "f", Fact: "status"}}})
	names := func(i Items) (out []string) {
		for _, it := range i.Items {
			out = append(out, it.Rule)
		}
		return out
	}
	t.Run("not HTML", func(t *testing.T) {
		t.Parallel()
		p := shopPage(t)
		p.Tree = nil
		var x Extractor
		got := x.Run(set, p)
		if diff := cmp.Diff([]string{"css", "fact"}, names(got)); diff != "" || got.Warning != "" || got.Rejected != 1 {
			t.Errorf("warning %q, %d rejected, rules (-want +got):\n%s", got.Warning, got.Rejected, diff)
		}
	})
	t.Run("too deep", func(t *testing.T) {
		t.Parallel()
		p := shopPage(t)
		p.Tree = tree.New([]byte(strings.Repeat("<div>", 100_000)+"<h1>x"), nil)
		var x Extractor
		got := x.Run(set, p)
		if diff := cmp.Diff([]string{"css", "fact"}, names(got)); diff != "" || !strings.Contains(got.Warning, "no tree for css") {
			t.Errorf("warning %q, rules (-want +got):\n%s", got.Warning, diff)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		p := shopPage(t)
		p.Stop = &atomic.Bool{}
		p.Stop.Store(true)
		var x Extractor
		if got := x.Run(set, p); len(got.Items) != 0 {
			t.Errorf("items %+v of a page that was stopped", got.Items)
		}
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	t.Run("items of a page", func(t *testing.T) {
		t.Parallel()
		p := shopPage(t)
		p.Tree = tree.New([]byte(strings.Repeat("<p>x", maxItems+5)), nil)
		var x Extractor
		got := x.Run(mustCompile(t, Rule{Name: "r", Each: "css:p", Fields: []Field{{Name: "f", CSS: "p"}}}), p)
		if len(got.Items) != maxItems || got.Warning == "" {
			t.Errorf("%d items, warning %q", len(got.Items), got.Warning)
		}
	})
	t.Run("size of an item", func(t *testing.T) {
		t.Parallel()
		p := shopPage(t)
		p.Tree = tree.New([]byte("<p>"+strings.Repeat("x", 2*maxItemSize)), nil)
		var x Extractor
		got := x.Run(mustCompile(t, Rule{Name: "r", Fields: []Field{{Name: "f", CSS: "p"}}}), p)
		if len(got.Items) != 0 || got.Rejected != 1 || got.Warning == "" {
			t.Errorf("%d items, %d rejected, warning %q", len(got.Items), got.Rejected, got.Warning)
		}
	})
}

func TestCompileNamesTheField(t *testing.T) {
	t.Parallel()
	_, err := Compile([]Rule{{Path: "extract[0]", Each: "css:a[", Fields: []Field{{Name: "f", CSS: ":nope"}, {Name: "g", CSS: "p"}}}})
	var sel *RuleError
	if !errors.As(err, &sel) || sel.Path != "extract[0].each" || !strings.Contains(err.Error(), "extract[0].fields.f.css: ") {
		t.Errorf("error %v", err)
	}
}

func TestConversions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind Kind
		text string
		want string // empty: no value
	}{
		{Number, "1", "1"}, {Number, " 1.50 ", "1.5"}, {Number, "-0", "0"}, {Number, "+2", "2"}, {Number, "−2", "-2"}, {Number, "1,234.5", "1234.5"}, {Number, "1,234,567", "1234567"},
		{Number, "12,34,567", "1234567"}, {Number, "1,5", ""}, {Number, "1.234,5", ""}, {Number, ",123", ""}, {Number, "1,,234", ""}, {Number, "1234,567", ""}, {Number, "1e3", "1000"},
		{Number, "1e400", ""}, {Number, "Inf", ""}, {Number, "NaN", ""}, {Number, "0x10", ""}, {Number, "1_000", ""}, {Number, ".5", "0.5"}, {Number, "5.", "5"}, {Number, "", ""}, {Number, "--1", ""},
		{Number, "1e-9", "1e-09"}, {Number, "123456789012345678901234", "1.2345678901234569e+23"}, {Number, "1.5.2", ""}, {Number, "1 234", "1234"}, {Number, "1 234,5", ""}, {Number, "1'234.5", "1234.5"},
		{Integer, "7", "7"}, {Integer, "1,000", "1000"}, {Integer, "7.0", ""}, {Integer, "9223372036854775807", "9223372036854775807"}, {Integer, "9223372036854775808", ""}, {Integer, "-1", "-1"}, {Integer, "1e3", ""},
		{Boolean, "true", "true"}, {Boolean, " YES ", "true"}, {Boolean, "on", "true"}, {Boolean, "1", "true"}, {Boolean, "False", "false"}, {Boolean, "no", "false"}, {Boolean, "off", "false"}, {Boolean, "0", "false"}, {Boolean, "maybe", ""},
		{String, "a", `"a"`}, {String, "", ""}, {URL, "x", `"https://shop.example/p/x"`}, {URL, " ", ""}, {URL, "data:x", ""}, {URL, "http://[", ""},
	} {
		got, ok := appendValue(nil, &Field{Kind: c.kind}, c.text, shopPage(t).Base)
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("kind %d of %q: %s, %v, want %s", c.kind, c.text, got, ok, c.want)
		}
		if ok && !json.Valid(got) {
			t.Errorf("kind %d of %q: %s is not JSON", c.kind, c.text, got)
		}
	}
}

func TestDefaultItem(t *testing.T) {
	t.Parallel()
	p := shopPage(t)
	p.Description, p.Language, p.Bytes, p.Links = "all \"about\"\n<it>", "en", 123, 4
	var x Extractor
	got := string(x.Default(p, false).Items[0].JSON)
	want := `{"status":200,"title":"Shop","description":"all \"about\"\n<it>","language":"en","content_type":"text/html","bytes":123,"links":4,"depth":2,` +
		`"_url":"https://shop.example/p/1","_rule":"page","_fetched_at":"2026-01-02T03:04:05.678Z"}`
	if got != want {
		t.Errorf("item %s\nwant %s", got, want)
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n\t\r\x00\x1f\x7f", "ä\u2028", "\xff\xc3", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		// encoding/json replaces what is not UTF-8 in the same way.
		want, _ := json.Marshal(s)
		var wanted string
		if err := json.Unmarshal(want, &wanted); err != nil || wanted != back {
			t.Errorf("%q came back as %q, want %q", s, back, wanted)
		}
	})
}

func FuzzExtract(f *testing.F) {
	set := mustCompile(f,
		Rule{Name: "each", Each: "css:article, p", Fields: []Field{{Name: "a", CSS: "*", Required: true}, {Name: "b", CSS: "a", Attr: "href", Kind: URL, Many: true}}},
		Rule{Name: "page", Fields: []Field{{Name: "n", CSS: "p ~ p, h1", Kind: Number}, {Name: "t", Fact: "title"}}})
	f.Add([]byte(shop), "title")
	f.Add([]byte(strings.Repeat("<b>", 600)), "")
	f.Add([]byte("<p>\xff<article>\x00"), "\xff")
	f.Fuzz(func(t *testing.T, page []byte, title string) {
		p := shopPage(t)
		p.Tree, p.Title = tree.New(page, nil), title
		var x Extractor
		for _, it := range x.Run(set, p).Items {
			if !json.Valid(it.JSON) {
				t.Errorf("not JSON: %q", it.JSON)
			}
		}
	})
}
