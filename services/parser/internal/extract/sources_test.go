package extract

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/services/parser/internal/transform"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

const rich = `<!doctype html><html><head><title>Lamp</title>
<meta property="og:title" content="OG Lamp"><meta property="og:image" content="/1.jpg"><meta property="og:image" content="/2.jpg">
<script type="application/ld+json">{"@context":"https://schema.org","@graph":[{"@type":"Product","name":"LD Lamp","sku":7,
 "offers":[{"@type":"Offer","price":"1.299,90","url":"/buy"},{"@type":"Offer","price":"9,00"}],"aggregateRating":{"ratingValue":4.50}},
 {"@type":"Product","name":"Second"}]}</script>
<script id=state>window.__STATE__ = {"shop":{"name":"State","items":[{"id":1,"tags":["a","b"]},{"id":2,"tags":[]},{"id":null}]}};</script></head>
<body><div itemscope itemtype="https://schema.org/Product" class=micro><b itemprop=name>Micro Lamp</b><div itemprop=review itemscope itemtype="https://schema.org/Review"><i itemprop=author>Ann</i></div></div>
<article class=p data-id=1><h2>One</h2><ul><li><b>x</b><i>1</i></li><li><b>y</b><i>2</i></li></ul><time datetime="2026-01-31T12:00:00+01:00">31.01.2026</time></article>
<article class=p data-id=2><h2>Two</h2><a href=two>t</a><time>1.2.2026</time></article>
<p class=csv> red, Green ,blue</p><p class=eu>1.299,90</p><p class=bad>n/a</p></body></html>`

// fieldOf runs one field on a page and returns its JSON and counts.
func fieldOf(tb testing.TB, f Field, p *Page) (string, FieldCount) {
	tb.Helper()
	f.Name = "f"
	var x Extractor
	got := x.Run(mustCompile(tb, Rule{Name: "r", Fields: []Field{f}}), p)
	if len(got.Items) != 1 || len(got.Counts) != 1 {
		tb.Fatalf("items %+v", got)
	}
	var item map[string]json.RawMessage
	if err := json.Unmarshal(got.Items[0].JSON, &item); err != nil {
		tb.Fatalf("%s: %v", got.Items[0].JSON, err)
	}
	return string(item["f"]), got.Counts[0].Fields[0]
}

func richPage(tb testing.TB) *Page {
	tb.Helper()
	p := shopPage(tb)
	p.Tree = tree.New([]byte(rich), nil)
	p.Header = func(name string) string { return map[string]string{"X-Id": "h7"}[name] }
	p.Description, p.Language = "All about", "en"
	return p
}

func TestSources(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name  string
		field Field
		want  string
	}{
		{"xpath element", Field{XPath: "//article[2]/h2"}, `"Two"`},
		{"xpath text", Field{XPath: "//article/h2/text()", Many: true}, `["One","Two"]`},
		{"xpath attribute", Field{XPath: "//article/@data-id", Many: true, Kind: Integer}, `[1,2]`},
		{"xpath with attr", Field{XPath: "//article", Attr: "data-id"}, `"1"`},
		{"xpath number", Field{XPath: "count(//article)", Kind: Integer}, `2`},
		{"xpath string", Field{XPath: "normalize-space(//p[@class='csv'])"}, `"red, Green ,blue"`},
		{"xpath nothing", Field{XPath: "//video"}, `null`},
		{"json in a script", Field{JSON: "shop.name", Script: "#state"}, `"State"`},
		{"json list", Field{JSON: "shop.items.#.id", Script: "#state", Many: true, Kind: Integer}, `[1,2]`},
		{"json first of a list", Field{JSON: "shop.items.#.id", Script: "#state", Kind: Integer}, `1`},
		{"json as it stands", Field{JSON: "shop.items.0", Script: "#state", Kind: JSON}, `{"id":1,"tags":["a","b"]}`},
		{"json list as it stands", Field{JSON: "shop.items.#.tags", Script: "#state", Kind: JSON, Many: true}, `[["a","b"],[]]`},
		{"json inside lists", Field{JSON: "shop.items.0.tags.0", Script: "#state"}, `"a"`},
		{"json of no script", Field{JSON: "shop", Script: "#none"}, `null`},
		{"json of a page that is none", Field{JSON: "shop"}, `null`},
		{"json_ld", Field{JSONLD: "Product.name"}, `"LD Lamp"`},
		{"json_ld many", Field{JSONLD: "name", Many: true}, `["LD Lamp","Second"]`},
		{"json_ld number as written", Field{JSONLD: "aggregateRating.ratingValue", Kind: Number}, `4.5`},
		{"json_ld object", Field{JSONLD: "Product.aggregateRating", Kind: JSON}, `{"ratingValue":4.50}`},
		{"json_ld url", Field{JSONLD: "offers.url", Kind: URL}, `"https://shop.example/buy"`},
		{"json_ld with a decimal comma", Field{JSONLD: "offers.price", Kind: Number, Decimal: ',', Many: true}, `[1299.9,9]`},
		{"microdata", Field{Microdata: "name"}, `"Micro Lamp"`},
		{"microdata nested", Field{Microdata: "Review.author"}, `"Ann"`},
		{"microdata through a property", Field{Microdata: "Product.review.author"}, `"Ann"`},
		{"open_graph", Field{OpenGraph: "og:title"}, `"OG Lamp"`},
		{"open_graph short and many", Field{OpenGraph: "image", Many: true, Kind: URL}, `["https://shop.example/1.jpg","https://shop.example/2.jpg"]`},
		{"header", Field{Fact: "header.X-Id"}, `"h7"`},
		{"absent header", Field{Fact: "header.X-None"}, `null`},
		{"description", Field{Fact: "description"}, `"All about"`},
		{"language", Field{Fact: "language"}, `"en"`},
		{"constant", Field{Constant: "EUR"}, `"EUR"`},
		{"constant number", Field{Constant: "5", Kind: Integer}, `5`},
		{"steps", Field{CSS: ".csv", Steps: []transform.Step{transform.Split(","), transform.Trim(), transform.Lower()}, Many: true}, `["red","green","blue"]`},
		{"split without many", Field{CSS: ".csv", Steps: []transform.Step{transform.Split(",")}}, `"red"`},
		{"join of all matches", Field{CSS: "h2", Steps: []transform.Step{transform.Join(" + ")}}, `"One + Two"`},
		{"join of a list", Field{CSS: "h2", Many: true, Steps: []transform.Step{transform.Join("/"), transform.Split("/"), transform.Upper()}}, `["ONE","TWO"]`},
		{"regex before steps", Field{CSS: ".csv", Regex: regexp.MustCompile(`, (.*)`), Steps: []transform.Step{transform.Replace(" ", "")}}, `"Green,blue"`},
		{"absolute", Field{CSS: "article a", Attr: "href", Steps: []transform.Step{transform.Absolute(), transform.ReplaceRegex(regexp.MustCompile(`^https?://`), "")}}, `"shop.example/p/two"`},
		{"number with a comma", Field{CSS: ".eu", Kind: Number, Decimal: ','}, `1299.9`},
		{"date with the time", Field{CSS: "time", Attr: "datetime", Kind: Date}, `"2026-01-31T12:00:00+01:00"`},
		{"date of a layout", Field{CSS: "time", Kind: Date, Layouts: []string{"2.1.2006"}, Many: true}, `["2026-01-31","2026-02-01"]`},
		{"default", Field{CSS: ".bad", Kind: Number, Default: text("0")}, `0`},
		{"default that is not needed", Field{CSS: ".eu", Default: text("x")}, `"1.299,90"`},
		{"empty default", Field{CSS: ".none", Default: text("")}, `""`},
		{"default of a list", Field{CSS: ".none", Default: text("x"), Many: true}, `["x"]`},
		{"object", Field{Fields: []Field{{Name: "a", CSS: ".eu"}, {Name: "b", CSS: ".none"}}}, `{"a":"1.299,90","b":null}`},
		{"object of nothing", Field{Fields: []Field{{Name: "b", CSS: ".none"}}}, `null`},
		{"object that lacks what it needs", Field{Fields: []Field{{Name: "a", CSS: ".eu"}, {Name: "b", CSS: ".none", Required: true}}}, `null`},
		{"list of objects", Field{Each: "css:article", Fields: []Field{{Name: "n", CSS: "h2"}, {Name: "r", Each: "css:li", Fields: []Field{{Name: "k", CSS: "b"}, {Name: "v", CSS: "i", Kind: Integer}}}}},
			`[{"n":"One","r":[{"k":"x","v":1},{"k":"y","v":2}]},{"n":"Two","r":[]}]`},
		{"list of objects by xpath", Field{Each: "xpath://li", Fields: []Field{{Name: "k", XPath: "b/text()"}}}, `[{"k":"x"},{"k":"y"}]`},
		{"list of objects of json_ld", Field{Each: "json_ld:Offer", Fields: []Field{{Name: "p", JSONLD: "price"}}}, `[{"p":"1.299,90"},{"p":"9,00"}]`},
		{"list without what is required", Field{Each: "css:article", Fields: []Field{{Name: "a", CSS: "a", Required: true}}}, `[{"a":"t"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := fieldOf(t, c.field, richPage(t)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestEachKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rule Rule
		want []string
	}{
		{"xpath", Rule{Each: "xpath://article", Fields: []Field{{Name: "f", XPath: "//h2"}}}, []string{`"One"`, `"Two"`}},
		{"json of a script", Rule{Each: "json:shop.items", Script: "#state", Fields: []Field{{Name: "f", JSON: "id"}}}, []string{`"1"`, `"2"`, `null`}},
		{"json_ld", Rule{Each: "json_ld:Product", Fields: []Field{{Name: "f", JSONLD: "name"}}}, []string{`"LD Lamp"`, `"Second"`}},
		{"json_ld with nested objects", Rule{Each: "json_ld:Product", Fields: []Field{{Name: "f", Each: "json_ld:Offer", Fields: []Field{{Name: "p", JSONLD: "price"}}}}}, []string{`[{"p":"1.299,90"},{"p":"9,00"}]`, `[]`}},
		{"microdata", Rule{Each: "microdata:Product", Fields: []Field{{Name: "f", Microdata: "name"}}}, []string{`"Micro Lamp"`}},
		{"microdata with css", Rule{Each: "microdata:Review", Fields: []Field{{Name: "f", CSS: "i"}}}, []string{`"Ann"`}},
		{"script of the rule in an item", Rule{Script: "#state", Fields: []Field{{Name: "f", JSON: "shop.name"}}}, []string{`"State"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rule.Name = "r"
			var x Extractor
			var got []string
			for _, it := range x.Run(mustCompile(t, c.rule), richPage(t)).Items {
				var item map[string]json.RawMessage
				if err := json.Unmarshal(it.JSON, &item); err != nil {
					t.Fatal(err)
				}
				got = append(got, string(item["f"]))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONPage(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, Rule{Name: "r", Each: "json:data.list", Fields: []Field{{Name: "id", JSON: "id", Kind: Integer, Required: true}, {Name: "o", JSON: "o", Kind: JSON}}})
	if !set.NeedsJSON("https://x/") {
		t.Error("the page is not asked for")
	}
	items := func(body string) (out []string, warning string) {
		p := shopPage(t)
		p.Tree, p.JSON = nil, body
		var x Extractor
		got := x.Run(set, p)
		for _, it := range got.Items {
			s, _, _ := strings.Cut(string(it.JSON), `,"_url"`)
			out = append(out, s)
		}
		return out, got.Warning
	}
	for _, c := range []struct {
		name, body string
		want       []string
		warning    string
	}{
		{"list", `{"data":{"list":[{"id":1,"o":{ "a": [1, 2] }},{"id":"2"},{"id":"x"}]}}`, []string{`{"id":1,"o":{"a":[1,2]}`, `{"id":2,"o":null`}, ""},
		{"callback", `cb({"data":{"list":[{"id":3}]}});`, []string{`{"id":3,"o":null`}, ""},
		{"object for a list", `{"data":{"list":{"id":4}}}`, []string{`{"id":4,"o":null`}, ""},
		{"no json", `oops`, nil, "not JSON"},
		{"too deep", strings.Repeat("[", 100_000), nil, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, warning := items(c.body)
			if diff := cmp.Diff(c.want, got); diff != "" || !strings.Contains(warning, c.warning) {
				t.Errorf("warning %q, items (-want +got):\n%s", warning, diff)
			}
		})
	}
}

// TestCounts: what was found and did not fit is told from what was not found.
func TestCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		field Field
		want  FieldCount
	}{
		{"filled", Field{CSS: "h2"}, FieldCount{Filled: 1}},
		{"empty", Field{CSS: ".none"}, FieldCount{Empty: 1}},
		{"invalid by type", Field{CSS: ".bad", Kind: Number}, FieldCount{Invalid: 1}},
		{"invalid by regex", Field{CSS: ".bad", Regex: regexp.MustCompile(`\d`)}, FieldCount{Invalid: 1}},
		{"invalid in a list", Field{CSS: ".bad", Kind: Number, Many: true}, FieldCount{Invalid: 1}},
		{"second of two fits", Field{CSS: ".bad, .eu", Kind: Number, Decimal: ','}, FieldCount{Filled: 1}},
		{"empty in spite of a default", Field{CSS: ".none", Default: new(string)}, FieldCount{Empty: 1}},
		{"object that lacks what it needs", Field{Fields: []Field{{Name: "a", CSS: ".eu"}, {Name: "b", CSS: ".none", Required: true}}}, FieldCount{Invalid: 1}},
		{"object of nothing", Field{Fields: []Field{{Name: "b", CSS: ".none"}}}, FieldCount{Empty: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, got := fieldOf(t, c.field, richPage(t)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	t.Run("inside objects", func(t *testing.T) {
		t.Parallel()
		var x Extractor
		got := x.Run(mustCompile(t, Rule{Name: "r", Fields: []Field{{Name: "l", Each: "css:article", Fields: []Field{{Name: "n", CSS: "h2"}, {Name: "a", CSS: "a"}}}}}), richPage(t))
		want := []Counts{{Rule: "r", Items: 1, Names: []string{"l", "l.n", "l.a"}, Fields: []FieldCount{{Filled: 1}, {Filled: 2}, {Filled: 1, Empty: 1}}}}
		if diff := cmp.Diff(want, got.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// when is a condition that is true of texts with a word in them.
type when string

func (w when) Holds(p *Page, value string) bool { return strings.Contains(p.Title+value, string(w)) }

func TestWhen(t *testing.T) {
	t.Parallel()
	object := []Field{{Name: "a", CSS: ".eu"}}
	for _, c := range []struct {
		name  string
		field Field
		want  string
	}{
		{"the text that it is true of", Field{CSS: "h2", When: when("Tw")}, `"Two"`},
		{"after the steps", Field{CSS: "h2", When: when("TWO"), Steps: []transform.Step{transform.Upper()}, Many: true}, `["TWO"]`},
		{"of none", Field{CSS: "h2", When: when("Three")}, `null`},
		{"an object", Field{When: when("Shop"), Fields: object}, `{"a":"1.299,90"}`},
		{"no object", Field{When: when("x"), Fields: object}, `null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := fieldOf(t, c.field, richPage(t)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	t.Run("a rule", func(t *testing.T) {
		t.Parallel()
		var x Extractor
		set := mustCompile(t, Rule{Name: "a", When: when("Shop"), Fields: object}, Rule{Name: "b", When: when("x"), Fields: object})
		if got := x.Run(set, richPage(t)); len(got.Items) != 1 || got.Items[0].Rule != "a" || len(got.Counts) != 1 {
			t.Errorf("items %+v", got)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	check := func(item []byte) string {
		if strings.Contains(string(item), "Two") {
			return "no two"
		}
		return ""
	}
	var x Extractor
	got := x.Run(mustCompile(t, Rule{Name: "r", Check: check, Each: "css:article", Fields: []Field{{Name: "f", CSS: "h2"}}}), richPage(t))
	want := []Reject{{"r", []byte(`{"f":"Two","_url":"https://shop.example/p/1","_rule":"r","_fetched_at":"2026-01-02T03:04:05.678Z","_reason":"no two"}`)}}
	if diff := cmp.Diff(want, got.Rejects); diff != "" || len(got.Items) != 1 || !json.Valid(got.Items[0].JSON) || got.Rejected != 1 || got.Counts[0].Rejected != 1 {
		t.Errorf("items %+v, rejects (-want +got):\n%s", got, diff)
	}
}

func TestDefaultItemWithData(t *testing.T) {
	t.Parallel()
	p := richPage(t)
	p.Text = &Text{Text: "a\nb", Words: 2, Digest: "d1", SimHash: "s1"}
	var x Extractor
	got := x.Default(p, true)
	var item struct {
		Text       string
		WordCount  int `json:"word_count"`
		Digest     string
		Simhash    string
		Structured struct {
			JSONLD    []map[string]any `json:"json_ld"`
			Microdata []map[string]any
			OpenGraph map[string]any `json:"open_graph"`
		}
	}
	if err := json.Unmarshal(got.Items[0].JSON, &item); err != nil {
		t.Fatal(err)
	}
	s := item.Structured
	if item.Text != "a\nb" || item.WordCount != 2 || item.Digest != "d1" || item.Simhash != "s1" || len(s.JSONLD) != 2 || s.JSONLD[0]["name"] != "LD Lamp" ||
		len(s.Microdata) != 1 || s.Microdata[0]["name"] != "Micro Lamp" || s.OpenGraph["og:title"] != "OG Lamp" {
		t.Errorf("item %s", got.Items[0].JSON)
	}
	for fact, want := range map[string]string{"text": `"a\nb"`, "word_count": `"2"`, "digest": `"d1"`, "simhash": `"s1"`} {
		if got, _ := fieldOf(t, Field{Fact: fact}, p); got != want {
			t.Errorf("%s: %s", fact, got)
		}
	}
	p.Tree = tree.New([]byte("<meta property=og:a content='"+strings.Repeat("x", 60_000)+"'>"+strings.Repeat("<meta property=og:b content='"+strings.Repeat("x", 60_000)+"'>", 5)), nil)
	if got := x.Default(p, true); strings.Contains(string(got.Items[0].JSON), "structured") || got.Warning == "" {
		t.Errorf("%d bytes, warning %q", len(got.Items[0].JSON), got.Warning)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ layout, text, want string }{
		{"", "2026-01-31", "2026-01-31"}, {"", "2026-01-31T10:20:30Z", "2026-01-31T10:20:30Z"}, {"", "2026-01-31T10:20:30.5+02:00", "2026-01-31T10:20:30.5+02:00"},
		{"", "2026-01-31 10:20", "2026-01-31T10:20:00Z"}, {"", "Sat, 31 Jan 2026 10:20:30 GMT", "2026-01-31T10:20:30Z"}, {"", "Sat, 31 Jan 2026 10:20:30 EST", "2026-01-31T10:20:30-05:00"},
		{"", "Sat, 31 Jan 2026 10:20:30 XYZ", ""}, {"", "January 31, 2026", "2026-01-31"}, {"", "20260131", "2026-01-31"}, {"", "31.01.2026", ""}, {"", "2026-02-31", ""}, {"", " 2026-01-31 ", "2026-01-31"},
		{"02.01.2006 15:04", "31.01.2026 10:20", "2026-01-31T10:20:00Z"}, {"02.01.2006", "31.01.2026 10:20", ""}, {"Jan 2 2006 3:04 PM", "Jan 31 2026 1:20 PM", "2026-01-31T13:20:00Z"},
		{"unix", "1769854830", "2026-01-31T10:20:30Z"}, {"unix", "1769854830.5", "2026-01-31T10:20:30.5Z"}, {"unix_ms", "1769854830000", "2026-01-31T10:20:30Z"}, {"unix", "x", ""}, {"unix", "1e30", ""}, {"unix_ms", "9999999999999999", ""},
	} {
		var layouts []string
		if c.layout != "" {
			layouts = []string{c.layout}
		}
		got, ok := appendDate(nil, c.text, layouts)
		if ok != (c.want != "") || ok && string(got) != `"`+c.want+`"` {
			t.Errorf("%q as %q: %s, want %s", c.text, c.layout, got, c.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	bad := "x"
	for _, c := range []struct {
		rule Rule
		want string
	}{
		{Rule{Fields: []Field{{Name: "f", CSS: "a["}}}, `extract[0].fields.f.css: "a[" is not a CSS selector`},
		{Rule{Fields: []Field{{Name: "f", XPath: "//a["}}}, `extract[0].fields.f.xpath: "//a[" is not an XPath expression`},
		{Rule{Fields: []Field{{Name: "f", JSON: "a", Script: "a["}}}, "extract[0].fields.f.script: "},
		{Rule{Fields: []Field{{Name: "f", JSONLD: "a..b"}}}, "extract[0].fields.f.json_ld: "},
		{Rule{Fields: []Field{{Name: "f", Microdata: ""}, {Name: "g", Microdata: "."}}}, "extract[0].fields.g.microdata: "},
		{Rule{Fields: []Field{{Name: "f", CSS: "a", Kind: Number, Default: &bad}}}, `extract[0].fields.f.default: "x" does not fit the type`},
		{Rule{Fields: []Field{{Name: "f", Fields: []Field{{Name: "g", CSS: "a["}}}}}, "extract[0].fields.f.fields.g.css: "},
		{Rule{Fields: []Field{{Name: "f", Each: "css:[", Fields: []Field{{Name: "g", CSS: "a"}}}}}, "extract[0].fields.f.each: "},
		{Rule{Each: "json_ld:product"}, "extract[0].each: "},
		{Rule{Each: "json:a.@fromstr"}, "extract[0].each: "},
		{Rule{Each: "xpath:]"}, "extract[0].each: "},
		{Rule{Script: "["}, "extract[0].script: "},
		{Rule{Each: "jq:x"}, "extract[0].each: must begin with"},
	} {
		c.rule.Path = "extract[0]"
		if _, err := Compile([]Rule{c.rule}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// FuzzSelectors: no selector or path that a user may write takes the parser down,
// whatever the page.
func FuzzSelectors(f *testing.F) {
	for _, s := range []string{"article", "shop.items.#(id>1)#.tags", "//li[2]/text()", "Product.offers.price", ":has(li:nth-child(2n+1))", "p:contains('a')", "a.@this.#", `{"a":shop}`, "og:image", "@values|@flatten", "..#"} {
		f.Add(s, rich)
	}
	f.Fuzz(func(t *testing.T, s, page string) {
		if len(s) > 300 || len(page) > 5000 {
			return
		}
		p := richPage(t)
		p.Tree, p.JSON = tree.New([]byte(page), nil), page
		var x Extractor
		for _, field := range []Field{{CSS: s}, {XPath: s}, {JSON: s}, {JSON: s, Script: "script", Kind: JSON}, {JSONLD: s, Kind: JSON}, {Microdata: s}, {OpenGraph: s}} {
			field.Name, field.Many = "f", true
			for _, each := range []string{"", "css:" + s, "json:" + s} {
				set, err := Compile([]Rule{{Name: "r", Each: each, Fields: []Field{field}}})
				if err != nil {
					continue
				}
				for _, it := range x.Run(set, p).Items {
					if !json.Valid(it.JSON) {
						t.Errorf("not JSON: %q", it.JSON)
					}
				}
			}
		}
	})
}
