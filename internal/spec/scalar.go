package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// scalar reads one value. Types are strict, so that a number where a text is
// meant (a version, a phone number) is never guessed at.
func (d *decoder) scalar(n *yaml.Node, fd protoreflect.FieldDescriptor, path string) (protoreflect.Value, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.errorf(n, "%s must be %s, not %s", path, wanted(fd), describe(n))
		return protoreflect.Value{}, false
	}
	v, why := parseScalar(n, fd)
	if why != "" {
		d.errorf(n, "%s %s", path, why)
		return protoreflect.Value{}, false
	}
	return v, true
}

// parseScalar returns the value, or what is wrong with it.
func parseScalar(n *yaml.Node, fd protoreflect.FieldDescriptor) (v protoreflect.Value, why string) {
	mismatch := fmt.Sprintf("must be %s, not %s", wanted(fd), describe(n))
	tag := n.ShortTag()
	switch {
	case isDuration(fd):
		return parseDuration(n, mismatch)
	case isBytes(fd):
		size, err := ParseSize(n.Value)
		if err != nil {
			return v, mismatch
		}
		return protoreflect.ValueOfInt64(size), ""
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		if tag != "!!str" {
			return v, mismatch + "; put it in quotes"
		}
		if !utf8.ValidString(n.Value) {
			return v, "must be UTF-8 text"
		}
		return protoreflect.ValueOfString(n.Value), ""
	case protoreflect.BoolKind:
		if tag != "!!bool" {
			return v, mismatch
		}
		return protoreflect.ValueOfBool(strings.EqualFold(n.Value, "true")), ""
	case protoreflect.EnumKind:
		number, ok := enumNumber(fd.Enum(), n.Value)
		if !ok {
			names := enumNames(fd.Enum())
			if hint := didYouMean(n.Value, names); !strings.HasPrefix(hint, "known") {
				mismatch += "; " + hint
			}
			return v, mismatch
		}
		return protoreflect.ValueOfEnum(number), ""
	case protoreflect.DoubleKind:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || tag != "!!float" && tag != "!!int" || math.IsInf(f, 0) || math.IsNaN(f) {
			return v, mismatch
		}
		return protoreflect.ValueOfFloat64(f), ""
	default:
		if tag != "!!int" {
			return v, mismatch
		}
		return parseInteger(strings.ReplaceAll(n.Value, "_", ""), fd)
	}
}

func parseDuration(n *yaml.Node, mismatch string) (protoreflect.Value, string) {
	dur, err := time.ParseDuration(n.Value)
	if err != nil {
		if _, number := strconv.ParseFloat(n.Value, 64); number == nil {
			return protoreflect.Value{}, fmt.Sprintf("needs a unit: %ss, %sm or %sh", n.Value, n.Value, n.Value)
		}
		return protoreflect.Value{}, mismatch
	}
	return protoreflect.ValueOfMessage(durationpb.New(dur).ProtoReflect()), ""
}

// parseInteger reads a decimal number that fits the field.
func parseInteger(s string, fd protoreflect.FieldDescriptor) (v protoreflect.Value, why string) {
	switch fd.Kind() {
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		bits := 64
		if fd.Kind() == protoreflect.Uint32Kind {
			bits = 32
		}
		u, err := strconv.ParseUint(s, 10, bits)
		switch {
		case strings.HasPrefix(s, "-"):
			return v, "must not be negative, not " + s
		case err != nil:
			return v, fmt.Sprintf("must be a whole number up to %d, not %s", uint64(math.MaxUint64)>>(64-bits), s)
		case bits == 32:
			return protoreflect.ValueOfUint32(uint32(u)), ""
		}
		return protoreflect.ValueOfUint64(u), ""
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		i, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return v, fmt.Sprintf("must be a whole number from %d to %d, not %s", math.MinInt32, math.MaxInt32, s)
		}
		return protoreflect.ValueOfInt32(int32(i)), ""
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return v, fmt.Sprintf("must be a whole number from %d to %d, not %s", math.MinInt64, math.MaxInt64, s)
		}
		return protoreflect.ValueOfInt64(i), ""
	default:
		return v, "is of a kind that specs do not have: " + fd.Kind().String()
	}
}

// wanted says in words what a field takes.
func wanted(fd protoreflect.FieldDescriptor) string {
	switch {
	case isDuration(fd):
		return "a duration such as 500ms, 30s or 1h30m"
	case isBytes(fd):
		return "a size such as 512, 64KB or 10MiB"
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return "text"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		return oneOf(enumNames(fd.Enum()))
	case protoreflect.DoubleKind:
		return "a number"
	default:
		return "a whole number"
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says in words what a node is.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	value := n.Value
	if len(value) > 60 {
		value = strings.ToValidUTF8(value[:60], "") + "…"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + value
	case "!!bool":
		return value
	default:
		return strconv.Quote(value)
	}
}

func bracketHint(n *yaml.Node, fd protoreflect.FieldDescriptor) string {
	if n.Kind != yaml.ScalarNode || fd.Message() != nil {
		return ""
	}
	return fmt.Sprintf("; did you mean [%s]?", n.Value)
}
