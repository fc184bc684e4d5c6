package spec

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// subject names the thing at a path in a sentence.
func subject(path string) string {
	if path == "" {
		return "the spec"
	}
	return path
}

// in is the clause that says where a field is; nothing at the top.
func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldNames are the names that users may write in a message.
func fieldNames(md protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range md.Fields().Len() {
		names = append(names, md.Fields().Get(i).TextName())
	}
	return names
}

// sample is one or two field names of a message.
func sample(md protoreflect.MessageDescriptor) string {
	names := fieldNames(md)
	return strings.Join(names[:min(2, len(names))], " and ")
}

// unknownField helps with a name that md has not: the field of another section
// that has exactly this name, else the nearest name here, else all names.
func unknownField(name string, md protoreflect.MessageDescriptor) string {
	hint := didYouMean(name, fieldNames(md))
	if strings.HasPrefix(hint, "did") {
		return hint
	}
	if md.FullName() != "weir.crawl.v1.CrawlSpec" {
		md = specDescriptor()
		if md.Fields().ByTextName(name) != nil {
			return fmt.Sprintf("it belongs at the top level; %s", hint)
		}
	}
	for i := range md.Fields().Len() {
		section := md.Fields().Get(i)
		if section.Message() == nil || section.IsList() || section.IsMap() || isValue(section) {
			continue
		}
		if section.Message().Fields().ByTextName(name) != nil {
			return fmt.Sprintf("did you mean %q?", section.TextName()+"."+name)
		}
	}
	return hint
}
