// Package itemschema checks items against a JSON Schema (draft 2020-12 unless the
// schema names another).
package itemschema

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/weircrawl/weir/services/parser/internal/jsontext"
)

// name is what the schema is called inside the compiler.
const name = "mem:///schema.json"

// maxReason bounds a reason, in bytes: it may quote the item.
const maxReason = 500

// Schema is a compiled schema, immutable and safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

// noLoader refuses what a schema refers to outside itself: whoever submits a crawl
// must not make the parser read files or addresses.
type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the schema; put it under $defs", url)
}

// Compile compiles a schema. The error is one line.
func Compile(text string) (*Schema, error) {
	whole, ok := jsontext.Whole(text)
	if !ok {
		return nil, errors.New("is not JSON, or nests too deep")
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(whole))
	if err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		return nil, oneLine(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		return nil, oneLine(err)
	}
	return &Schema{s}, nil
}

func oneLine(err error) error {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), name, "")), " ")
	return fmt.Errorf("is not a JSON Schema: %s", text)
}

// Check returns why an item, a JSON object, does not fit; empty when it does. What is
// null in it, or in objects inside it, counts as absent.
func (s *Schema) Check(item []byte) string {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(item))
	if err != nil {
		return "not JSON: " + err.Error()
	}
	err = s.compiled.Validate(withoutNulls(doc))
	if err == nil {
		return ""
	}
	reason := err.Error()
	if e, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		reason = first(e)
	}
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}

// first describes the first thing that is wrong: of several, one is enough to know
// where to look.
func first(e *jsonschema.ValidationError) string {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	return "/" + strings.Join(e.InstanceLocation, "/") + ": " + strings.Join(strings.Fields(text), " ")
}

// withoutNulls drops the members of objects that are null.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == nil {
				delete(v, k)
			} else {
				withoutNulls(e)
			}
		}
	case []any:
		for _, e := range v {
			withoutNulls(e)
		}
	}
	return v
}
