package spec

import (
	"errors"
	"strings"
	"testing"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// TestFieldRules: what a field may have, by the first problem of a spec of one
// field; empty for a good one.
func TestFieldRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, field, want string }{
		{"css", "{css: a}", ""},
		{"xpath with attr", "{xpath: //a, attr: href}", ""},
		{"json in a script", "{json: a.b, script: 'script#data'}", ""},
		{"json_ld", "{json_ld: Product.name}", ""},
		{"microdata", "{microdata: name}", ""},
		{"paths of gjson", "{json: '[a.#.b,c.0]', many: true}", ""},
		{"query of gjson", "{json: 'a.#(b==\"[0]\").c'}", ""},
		{"JSONPath", "{json: $.a}", "json: must not begin with $: a path begins with a name, as in offers.0.price"},
		{"all by JSONPath", "{json: 'a[*].b'}", "json: has [*]: the first of a list is written offers.0, and all of it offers.#"},
		{"an element by brackets", "{json_ld: 'Product.offers[0].price'}", "json_ld: has [0]: the first of a list is written offers.0, and all of it offers"},
		{"each by JSONPath", "{each: 'json:a[*]', fields: {a: {css: b}}}", "each: has [*]: the first of a list is written offers.0, and all of it offers"},
		{"open_graph", "{open_graph: title}", ""},
		{"header", "{value: header.X-Id}", ""},
		{"header without a name", "{value: header.}", `value: "" is not the name of a header`},
		{"constant", "{constant: EUR}", ""},
		{"default", "{css: a, default: '0', type: number}", ""},
		{"object", "{fields: {a: {css: b}}}", ""},
		{"list of objects", "{each: 'css:li', fields: {a: {css: b}}}", ""},
		{"steps", "{css: a, many: true, transform: [trim, {lower: true}, {replace: {old: a, new: b}}, {replace_regex: {old: 'a+'}}, {split: ','}, {join: ';'}]}", ""},
		{"number with a comma", "{css: a, type: number, decimal: ','}", ""},
		{"layouts", "{css: a, type: date, layouts: ['02.01.2006', unix]}", ""},
		{"no source", "{regex: a}", "needs a source: css, xpath, json, json_ld, microdata, open_graph, value or constant"},
		{"two sources", "{css: a, json: b}", "has both css and json; give one"},
		{"object with a source", "{css: a, fields: {a: {css: b}}}", "has both fields and css; css belongs into each, or into a field"},
		{"object with steps", "{transform: [trim], fields: {a: {css: b}}}", "transform: is for a value, not for an object of fields"},
		{"object that is many", "{many: true, fields: {a: {css: b}}}", "many: is not needed with fields: each makes a list"},
		{"object of a type", "{type: number, fields: {a: {css: b}}}", "type: must be json or nothing with fields"},
		{"nested mistake", "{fields: {a: {fields: {b: {value: titel}}}}}", `fields.a.fields.b.value: must be`},
		{"too deep", "{fields: {a: {fields: {a: {fields: {a: {fields: {a: {fields: {a: {css: b}}}}}}}}}}}", "nests deeper than 5 objects"},
		{"each without fields", "{each: 'css:a'}", "each: needs fields"},
		{"each of an unknown kind", "{each: 'jq:a', fields: {a: {css: b}}}", "each: must be css, xpath, json, json_ld or microdata"},
		{"attr of json", "{json: a, attr: b}", "attr: needs css or xpath"},
		{"script without json", "{css: a, script: b}", "script: needs json"},
		{"unknown step", "{css: a, transform: [trimm]}", `transform[0] must be trim, lower, upper or absolute, or a mapping with replace, replace_regex, split, join or add, not "trimm"; did you mean "trim"?`},
		{"empty step", "{css: a, transform: [{}]}", "transform[0]: needs a step"},
		{"false step", "{css: a, transform: [{trim: false}]}", "transform[0].trim: must be true"},
		{"two in a step", "{css: a, transform: [{trim: true, lower: true}]}", "has both trim and lower"},
		{"empty replacement", "{css: a, transform: [{replace: {new: b}}]}", "transform[0].replace.old: must not be empty"},
		{"wrong regex of a replacement", "{css: a, transform: [{replace_regex: {old: '('}}]}", "transform[0].replace_regex.old: \"(\" is not an RE2 expression"},
		{"empty split", "{css: a, transform: [{split: ''}]}", "transform[0].split: must not be empty"},
		{"decimal of a text", "{css: a, decimal: ','}", "decimal: needs type number or integer"},
		{"unknown decimal", "{css: a, type: number, decimal: ';'}", `decimal: must be "." or ","`},
		{"layouts of a text", "{css: a, layouts: ['2006']}", "layouts: needs type date"},
		{"no layout", "{css: a, type: date, layouts: [dd.mm.yyyy]}", `layouts[0]: must write the date 2 January 2006`},
		{"fact as a list", "{value: url, many: true}", "many: needs another source"},
		{"parts of a fact", "{value: url, many: true, transform: [{split: /}]}", ""},
		{"text that is not looked for", "{value: word_count}", "value: needs parse.text"},
		{"long selector", "{css: '" + strings.Repeat("a", maxSelector+1) + "'}", "css: is longer than 4096 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode("s.yaml", []byte("extract: [{name: r, fields: {f: "+c.field+"}}]"), nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "s.yaml:1:") {
				t.Errorf("no place: %v", err)
			}
		})
	}
}

func TestTooManyFields(t *testing.T) {
	t.Parallel()
	fields := map[string]*crawlv1.FieldRule{}
	for range maxFields + 1 {
		fields["f"+strings.Repeat("x", len(fields)%100)+string(rune('a'+len(fields)/100))] = &crawlv1.FieldRule{Css: "a"}
	}
	err := Validate(&crawlv1.CrawlSpec{Extract: []*crawlv1.ExtractRule{{Name: "r", Fields: fields}}})
	if err == nil || !strings.Contains(err.Error(), "extract[0].fields: has 501 fields, the most is 500") {
		t.Errorf("%d fields: %v", len(fields), err)
	}
}

// TestDecodeMore: the mistakes that others find are reported at their place.
func TestDecodeMore(t *testing.T) {
	t.Parallel()
	yaml := []byte("extract:\n  - name: r\n    fields:\n      f: {css: 'a['}\n")
	_, err := Decode("s.yaml", yaml, nil,
		func(*crawlv1.CrawlSpec) error { return nil },
		func(*crawlv1.CrawlSpec) error {
			return errors.Join(&Problem{Path: "extract[0].fields.f.css", Text: "is wrong"}, errors.New("and so on"))
		},
		func(*crawlv1.CrawlSpec) error { t.Error("called after a mistake"); return nil })
	if want := "s.yaml:4:11: extract[0].fields.f.css: is wrong\nand so on"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
