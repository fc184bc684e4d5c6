package spec

import (
	"encoding/json"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The forms of texts that JSON Schema can check for an editor. They are looser
// than Validate: the schema helps while typing, Decode decides.
const (
	durationForm = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`
	sizeForm     = `^[0-9]+(\.[0-9]+)? ?(B|[kK]B|[MGT]B|[KMGT]iB)?$`
)

// JSONSchema returns the schema of specs for editors (draft 2020-12), made from
// the protobuf descriptors and the comments of spec.proto.
func JSONSchema() []byte {
	b := schemaBuilder{docs: comments(), defs: map[string]any{}}
	root := b.object(specDescriptor())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = Project + "/spec.schema.json"
	root["title"] = "Weir crawl spec"
	root["$defs"] = b.defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		// Maps of strings, numbers and maps: there is nothing that could fail.
		return nil
	}
	return append(out, '\n')
}

type schemaBuilder struct {
	docs map[string]string
	defs map[string]any
}

// object is the schema of a message.
func (b *schemaBuilder) object(md protoreflect.MessageDescriptor) map[string]any {
	props := map[string]any{}
	var oneof []any
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		prop := b.field(fd)
		if doc := b.docs[string(md.Name())+"."+fd.TextName()]; doc != "" {
			prop["description"] = doc
		}
		props[fd.TextName()] = prop
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			oneof = append(oneof, map[string]any{"required": []string{fd.TextName()}})
		}
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if doc := b.docs[string(md.Name())]; doc != "" {
		out["description"] = doc
	}
	if len(oneof) > 0 {
		out["oneOf"] = oneof
	}
	return out
}

// ref puts a message among the definitions and refers to it.
func (b *schemaBuilder) ref(md protoreflect.MessageDescriptor) map[string]any {
	name := string(md.Name())
	if _, ok := b.defs[name]; !ok {
		b.defs[name] = nil // breaks a cycle
		b.defs[name] = b.object(md)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func (b *schemaBuilder) field(fd protoreflect.FieldDescriptor) map[string]any {
	switch {
	case fd.IsMap():
		return map[string]any{"type": "object", "additionalProperties": b.value(fd.MapValue())}
	case fd.IsList():
		items := b.value(fd)
		if fd.Message() != nil {
			if names := namedSteps(fd.Message()); len(names) > 0 {
				items = map[string]any{"anyOf": []any{items, map[string]any{"enum": names}}}
			}
		}
		return map[string]any{"type": "array", "items": items}
	case isInlineList(fd):
		return map[string]any{"type": "array", "items": b.value(inlineValues(fd.Message()))}
	default:
		return b.value(fd)
	}
}

func (b *schemaBuilder) value(fd protoreflect.FieldDescriptor) map[string]any {
	switch {
	case isDuration(fd):
		return map[string]any{"type": []string{"string", "integer"}, "pattern": durationForm, "maximum": 0}
	case fd.Message() != nil:
		return b.ref(fd.Message())
	case isBytes(fd):
		return map[string]any{"type": []string{"string", "integer"}, "pattern": sizeForm, "minimum": 0}
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return map[string]any{"type": "string"}
	case protoreflect.BoolKind:
		return map[string]any{"type": "boolean"}
	case protoreflect.EnumKind:
		return map[string]any{"enum": enumNames(fd.Enum())}
	case protoreflect.DoubleKind:
		return map[string]any{"type": "number"}
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return map[string]any{"type": "integer", "minimum": 0}
	default:
		return map[string]any{"type": "integer"}
	}
}
