package structured

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Names returns the names of an object's properties in a fixed order.
func Names(o Object) []string { return slices.Sorted(maps.Keys(o)) }

// Append appends a value as JSON, the names of objects sorted.
func Append(dst []byte, v any) []byte {
	buf := bytes.NewBuffer(dst)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Values come from JSON or from texts: there is nothing that could fail.
		return append(dst, "null"...)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})
}

// AppendProperties appends properties as one JSON object; those that come more than
// once become lists.
func AppendProperties(dst []byte, properties []Property) []byte {
	o := Object{}
	for _, p := range properties {
		add(o, p.Name, p.Content)
	}
	return Append(dst, o)
}
