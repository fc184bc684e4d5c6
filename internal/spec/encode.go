package spec

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Encode writes s as YAML that Decode reads back to the same message: fields in
// the order of the proto file, map entries by name. Unset fields are left out.
func Encode(s *crawlv1.CrawlSpec) ([]byte, error) {
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(encodeMessage(s.ProtoReflect())); err != nil {
		return nil, fmt.Errorf("encode spec %s: %w", s.GetName(), err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("encode spec %s: %w", s.GetName(), err)
	}
	return buf.Bytes(), nil
}

func encodeMessage(m protoreflect.Message) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); m.Has(fd) {
			out.Content = append(out.Content, textNode(fd.TextName()), encodeField(fd, m.Get(fd)))
		}
	}
	return out
}

func encodeField(fd protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch {
	case fd.IsMap():
		names := map[string]protoreflect.Value{}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			names[k.String()] = v
			return true
		})
		out := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range sortedKeys(names) {
			out.Content = append(out.Content, textNode(name), encodeValue(fd.MapValue(), names[name]))
		}
		return out
	case fd.IsList():
		return encodeList(fd, v.List())
	case isInlineList(fd):
		values := inlineValues(fd.Message())
		return encodeList(values, v.Message().Get(values).List())
	default:
		return encodeValue(fd, v)
	}
}

func encodeList(fd protoreflect.FieldDescriptor, list protoreflect.List) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode}
	if list.Len() == 0 {
		out.Style = yaml.FlowStyle
	}
	for i := range list.Len() {
		out.Content = append(out.Content, encodeValue(fd, list.Get(i)))
	}
	return out
}

func encodeValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch {
	case isDuration(fd):
		d, _ := v.Message().Interface().(*durationpb.Duration)
		return textNode(formatDuration(d.AsDuration()))
	case fd.Message() != nil:
		return encodeMessage(v.Message())
	case isBytes(fd):
		return plainNode(FormatSize(v.Int()))
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return textNode(v.String())
	case protoreflect.EnumKind:
		if ev := fd.Enum().Values().ByNumber(v.Enum()); ev != nil {
			return textNode(enumName(ev))
		}
		return plainNode(strconv.Itoa(int(v.Enum())))
	case protoreflect.DoubleKind:
		return plainNode(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	default:
		return plainNode(v.String())
	}
}

func plainNode(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }

// formatDuration leaves out the zeros that Duration.String adds: 1h, not 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
