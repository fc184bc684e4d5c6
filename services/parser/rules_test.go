package parser

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// ruleCrawl is the test crawl with rules from YAML.
func ruleCrawl(tb testing.TB, rules string) *crawlv1.Crawl {
	tb.Helper()
	c := testCrawl()
	s, err := spec.Decode("rules.yaml", []byte(rules), nil, CheckSpec)
	if err != nil {
		tb.Fatal(err)
	}
	c.Spec.Extract, c.Spec.Parse = s.GetExtract(), s.GetParse()
	return c
}

// TestRulesOfSpec: what a spec says reaches the core.
func TestRulesOfSpec(t *testing.T) {
	t.Parallel()
	const page = `<html lang=en><title>Shop</title><script id=d>x = {"a": {"n": 5}}</script><meta property="og:title" content="OG">
<script type="application/ld+json">{"@type":"Product","sku":"S1"}</script><p class=price> 1.299,90 </p><p class=date>31.01.2026</p>
<ul><li>a|b</li><li>c</li></ul><div itemscope><i itemprop=m>M</i></div>`
	for _, c := range []struct{ name, field, want string }{
		{"xpath", "{xpath: '//li/text()', many: true}", `["a|b","c"]`},
		{"json", "{json: a.n, script: '#d', type: integer}", `5`},
		{"json_ld", "{json_ld: Product.sku}", `"S1"`},
		{"microdata", "{microdata: m}", `"M"`},
		{"open_graph", "{open_graph: title}", `"OG"`},
		{"constant", "{constant: EUR}", `"EUR"`},
		{"header", "{value: header.content-type}", `"text/html; charset=utf-8"`},
		{"steps", "{css: li, many: true, transform: [{split: '|'}, upper, {replace: {old: A, new: X}}, {replace_regex: {old: '([BC])', new: '$1$1'}}, {join: '-'}]}", `["X-BB-CC"]`},
		{"absolute", "{constant: x, transform: [trim, lower, absolute]}", `"https://site.example/x"`},
		{"number", "{css: .price, type: number, decimal: ','}", `1299.9`},
		{"date", "{css: .date, type: date, layouts: ['02.01.2006']}", `"2026-01-31"`},
		{"json as it stands", "{json: a, script: '#d', type: json}", `{"n":5}`},
		{"default", "{css: .none, default: none}", `"none"`},
		{"when", "{css: li, when: 'value contains \"c\" and status == 200'}", `"c"`},
		{"object", "{fields: {a: {css: li}, b: {css: .none}}}", `{"a":"a|b","b":null}`},
		{"list of objects", "{each: 'css:li', fields: {a: {xpath: 'text()'}}}", `[{"a":"a|b"},{"a":"c"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, nil)
			rec, err := s.record(t.Context(), specsOf(t, ruleCrawl(t, "extract: [{name: r, fields: {f: "+c.field+"}}]")), newPage(t, "https://site.example/p", page))
			if err != nil || len(rec.GetParsed().GetItems()) != 1 {
				t.Fatalf("record %v, %v", rec.GetParsed(), err)
			}
			if got := string(rec.GetParsed().GetItems()[0].GetJson()); !strings.HasPrefix(got, `{"f":`+c.want+`,"_url"`) {
				t.Errorf("item %s, want %s", got, c.want)
			}
		})
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	const rules = `extract: [{name: r, each: 'css:li', schema: '{"required":["n"],"properties":{"n":{"type":"integer"}}}', fields: {n: {css: li, type: json}}}]`
	s := newService(t, nil)
	rec, err := s.record(t.Context(), specsOf(t, ruleCrawl(t, rules)), newPage(t, "https://site.example/p", "<li>1<li>1.5<li>x<li>2"))
	if err != nil {
		t.Fatal(err)
	}
	p := rec.GetParsed()
	if len(p.GetItems()) != 2 || p.GetItems()[1].GetIndex() != 1 || p.GetRejectedItems() != 2 || len(p.GetRejects()) != 2 {
		t.Fatalf("parsed %v", p)
	}
	if r := p.GetRejects()[0]; r.GetRule() != "r" || !strings.HasPrefix(string(r.GetJson()), `{"n":1.5,`) || !strings.HasSuffix(string(r.GetJson()), `,"_reason":"/n: got number, want integer"}`) {
		t.Errorf("reject %v", r)
	}
	for text, want := range map[string]string{
		`'{"type": "strin"}'`: "r.yaml:1:21: extract[0].schema: is not a JSON Schema", "product.json": `extract[0].schema: "product.json" is a file`,
	} {
		_, err := spec.Decode("r.yaml", []byte("extract: [{name: r, schema: "+text+", fields: {n: {css: a}}}]"), nil, CheckSpec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTextAndData(t *testing.T) {
	t.Parallel()
	const page = `<title>T</title><script type="application/ld+json">{"@type":"A"}</script><nav>menu</nav><article><p>The river rises in the hills and runs to the sea.
and nobody who lives beside it would say that it belongs to anyone but to itself.<p>Every spring the water comes up to the <a href=/mill>old mill</a>, and every summer it goes down again, as it has always done.</article>`
	for _, c := range []struct{ name, spec, want string }{
		{"plain", "parse: {text: plain}", `"text":"`},
		{"markdown", "parse: {text: markdown}", `[old mill](https://site.example/mill)`},
		{"structured data", "parse: {structured_data: true}", `"structured":{"json_ld":[{"@type":"A"}],"microdata":[],"open_graph":{}}`},
		{"text of a rule", "parse: {text: plain}\nextract: [{name: r, fields: {w: {value: word_count, type: integer}}}]", `{"w":49,`},
		{"when of a text", "parse: {text: plain}\nextract: [{name: r, when: 'language == \"en\"', fields: {w: {value: language}}}]", `{"w":"en",`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, nil)
			rec, err := s.record(t.Context(), specsOf(t, ruleCrawl(t, c.spec)), newPage(t, "https://site.example/p", page))
			if err != nil || len(rec.GetParsed().GetItems()) != 1 {
				t.Fatalf("record %v, %v", rec.GetParsed(), err)
			}
			p := rec.GetParsed()
			if got := string(p.GetItems()[0].GetJson()); !strings.Contains(got, c.want) {
				t.Errorf("item %s, want %s", got, c.want)
			}
			if withText := strings.Contains(c.spec, "text:"); withText != (p.GetText().GetWords() > 40) || withText != (p.GetLanguage() == "en") || withText != (len(p.GetText().GetSha256()) == 32) {
				t.Errorf("language %q, text %v", p.GetLanguage(), p.GetText())
			}
		})
	}
}

func TestRuleCounts(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newService(t, func(_ *Config, d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	specs := specsOf(t, ruleCrawl(t, "extract: [{name: r, when: 'title == \"A & B\"', fields: {t: {css: title}, n: {css: title, type: number}, x: {css: .new}}}, {name: none, match: '*/none', fields: {t: {css: title}}}]"))
	for i := range 700 {
		body := html + "<p class=new>x"
		if i >= 400 {
			body = html
		}
		rec, err := s.record(t.Context(), specs, newPage(t, "https://site.example/p", body))
		if err != nil {
			t.Fatal(err)
		}
		counts := rec.GetParsed().GetRules()
		if len(counts) != 1 || counts[0].GetRule() != "r" || counts[0].GetItems() != 1 || len(counts[0].GetFields()) != 3 || counts[0].GetFields()[0].GetField() != "n" || counts[0].GetFields()[0].GetInvalid() != 1 {
			t.Fatalf("counts %v", counts)
		}
	}
	for labels, want := range map[[2]string]float64{{"t", "filled"}: 700, {"n", "invalid"}: 700, {"x", "filled"}: 400, {"x", "empty"}: 300} {
		if got := testutil.ToFloat64(s.m.fields.WithLabelValues("test", "r", labels[0], labels[1])); got != want {
			t.Errorf("%v: %v, want %v", labels, got, want)
		}
	}
	if got := testutil.ToFloat64(s.m.fallen); got != 1 || strings.Count(log.String(), "field=x") != 1 {
		t.Errorf("%v fields fallen, log %s", got, log.String())
	}
}

// TestFieldSeriesAreBounded: the names of fields are the users' to choose.
func TestFieldSeriesAreBounded(t *testing.T) {
	t.Parallel()
	var s fieldSeries
	for i := range maxFieldSeries {
		s.of("c", "r", strings.Repeat("f", i))
	}
	if _, _, field := s.of("c", "r", "new"); field != "other" {
		t.Errorf("label %s", field)
	}
	if _, _, field := s.of("c", "r", "f"); field != "f" {
		t.Errorf("label %s", field)
	}
}
