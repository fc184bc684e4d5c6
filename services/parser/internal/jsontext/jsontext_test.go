package jsontext

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhole(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 100_000)
	for _, c := range []struct {
		name, in, want string
		ok             bool
	}{
		{"object", ` {"a":1} `, `{"a":1}`, true},
		{"byte order mark", "\ufeff[1]", "[1]", true},
		{"number", "1", "1", true},
		{"empty", " ", "", false},
		{"junk", "{} x", "", false},
		{"too deep", deep + strings.Repeat("]", 100_000), "", false},
		{"deep and open", deep, "", false},
		{"brackets in strings", `"` + deep + `"`, `"` + deep + `"`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := Whole(c.in)
			if got != c.want || ok != c.ok {
				t.Errorf("got %.60q, %v", got, ok)
			}
		})
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "var a = 1", nil},
		{"object", `{"a": 1}`, []string{`{"a": 1}`}},
		{"two objects", `{"a":1}{"b":2}`, []string{`{"a":1}`, `{"b":2}`}},
		{"junk behind", `{"a":1};</scr`, []string{`{"a":1}`}},
		{"assignment", `window.data = {"a":[1]};`, []string{`{"a":[1]}`}},
		{"callback", `cb([1,2])`, []string{`[1,2]`}},
		{"guard", ")]}',\n{\"a\":1}", []string{`{"a":1}`}},
		{"character data", "//<![CDATA[\n{\"a\":1}\n//]]>", []string{`{"a":1}`}},
		{"comment of HTML", "<!--\n{\"a\":1}\n-->", []string{`{"a":1}`}},
		{"trailing commas", `{"a":[1,2, ],}`, []string{`{"a":[1,2]}`}},
		{"line break in a string", "{\"a\":\"x\ny\"}", []string{`{"a":"x\u000ay"}`}},
		{"tab in a string", "{\"a\":\"x\ty\"}", []string{`{"a":"x\u0009y"}`}},
		{"comments", "{/* c */\"a\":1, // d\n\"b\":\"//\"}", []string{`{"a":1, "b":"//"}`}},
		{"wrong escape", `{"a":"it\'s"}`, []string{`{"a":"it\\'s"}`}},
		{"brackets in strings", `{"a":"}]"}`, []string{`{"a":"}]"}`}},
		{"not closed", `{"a":{"b":1}`, []string{`{"b":1}`}},
		{"code around it", `function f(){return {"a":1}}`, []string{`{"a":1}`}},
		{"control characters outside strings", "{\x00\"a\":1}", []string{`{ "a":1}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Values(c.in)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongest(t *testing.T) {
	t.Parallel()
	if got, ok := Longest(`var a = []; if (a[0]) {b()}; window.data = {"k":"v"};`); got != `{"k":"v"}` || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := Longest("no json"); ok {
		t.Error("found something in nothing")
	}
	if got, ok := Longest(`"text"`); got != `"text"` || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "[1,]", "{\"a\":\"\n\"}", `{"a":"\`, "//[", "/*{", strings.Repeat("[", 600), `[{]}`, "{\"\\\n\":1}", `[",`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, v := range Values(s) {
			if !json.Valid([]byte(v)) || !shallow(v) {
				t.Errorf("%q gave %q", s, v)
			}
		}
		if v, ok := Whole(s); ok && !json.Valid([]byte(v)) {
			t.Errorf("%q gave %q", s, v)
		}
	})
}
