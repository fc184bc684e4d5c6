package structured

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

func rootOf(tb testing.TB, page string) *html.Node {
	tb.Helper()
	root, err := tree.New([]byte(page), nil).Root()
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

func asJSON(v any) string { return string(Append(nil, v)) }

func script(s string) string { return `<script type="application/ld+json">` + s + `</script>` }

func TestJSONLD(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, page, want string }{
		{"none", "<p>", "null"},
		{"object", script(`{"@type":"Product","name":"A"}`), `[{"@type":"Product","name":"A"}]`},
		{"list", script(`[{"a":1},{"b":2.50}]`), `[{"a":1},{"b":2.50}]`},
		{"graph", script(`{"@context":"https://schema.org","@graph":[{"a":1},{"b":2}]}`), `[{"a":1},{"b":2}]`},
		{"graph of something", script(`{"@type":"WebPage","@graph":[{"a":1}]}`), `[{"a":1},{"@graph":[{"a":1}],"@type":"WebPage"}]`},
		{"two scripts", script(`{"a":1}`) + "<p>" + script(`{"b":2}`), `[{"a":1},{"b":2}]`},
		{"two objects in one script", script(`{"a":1} {"b":2}`), `[{"a":1},{"b":2}]`},
		{"junk behind", script(`{"a":1};`), `[{"a":1}]`},
		{"trailing comma", script(`{"a":[1,],}`), `[{"a":[1]}]`},
		{"line break in a text", script("{\"a\":\"x\ny\"}"), `[{"a":"x\ny"}]`},
		{"character data", script("\n//<![CDATA[\n{\"a\":1}\n//]]>\n"), `[{"a":1}]`},
		{"entities", script(`{&quot;a&quot;:&quot;b &amp;amp; c&quot;}`), `[{"a":"b &amp; c"}]`},
		{"type with parameter and capitals", `<script type="Application/LD+JSON; charset=utf-8">{"a":1}</script>`, `[{"a":1}]`},
		{"another script", `<script>{"a":1}</script>`, "null"},
		{"broken script beside a good one", script(`{"a":`) + script(`{"b":2}`), `[{"b":2}]`},
		{"a text is no object", script(`"a"`), "null"},
		{"in the body", "<body><div>" + script(`{"a":1}`), `[{"a":1}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := "null"
			if v := JSONLD(rootOf(t, c.page)); v != nil {
				got = asJSON(v)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestMicrodata(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, page, want string }{
		{"product", `<div itemscope itemtype="https://schema.org/Product"><h1 itemprop=name> A  <b>b</b></h1><img itemprop=image src=/i.png>
			<div itemprop=offers itemscope itemtype=http://schema.org/Offer><meta itemprop=price content=1.50><time itemprop=validFrom datetime=2026-01-02>x</time></div></div>`,
			`[{"@type":"Product","image":"abs:/i.png","name":"A b","offers":{"@type":"Offer","price":"1.50","validFrom":"2026-01-02"}}]`},
		{"several values", `<ul itemscope><li itemprop=a>1<li itemprop=a>2<li itemprop="a b">3</ul>`, `[{"a":["1","2","3"],"b":"3"}]`},
		{"property inside a property", `<div itemscope><p itemprop=a>x <b itemprop=b>y</b></p></div>`, `[{"a":"x y","b":"y"}]`},
		{"an item inside that is no property", `<div itemscope><div itemscope><b itemprop=b>y</b></div><i itemprop=a>x</i></div>`, `[{"a":"x"},{"b":"y"}]`},
		{"reference", `<div itemscope itemref="x none"></div><p id=x itemprop=a>1</p>`, `[{"a":"1"}]`},
		{"circle of references", `<div itemscope itemref=x id=y><p id=x itemprop=a itemscope itemref=y></p></div>`, `[{"a":{}}]`},
		{"id, data, link and meter", `<div itemscope itemid=/me><data itemprop=d value=5>x</data><a itemprop=l href=/l>x</a><meter itemprop=m value=.5></meter><object itemprop=o data=/o></object></div>`,
			`[{"@id":"abs:/me","d":"5","l":"abs:/l","m":".5","o":"abs:/o"}]`},
		{"content on any element", `<div itemscope><span itemprop=price content=9.99>$9</span></div>`, `[{"price":"9.99"}]`},
		{"two types", `<div itemscope itemtype="https://schema.org/A https://schema.org/B"></div>`, `[{"@type":["A","B"]}]`},
		{"property without an item", `<p itemprop=a>x`, `null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var objects []any
			for _, it := range Microdata(rootOf(t, c.page), func(s string) string { return "abs:" + s }) {
				if it.Node == nil {
					t.Error("item without its element")
				}
				if !it.Nested {
					objects = append(objects, it.Object)
				}
			}
			got := "null"
			if objects != nil {
				got = asJSON(objects)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestOpenGraph(t *testing.T) {
	t.Parallel()
	root := rootOf(t, `<meta property=og:title content=" A "><meta property=og:image content=/1><meta property=og:image content=/2><meta name=twitter:card content=summary>
		<meta name=description content=d><meta property=og:empty content=""><meta property="product:price:amount" content=5><meta name=a:b content=x><meta property="og:url OG:See_Also" content=/u>`)
	got := OpenGraph(root)
	want := `{"og:image":["/1","/2"],"og:see_also":"/u","og:title":"A","og:url":"/u","product:price:amount":"5","twitter:card":"summary"}`
	if s := string(AppendProperties(nil, got)); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
	for name, want := range map[string]string{"og:title": "A", "title": "A", "Image": "/1 /2", "twitter:card": "summary", "product:price:amount": "5", "none": ""} {
		var values []string
		Find(got, name, func(s string) bool { values = append(values, s); return true })
		if s := strings.Join(values, " "); s != want {
			t.Errorf("%s: %q, want %q", name, s, want)
		}
	}
}

const graph = `[{"@id":"#org","@type":"Organization","name":"Org","url":"/o"},
	{"@type":["Thing","https://schema.org/Product"],"name":{"@value":"Lamp","@language":"en"},"brand":{"@id":"#org"},"sku":7,"new":true,
	 "offers":[{"@type":"Offer","price":"1.50"},{"@type":"schema:Offer","price":2,"schema:priceCurrency":"EUR"}],"isSimilarTo":{"@type":"Product","name":"Other"}},
	{"@type":"ItemList","itemListElement":[{"item":{"@type":"Product","name":"Inner"}}]}]`

func TestPath(t *testing.T) {
	t.Parallel()
	objects, _ := decode(graph)
	list, _ := objects.([]any)
	for _, c := range []struct {
		path string
		want []string
	}{
		{"name", []string{"Org", "Lamp"}},
		{"Product.name", []string{"Lamp", "Inner"}},
		{"Product.offers.price", []string{"1.50", "2"}},
		{"offers.0.price", []string{"1.50"}},
		{"offers.1.priceCurrency", []string{"EUR"}},
		{"offers.2.price", nil},
		{"Offer.price", []string{"1.50", "2"}},
		{"Product.brand.name", []string{"Org"}},
		{"brand.@id", []string{"#org"}},
		{"sku", []string{"7"}},
		{"sku.0", []string{"7"}},
		{"new", []string{"true"}},
		{"name.@language", nil},
		{"sku.a", nil},
		{"Organization.@type", []string{"Organization"}},
		{"isSimilarTo", []string{`{"@type":"Product","name":"Other"}`}},
		{"isSimilarTo.0.name", []string{"Other"}},
		{"Nothing.name", nil},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			p, err := ParsePath(c.path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			p.Each(list, func(v any) bool {
				s, _ := Text(v)
				got = append(got, s)
				return true
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPathErrors(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", ".", "a.", "a..b", "a. b", strings.Repeat("a.", 20) + "a"} {
		if _, err := ParsePath(s); err == nil {
			t.Errorf("%q is no path", s)
		}
	}
	for _, s := range []string{"", "product", "Product.name", "A B"} {
		if _, err := ParseType(s); err == nil {
			t.Errorf("%q is no type", s)
		}
	}
}

// TestPathEnds: references in a circle end.
func TestPathEnds(t *testing.T) {
	t.Parallel()
	objects, _ := decode(`[{"@id":"a","x":{"@id":"b"},"n":1},{"@id":"b","x":{"@id":"a"},"n":2}]`)
	list, _ := objects.([]any)
	p, err := ParsePath("x.x.x.x.x.x.n")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	p.Each(list, func(any) bool { n++; return true })
	if n != 2 {
		t.Errorf("%d values", n)
	}
}

func FuzzStructured(f *testing.F) {
	f.Add(script(graph), "Product.offers.price")
	f.Add(script("//<![CDATA[\n[{\"@graph\":[1,{}]},]//]]>"), "a.0")
	f.Add(`<div itemscope itemref="a b" id=a itemprop=x><p id=b itemscope itemprop=y itemref=a>`, "x.y")
	f.Add(`<meta property="og:a" content="b">`, "a")
	f.Fuzz(func(t *testing.T, page, path string) {
		root, err := tree.New([]byte(page), nil).Root()
		if err != nil {
			return
		}
		objects := JSONLD(root)
		for _, it := range Microdata(root, nil) {
			objects = append(objects, it.Object)
		}
		for _, o := range objects {
			if s := asJSON(o); !json.Valid([]byte(s)) {
				t.Errorf("not JSON: %s", s)
			}
		}
		if s := AppendProperties(nil, OpenGraph(root)); !json.Valid(s) {
			t.Errorf("not JSON: %s", s)
		}
		if p, err := ParsePath(path); err == nil {
			p.Each(objects, func(v any) bool { _, _ = Text(v); return true })
		}
	})
}
