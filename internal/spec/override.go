package spec

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func specDescriptor() protoreflect.MessageDescriptor {
	return (*crawlv1.CrawlSpec)(nil).ProtoReflect().Descriptor()
}

// override applies one path=value. A path walks through sections, numbers in
// lists and names in maps: politeness.delay, priorities.0.priority,
// fetch.headers.Accept-Language. A value that is a list or a section is YAML and
// replaces what was there; a text is taken as it stands.
func (d *decoder) override(m protoreflect.Message, set string) {
	path, value, ok := strings.Cut(set, "=")
	if path = strings.TrimSpace(path); !ok || path == "" {
		d.errs = append(d.errs, fmt.Errorf("--set %s: must be path=value, for example politeness.delay=0s", set))
		return
	}
	d.set = set
	defer func() { d.set = "" }()
	d.walk(m, strings.Split(path, "."), "", value)
}

// walk follows the path from a message and sets what is at its end.
func (d *decoder) walk(m protoreflect.Message, path []string, done, value string) {
	at := &yaml.Node{}
	fd := m.Descriptor().Fields().ByTextName(path[0])
	if fd == nil {
		d.errorf(at, "unknown field %q%s; %s", path[0], in(done), unknownField(path[0], m.Descriptor()))
		return
	}
	done = join(done, path[0])
	d.at[done] = d.where(at)
	rest := path[1:]
	section := fd.Message() != nil && !isValue(fd)
	switch {
	case len(rest) == 0:
		d.replace(m, fd, done, value)
	case fd.IsMap():
		d.walkMap(m.Mutable(fd).Map(), fd, rest, done, value)
	case fd.IsList():
		d.walkList(m.Mutable(fd).List(), fd, rest, done, value)
	case section:
		d.walk(m.Mutable(fd).Message(), rest, done, value)
	default:
		d.errorf(at, "%s has no fields", done)
	}
}

func (d *decoder) walkList(list protoreflect.List, fd protoreflect.FieldDescriptor, rest []string, done, value string) {
	at := &yaml.Node{}
	i, err := strconv.Atoi(rest[0])
	if err != nil || i < 0 || i >= list.Len() {
		d.errorf(at, "%s has %d entries, counted from 0; %q is none of them", done, list.Len(), rest[0])
		return
	}
	done = index(done, i)
	d.at[done] = d.where(at)
	switch {
	case len(rest) > 1 && fd.Message() != nil:
		d.walk(list.Get(i).Message(), rest[1:], done, value)
	case len(rest) > 1:
		d.errorf(at, "%s has no fields", done)
	case fd.Message() != nil:
		if n := d.valueNode(value); n != nil {
			entry := list.NewElement()
			d.message(n, entry.Message(), done)
			list.Set(i, entry)
		}
	default:
		if v, ok := d.scalar(textNode(value), fd, done); ok {
			list.Set(i, v)
		}
	}
}

func (d *decoder) walkMap(m protoreflect.Map, fd protoreflect.FieldDescriptor, rest []string, done, value string) {
	at := &yaml.Node{}
	if fd.MapValue().Message() == nil {
		// Names of headers may hold dots: all that is left is the name.
		name := strings.Join(rest, ".")
		d.at[join(done, name)] = d.where(at)
		if v, ok := d.scalar(textNode(value), fd.MapValue(), join(done, name)); ok {
			m.Set(protoreflect.ValueOfString(name).MapKey(), v)
		}
		return
	}
	key := protoreflect.ValueOfString(rest[0]).MapKey()
	done = join(done, rest[0])
	d.at[done] = d.where(at)
	if len(rest) > 1 {
		d.walk(m.Mutable(key).Message(), rest[1:], done, value)
		return
	}
	if n := d.valueNode(value); n != nil {
		entry := m.NewValue()
		d.message(n, entry.Message(), done)
		m.Set(key, entry)
	}
}

// replace gives a field a new value.
func (d *decoder) replace(m protoreflect.Message, fd protoreflect.FieldDescriptor, path, value string) {
	var n *yaml.Node
	switch {
	case fd.Kind() == protoreflect.StringKind && !fd.IsList():
		n = textNode(value)
	case (fd.IsList() && fd.Kind() == protoreflect.StringKind || isInlineList(fd)) && !strings.HasPrefix(strings.TrimSpace(value), "["):
		// One text stands for a list of one.
		n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{textNode(value)}}
	default:
		n = d.valueNode(value)
	}
	if n == nil {
		return
	}
	if isNull(n) {
		m.Clear(fd)
		return
	}
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		m.Clear(fd)
	}
	if fd.IsList() || fd.IsMap() || fd.Message() != nil {
		m.Clear(fd)
	}
	d.field(n, m, fd, path)
}

// valueNode reads the value of an override as YAML.
func (d *decoder) valueNode(value string) *yaml.Node {
	root, err := parseYAML("value", []byte(value))
	if err != nil {
		d.errorf(&yaml.Node{}, "the value is not YAML; put it in quotes")
		return nil
	}
	if root == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	return root
}

func textNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}
