package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// maxProblems bounds what one error reports: more helps nobody.
const maxProblems = 20

// maxNodes bounds how many YAML nodes are read, aliases followed, so that a
// small file cannot unfold into gigabytes.
const maxNodes = 500_000

// Decode reads a spec from YAML (JSON is YAML too), applies overrides of the
// form path=value in order, and validates the outcome. The error joins all
// mistakes, one a line, each as file:line:column (or the override), what is
// wrong and what would be right; its kind is crawl.Invalid. file is only a name
// for errors. Fields left out stay unset: see Resolve.
//
// What a valid spec still needs is done by more, in order: reading files that it
// names, checks that are not this package's. They may change the spec; a *Problem in
// their errors is reported at its place in the file.
func Decode(file string, data []byte, sets []string, more ...func(*crawlv1.CrawlSpec) error) (*crawlv1.CrawlSpec, error) {
	s := &crawlv1.CrawlSpec{}
	d := &decoder{file: file, at: map[string]string{}}
	root, err := parseYAML(file, data)
	if err != nil {
		return nil, err
	}
	if root != nil {
		d.message(root, s.ProtoReflect(), "")
	}
	return d.finish(s, sets, more...)
}

// FromURLs makes the spec of a crawl that only has seeds, with overrides and
// errors as in Decode.
func FromURLs(urls, sets []string, more ...func(*crawlv1.CrawlSpec) error) (*crawlv1.CrawlSpec, error) {
	d := &decoder{at: map[string]string{}}
	for i := range urls {
		d.at[index("seeds.urls", i)] = "argument"
	}
	return d.finish(&crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: urls}}, sets, more...)
}

// finish applies the overrides and reports the mistakes of both the reading and
// the spec itself. A field that could not be read is not judged a second time:
// it counts as left out.
func (d *decoder) finish(s *crawlv1.CrawlSpec, sets []string, more ...func(*crawlv1.CrawlSpec) error) (*crawlv1.CrawlSpec, error) {
	for _, set := range sets {
		d.override(s.ProtoReflect(), set)
	}
	if len(d.errs) == 0 {
		for _, p := range check(s) {
			d.located(p)
		}
	}
	for _, f := range more {
		if len(d.errs) == 0 {
			d.problems(f(s))
		}
	}
	if len(d.errs) == 0 {
		return s, nil
	}
	if n := len(d.errs) - maxProblems; n > 0 {
		d.errs = append(d.errs[:maxProblems], fmt.Errorf("and %d more mistakes", n))
	}
	return nil, &crawl.Error{Kind: crawl.Invalid, Err: errors.Join(d.errs...)}
}

// parseYAML returns the root node of the one document in data, nil for an empty one.
func parseYAML(file string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, yamlError(file, err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, crawl.Errorf(crawl.Invalid, "%s:%d: a second document begins here; a file holds one spec", file, second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(file, err)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

// yamlError puts the parser's "yaml: line 3: text" into the form of all others.
func yamlError(file string, err error) error {
	text := oneLine(err)
	if m := regexp.MustCompile(`^yaml: line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		return crawl.Errorf(crawl.Invalid, "%s:%s: not YAML: %s", file, m[1], m[2])
	}
	return crawl.Errorf(crawl.Invalid, "%s: not YAML: %s", file, strings.TrimPrefix(text, "yaml: "))
}

// decoder fills a message from YAML nodes and remembers where each field was.
type decoder struct {
	file  string
	set   string            // the override being read, instead of file:line:col
	at    map[string]string // path of a field → where it is written
	nodes int
	errs  []error
}

func (d *decoder) where(n *yaml.Node) string {
	if d.set != "" {
		return "--set " + d.set
	}
	return fmt.Sprintf("%s:%d:%d", d.file, n.Line, n.Column)
}

func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("%s: %s", d.where(n), fmt.Sprintf(format, args...)))
}

// located reports a mistake of validation at the place where the field, or the
// nearest thing around it, is written.
func (d *decoder) located(p *Problem) {
	for path := p.Path; path != ""; path = parentPath(path) {
		if at, ok := d.at[path]; ok {
			d.errs = append(d.errs, fmt.Errorf("%s: %w", at, p))
			return
		}
	}
	if d.file != "" {
		d.errs = append(d.errs, fmt.Errorf("%s: %w", d.file, p))
		return
	}
	d.errs = append(d.errs, p)
}

// problems reports the errors of a check, those that name a field at its place.
func (d *decoder) problems(err error) {
	if err == nil {
		return
	}
	if p, ok := err.(*Problem); ok {
		d.located(p)
		return
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			d.problems(err)
		}
		return
	case *crawl.Error:
		d.problems(e.Err)
		return
	}
	d.errs = append(d.errs, err)
}

func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// resolve follows an alias and counts the node. It returns nil when the budget
// is used up, which is reported once.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	d.nodes++
	if d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.errorf(n, "the spec is too large: over %d values", maxNodes)
		}
		return nil
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// message reads a mapping into a message.
func (d *decoder) message(n *yaml.Node, m protoreflect.Message, path string) {
	if n = d.resolve(n); n == nil {
		return
	}
	if steps := namedSteps(m.Descriptor()); n.Kind == yaml.ScalarNode && len(steps) > 0 {
		known := fieldNames(m.Descriptor())
		d.errorf(n, "%s must be %s, or a mapping with %s, not %s; %s", subject(path), oneOf(steps),
			oneOf(slices.DeleteFunc(slices.Clone(known), func(name string) bool { return slices.Contains(steps, name) })), describe(n), didYouMean(n.Value, known))
		return
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "%s must be a mapping with fields such as %s, not %s", subject(path), sample(m.Descriptor()), describe(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		fd := m.Descriptor().Fields().ByTextName(key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
			d.errorf(key, "the name of a field in %s must be text", subject(path))
			continue
		case fd == nil:
			d.errorf(key, "unknown field %q%s; %s", key.Value, in(path), unknownField(key.Value, m.Descriptor()))
			continue
		case seen[key.Value]:
			d.errorf(key, "%q is given twice%s", key.Value, in(path))
			continue
		}
		seen[key.Value] = true
		if other := oneofTaken(m, fd); other != nil {
			d.errorf(key, "%s has both %s and %s; give one", subject(path), other.Name(), fd.Name())
			continue
		}
		d.at[join(path, key.Value)] = d.where(key)
		d.field(value, m, fd, join(path, key.Value))
	}
}

// oneofTaken returns the field that already holds the place of fd.
func oneofTaken(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return m.WhichOneof(o)
	}
	return nil
}

// field reads the value of one field; a null leaves it unset.
func (d *decoder) field(n *yaml.Node, m protoreflect.Message, fd protoreflect.FieldDescriptor, path string) {
	if n = d.resolve(n); n == nil || isNull(n) {
		return
	}
	switch {
	case fd.IsMap():
		d.mapping(n, m.Mutable(fd).Map(), fd, path)
	case fd.IsList():
		d.list(n, m.Mutable(fd).List(), fd, path)
	case isInlineList(fd):
		values := inlineValues(fd.Message())
		d.list(n, m.Mutable(fd).Message().Mutable(values).List(), values, path)
	case fd.Message() != nil && !isDuration(fd):
		d.message(n, m.Mutable(fd).Message(), path)
	default:
		if v, ok := d.scalar(n, fd, path); ok {
			m.Set(fd, v)
		}
	}
}

func (d *decoder) list(n *yaml.Node, list protoreflect.List, fd protoreflect.FieldDescriptor, path string) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, "%s must be a list, not %s%s", path, describe(n), bracketHint(n, fd))
		return
	}
	for i, item := range n.Content {
		at := index(path, i)
		if item = d.resolve(item); item == nil {
			return
		}
		d.at[at] = d.where(item)
		if step := d.step(item, fd); step != nil {
			m := list.AppendMutable().Message()
			m.Set(step, protoreflect.ValueOfBool(true))
		} else if fd.Message() != nil && !isDuration(fd) {
			d.message(item, list.AppendMutable().Message(), at)
		} else if v, ok := d.scalar(item, fd, at); ok {
			list.Append(v)
		}
	}
}

// step returns the field that a text in the place of a message stands for: a
// choice that needs no more than its name, as trim for {trim: true}. It returns nil
// for everything else.
func (d *decoder) step(n *yaml.Node, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if n.Kind != yaml.ScalarNode || fd.Message() == nil {
		return nil
	}
	choice := fd.Message().Fields().ByTextName(n.Value)
	if choice == nil || !isNamedStep(choice) {
		return nil
	}
	return choice
}

func (d *decoder) mapping(n *yaml.Node, m protoreflect.Map, fd protoreflect.FieldDescriptor, path string) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "%s must be a mapping of names, not %s", path, describe(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], d.resolve(n.Content[i+1])
		if value == nil {
			return
		}
		if key.Kind != yaml.ScalarNode {
			d.errorf(key, "a name in %s must be text", path)
			continue
		}
		mk, at := protoreflect.ValueOfString(key.Value).MapKey(), join(path, key.Value)
		if m.Has(mk) {
			d.errorf(key, "%q is given twice%s", key.Value, in(path))
			continue
		}
		d.at[at] = d.where(key)
		if fd.MapValue().Message() != nil {
			d.message(value, m.Mutable(mk).Message(), at)
		} else if v, ok := d.scalar(value, fd.MapValue(), at); ok {
			m.Set(mk, v)
		}
	}
}
