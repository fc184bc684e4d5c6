package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// maxDepth bounds the objects inside objects that become columns; what is deeper is
// JSON.
const maxDepth = 8

// shape finds the columns of items that no spec describes, from their values.
type shape struct {
	known Schema
	root  map[string]*guess
	n     int
}

// guess is what the values of a field have been until now.
type guess struct {
	typ    Type // 0 before the first value
	list   bool
	fields map[string]*guess
}

func newShape(known Schema) *shape { return &shape{known: known, root: map[string]*guess{}} }

// add takes the fields of an item.
func (s *shape) add(item []byte) error {
	v, err := decode(item)
	if err != nil {
		return err
	}
	return s.object(s.root, v, 0)
}

func (s *shape) object(into map[string]*guess, v map[string]any, depth int) error {
	for name, value := range v {
		g := into[name]
		if g == nil {
			if s.n++; s.n > maxColumns {
				return crawl.Errorf(crawl.Invalid, "the items have over %d different fields, too many for a table: use jsonl", maxColumns)
			}
			g = &guess{}
			into[name] = g
		}
		if err := s.value(g, value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) value(g *guess, value any, depth int) error {
	switch v := value.(type) {
	case nil:
	case []any:
		g.list = true
		for _, e := range v {
			if _, nested := e.([]any); nested {
				g.take(JSON)
				return nil
			}
			if err := s.value(g, e, depth); err != nil {
				return err
			}
		}
	case map[string]any:
		if depth == maxDepth || len(v) == 0 {
			g.take(JSON)
			return nil
		}
		if g.take(Object); g.typ != Object {
			return nil
		}
		if g.fields == nil {
			g.fields = map[string]*guess{}
		}
		return s.object(g.fields, v, depth+1)
	case string:
		g.take(Text)
	case bool:
		g.take(Boolean)
	case json.Number:
		t := Integer
		if _, err := v.Int64(); err != nil {
			t = Number
		}
		g.take(t)
	}
	return nil
}

func (g *guess) take(t Type) {
	switch {
	case g.typ == 0, g.typ == t:
		g.typ = t
	case (g.typ == Integer || g.typ == Number) && (t == Integer || t == Number):
		g.typ = Number
	default:
		g.typ, g.fields = JSON, nil
	}
}

// schema puts what was seen beside what was known, which wins. Fields without any value
// have no column unless they are known.
func (s *shape) schema() Schema {
	if s.known.Closed {
		return s.known
	}
	out := slices.Clone(s.known.Columns)
	for _, c := range columnsOf(s.root) {
		if !slices.ContainsFunc(out, func(o Column) bool { return o.Name == c.Name }) {
			out = append(out, c)
		}
	}
	return Schema{Columns: out, Closed: true}
}

func columnsOf(gs map[string]*guess) []Column {
	var out []Column
	for _, name := range slices.Sorted(maps.Keys(gs)) {
		g := gs[name]
		switch {
		case g.typ == 0:
			continue
		case g.typ == Object:
			fields := columnsOf(g.fields)
			if len(fields) == 0 {
				out = append(out, Column{Name: name, Type: JSON})
				continue
			}
			out = append(out, Column{Name: name, Type: Object, List: g.list, Fields: fields})
		default:
			out = append(out, Column{Name: name, Type: g.typ, List: g.list && g.typ != JSON})
		}
	}
	return out
}

// decode reads an item, numbers as they are written.
func decode(item []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(item))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read an item: %w", err)
	}
	return v, nil
}

// timeOf reads a date or time as the parser writes them.
func timeOf(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
