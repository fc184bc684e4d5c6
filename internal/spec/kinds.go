package spec

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// isDuration tells that a field is written as Go writes durations: 1m30s.
func isDuration(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Duration"
}

// isInlineList tells that a field is a wrapped list, written as a plain list.
func isInlineList(fd protoreflect.FieldDescriptor) bool {
	return option(fd, crawlv1.E_InlineList)
}

// isBytes tells that a field is a size, written as 10MiB.
func isBytes(fd protoreflect.FieldDescriptor) bool {
	return option(fd, crawlv1.E_UnitBytes)
}

// isNamedStep tells that a field is a choice of its message which needs no more than
// its name: a bool in a oneof.
func isNamedStep(fd protoreflect.FieldDescriptor) bool {
	o := fd.ContainingOneof()
	return o != nil && !o.IsSynthetic() && fd.Kind() == protoreflect.BoolKind
}

// namedSteps are the names that may stand in the place of a message.
func namedSteps(md protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range md.Fields().Len() {
		if fd := md.Fields().Get(i); isNamedStep(fd) {
			names = append(names, fd.TextName())
		}
	}
	return names
}

func option(fd protoreflect.FieldDescriptor, ext protoreflect.ExtensionType) bool {
	opts, ok := fd.Options().(*descriptorpb.FieldOptions)
	if !ok || opts == nil {
		return false
	}
	set, _ := proto.GetExtension(opts, ext).(bool)
	return set
}

// inlineValues is the one field of an inline list's message.
func inlineValues(md protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	return md.Fields().ByName("values")
}

// enumPrefix is what the names of an enum's values begin with: FIELD_TYPE_ for
// FieldType.
func enumPrefix(ed protoreflect.EnumDescriptor) string {
	var b strings.Builder
	for i, r := range string(ed.Name()) {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String()) + "_"
}

// enumName is the short form that users write: breadth_first.
func enumName(v protoreflect.EnumValueDescriptor) string {
	ed, ok := v.Parent().(protoreflect.EnumDescriptor)
	if !ok {
		return string(v.Name())
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(ed)))
}

// enumNames are the short forms that users may write, in the order of the
// proto file; the unspecified value is none of them.
func enumNames(ed protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); v.Number() != 0 {
			names = append(names, enumName(v))
		}
	}
	return names
}

// enumNumber finds the value of a short form.
func enumNumber(ed protoreflect.EnumDescriptor, short string) (protoreflect.EnumNumber, bool) {
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); v.Number() != 0 && enumName(v) == short {
			return v.Number(), true
		}
	}
	return 0, false
}
