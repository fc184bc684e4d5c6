package extract

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const tail = `"_url":"https://a.example/p","_rule":"extractor","_fetched_at":"2023-11-14T22:13:20.000Z"`

func given(check func([]byte) string) Given {
	return Given{Rule: "extractor", URL: "https://a.example/p", FetchedAt: time.Unix(1_700_000_000, 0), Check: check}
}

func TestGivenItems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, fields, want, err string }{
		{name: "order and numbers are kept", fields: ` { "b": 1.50, "a": 12345678901234567890, "é": [1, {"_x": null}] } `, want: `{"b":1.50,"a":12345678901234567890,"é":[1,{"_x":null}],` + tail + `}`},
		{name: "no fields", fields: `{}`, want: `{` + tail + `}`},
		{name: "list", fields: `[1]`, err: "is not a JSON object"},
		{name: "text", fields: `"a"`, err: "is not a JSON object"},
		{name: "nothing", fields: ``, err: "is not JSON"},
		{name: "two", fields: `{} {}`, err: "is not JSON"},
		{name: "cut", fields: `{"a": 1`, err: "is not JSON"},
		{name: "own name", fields: `{"a": 1, "_url": "x"}`, err: `has the field "_url"`},
		{name: "escaped own name", fields: `{"\u005furl": "x"}`, err: `has the field "_url"`},
		{name: "twice", fields: `{"a": 1, "a": 2}`, err: `has the field "a" twice`},
		{name: "not UTF-8", fields: "{\"a\": \"\xff\"}", err: "is not UTF-8"},
		{name: "too deep", fields: `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, err: "nests too deep"},
		{name: "too long", fields: `{"a":"` + strings.Repeat("x", maxItemSize) + `"}`, err: "is longer than 262144 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			item, reason, err := given(nil).Wrap([]byte(c.fields))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v; want %q", err, c.err)
				}
				return
			}
			if err != nil || reason != "" || string(item) != c.want {
				t.Errorf("item %s, %q, %v; want %s", item, reason, err, c.want)
			}
		})
	}
}

func TestGivenItemsAreChecked(t *testing.T) {
	t.Parallel()
	item, reason, err := given(func(b []byte) string {
		if string(b) != `{"a":1}` {
			t.Errorf("checked %s", b)
		}
		clear(b) // it may do as it likes
		return `is "bad"`
	}).Wrap([]byte(`{"a": 1}`))
	if want := `{"a":1,` + tail + `,"_reason":"is \"bad\""}`; err != nil || reason == "" || string(item) != want {
		t.Errorf("item %s, %q, %v; want %s", item, reason, err, want)
	}
}

// FuzzGiven: whatever a program sends, what is taken is one JSON object with our names.
func FuzzGiven(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.50,"x"]}`, `{"_a":1}`, `[]`, "{\"a\":\"\xff\"}", `{"a":1}{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, fields []byte) {
		item, _, err := given(nil).Wrap(fields)
		if err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal(item, &m); err != nil || m["_url"] != "https://a.example/p" || m["_rule"] != "extractor" {
			t.Errorf("%q became %s: %v", fields, item, err)
		}
	})
}
