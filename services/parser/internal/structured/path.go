package structured

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSteps bounds the words of a path.
const maxSteps = 16

// Path finds values in objects: words parted by points, each the name of a
// property or the number of an element, from 0. A first word that begins with a
// capital is a type that objects must have, wherever they are nested; without one
// the path begins at the outermost objects.
type Path struct {
	typ   string
	steps []string
}

// ParsePath reads a path.
func ParsePath(s string) (Path, error) {
	words := strings.Split(s, ".")
	if len(words) > maxSteps {
		return Path{}, fmt.Errorf("has more than %d words", maxSteps)
	}
	for _, w := range words {
		if strings.TrimSpace(w) != w || w == "" {
			return Path{}, errors.New("must be words parted by points, such as offers.price")
		}
	}
	if isType(words[0]) {
		return Path{words[0], words[1:]}, nil
	}
	return Path{steps: words}, nil
}

func isType(word string) bool {
	r, _ := utf8.DecodeRuneInString(word)
	return unicode.IsUpper(r)
}

// ParseType reads the name of a type, such as Product.
func ParseType(s string) (Path, error) {
	if strings.ContainsAny(s, ". \t\n") || !isType(s) {
		return Path{}, errors.New("must be the name of a type, such as Product")
	}
	return Path{typ: s}, nil
}

// Each calls found for the values at the path in the objects, in their order, until
// it returns false. Lists are walked through on the way and at the end.
func (p Path) Each(objects []any, found func(any) bool) {
	w := walker{objects: objects, found: found}
	if p.typ == "" {
		w.all(objects, p.steps)
		return
	}
	w.typed(objects, p.typ, p.steps)
}

// walker is one walk along a path.
type walker struct {
	objects []any
	found   func(any) bool
	ids     map[string]Object // made for the first reference
	visits  int
}

// maxVisits bounds a walk: references let a small page unfold into a large one.
const maxVisits = 100_000

// typed walks from the objects of a type that are in v, nested ones too, but not
// those inside another of them.
func (w *walker) typed(v any, typ string, steps []string) bool {
	if w.visits++; w.visits > maxVisits {
		return false
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !w.typed(e, typ, steps) {
				return false
			}
		}
	case Object:
		if hasType(v, typ) {
			return w.walk(v, steps)
		}
		for _, name := range Names(v) {
			if !w.typed(v[name], typ, steps) {
				return false
			}
		}
	}
	return true
}

// all walks from every object, which may be of any type.
func (w *walker) all(objects []any, steps []string) bool {
	for _, o := range objects {
		if !w.walk(o, steps) {
			return false
		}
	}
	return true
}

func (w *walker) walk(v any, steps []string) bool {
	if w.visits++; w.visits > maxVisits {
		return false
	}
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		if len(steps) > 0 {
			if i, err := strconv.Atoi(steps[0]); err == nil {
				if i < 0 || i >= len(v) {
					return true
				}
				return w.walk(v[i], steps[1:])
			}
		}
		return w.all(v, steps)
	case Object:
		if value, ok := v["@value"]; ok && (len(steps) == 0 || steps[0] != "@value") {
			return w.walk(value, steps)
		}
		if len(steps) == 0 {
			return w.found(v)
		}
		return w.walk(w.property(v, steps[0]), steps[1:])
	}
	// A list of one is often written without its brackets.
	if len(steps) > 0 && steps[0] == "0" {
		return w.walk(v, steps[1:])
	}
	if len(steps) > 0 {
		return true
	}
	return w.found(v)
}

// property returns the value of a property. An object that only has an @id stands
// for the one with that @id elsewhere.
func (w *walker) property(o Object, name string) any {
	if v, ok := o[name]; ok {
		return v
	}
	if v, ok := o["schema:"+name]; ok {
		return v
	}
	if name == "0" {
		return o
	}
	id, ok := o["@id"].(string)
	if !ok || len(o) > 1 {
		return nil
	}
	if w.ids == nil {
		w.ids = map[string]Object{}
		for _, v := range w.objects {
			if other, ok := v.(Object); ok && len(other) > 1 {
				if id, ok := other["@id"].(string); ok {
					w.ids[id] = other
				}
			}
		}
	}
	return w.ids[id][name]
}

// hasType reports whether an object is of a type, whatever its vocabulary.
func hasType(o Object, typ string) bool {
	switch t := o["@type"].(type) {
	case string:
		return localName(t) == typ
	case []any:
		for _, t := range t {
			if s, ok := t.(string); ok && localName(s) == typ {
				return true
			}
		}
	}
	return false
}

// Text returns a value as text, and whether it is plain: objects and lists are
// JSON, the rest is as written.
func Text(v any) (s string, plain bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return string(Append(nil, v)), false
}
