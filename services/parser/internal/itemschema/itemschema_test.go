package itemschema

import (
	"strings"
	"testing"
)

const product = `{"type":"object","required":["name","price"],"additionalProperties":false,"properties":{
	"name":{"type":"string","minLength":2},"price":{"$ref":"#/$defs/price"},"url":{"type":"string","format":"uri"},"tags":{"type":"array","items":{"type":"object","required":["t"]}}},
	"$defs":{"price":{"type":"number","minimum":0}}}`

func TestCheck(t *testing.T) {
	t.Parallel()
	s, err := Compile(product)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, item, want string }{
		{"fits", `{"name":"Lamp","price":1.5,"url":"https://x/"}`, ""},
		{"null is absent", `{"name":"Lamp","price":1.5,"url":null}`, ""},
		{"null is not what is required", `{"name":"Lamp","price":null}`, "/: missing property 'price'"},
		{"wrong type", `{"name":"Lamp","price":"1.5"}`, "/price: got string, want number"},
		{"too short", `{"name":"L","price":1}`, "/name: minLength: got 1, want 2"},
		{"below the minimum", `{"name":"Lamp","price":-1}`, "/price: minimum: got -1, want 0"},
		{"unknown field", `{"name":"Lamp","price":1,"x":2}`, "/: additional properties 'x' not allowed"},
		{"wrong format", `{"name":"Lamp","price":1,"url":"::"}`, "/url: '::' is not valid uri"},
		{"inside a list", `{"name":"Lamp","price":1,"tags":[{"t":1},{"t":null}]}`, "/tags/1: missing property 't'"},
		{"large number as written", `{"name":"Lamp","price":12345678901234567890123}`, ""},
		{"no JSON", `{`, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := s.Check([]byte(c.item))
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("reason %q, want %q", got, c.want)
			}
		})
	}
	if got := s.Check([]byte(`{"name":"Lamp","price":1,"` + strings.Repeat("ä", 1000) + `":1}`)); len(got) > maxReason+10 {
		t.Errorf("a reason of %d bytes", len(got))
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, schema, want string }{
		{"no JSON", `{`, "is not JSON"},
		{"a wrong keyword", `{"type":"strin"}`, "is not a JSON Schema"},
		{"a file", `{"$ref":"file:///etc/passwd"}`, "file:///etc/passwd is outside the schema"},
		{"an address", `{"$ref":"https://json.example/s.json"}`, "https://json.example/s.json is outside the schema"},
		{"a relative reference", `{"$ref":"other.json"}`, "outside the schema"},
		{"a wrong expression", `{"pattern":"("}`, "is not a JSON Schema"},
		{"deep", strings.Repeat(`{"not":`, 100_000), "is not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Compile(c.schema); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
	if _, err := Compile(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`); err != nil {
		t.Errorf("an older draft: %v", err)
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(product, `{"name":"Lamp","price":1.5}`)
	f.Add(`{"pattern":"a+","$ref":"#"}`, `"a"`)
	f.Add(`{"properties":{"a":{"$ref":"#"}}}`, `{"a":{"a":null}}`)
	f.Fuzz(func(t *testing.T, schema, item string) {
		if s, err := Compile(schema); err == nil {
			s.Check([]byte(item))
		}
	})
}
