package export

import (
	"cmp"
	"slices"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Type of a column.
type Type uint8

// The types, a closed set. Values that do not fit their column's type are kept as JSON
// in the column named by Misfits.
const (
	// Text is a string.
	Text Type = iota + 1
	// Number is a 64-bit floating point number, Integer a 64-bit integer.
	Number
	Integer
	// Boolean is true or false.
	Boolean
	// Time is a point in time to the millisecond, in UTC; a date is its midnight.
	Time
	// JSON is any value as its text.
	JSON
	// Object has columns of its own.
	Object
)

// Misfits is the name of the column with what did not fit: a JSON object of the fields
// that have no column or a value of another type; null for nearly all items.
const Misfits = "_misfits"

// Column of a table.
type Column struct {
	// Name of the field.
	Name string
	// Type of the value, or of each value of a list.
	Type Type
	// List: there may be several.
	List bool
	// Fields of an Object.
	Fields []Column
}

// Schema is what is known of the fields of items.
type Schema struct {
	// Columns in any order.
	Columns []Column
	// Closed: items have no other fields, so that they need not be read to find the
	// columns.
	Closed bool
}

// SchemaOf finds the columns in a spec. It is closed when only rules make items.
func SchemaOf(spec *crawlv1.CrawlSpec) Schema {
	s := Schema{Columns: ownColumns(), Closed: spec.GetExtractor() == nil}
	if len(spec.GetExtract()) == 0 {
		s.Columns = append(s.Columns, pageColumns()...)
		s.Closed = s.Closed && !spec.GetParse().GetStructuredData()
		return s
	}
	for _, r := range spec.GetExtract() {
		s.Columns = merge(s.Columns, fields(r.GetFields()))
	}
	return s
}

// ownColumns are those that Weir adds to every item.
func ownColumns() []Column {
	return []Column{
		{Name: "_url", Type: Text}, {Name: "_rule", Type: Text}, {Name: "_fetched_at", Type: Time}, {Name: "_media", Type: JSON},
	}
}

// pageColumns are those of a crawl without rules.
func pageColumns() []Column {
	return []Column{
		{Name: "status", Type: Integer}, {Name: "title", Type: Text}, {Name: "description", Type: Text}, {Name: "language", Type: Text},
		{Name: "content_type", Type: Text}, {Name: "bytes", Type: Integer}, {Name: "links", Type: Integer}, {Name: "depth", Type: Integer},
		{Name: "text", Type: Text}, {Name: "word_count", Type: Integer}, {Name: "digest", Type: Text}, {Name: "simhash", Type: Text},
	}
}

func fields(rules map[string]*crawlv1.FieldRule) []Column {
	out := make([]Column, 0, len(rules))
	for name, r := range rules {
		c := Column{Name: name, Type: typeOf(r), List: r.GetMany()}
		if len(r.GetFields()) > 0 {
			c.Type, c.Fields, c.List = Object, fields(r.GetFields()), r.GetEach() != ""
		}
		out = append(out, c)
	}
	return out
}

func typeOf(r *crawlv1.FieldRule) Type {
	switch r.GetType() {
	case crawlv1.FieldType_FIELD_TYPE_NUMBER:
		return Number
	case crawlv1.FieldType_FIELD_TYPE_INTEGER:
		return Integer
	case crawlv1.FieldType_FIELD_TYPE_BOOLEAN:
		return Boolean
	case crawlv1.FieldType_FIELD_TYPE_DATE:
		return Time
	case crawlv1.FieldType_FIELD_TYPE_JSON:
		return JSON
	case crawlv1.FieldType_FIELD_TYPE_UNSPECIFIED:
		if r.GetValue() == "fetched_at" {
			return Time // a text, and always one of a time
		}
	}
	return Text
}

// merge makes one list of two; a name that both have with different types is JSON.
func merge(a, b []Column) []Column {
	for _, c := range b {
		i := slices.IndexFunc(a, func(o Column) bool { return o.Name == c.Name })
		if i < 0 {
			a = append(a, c)
			continue
		}
		a[i] = unify(a[i], c)
	}
	return a
}

// unify finds the column for the values of two of one name.
func unify(a, b Column) Column {
	switch {
	case a.Type == Object && b.Type == Object && a.List == b.List:
		return Column{Name: a.Name, Type: Object, List: a.List, Fields: merge(slices.Clone(a.Fields), b.Fields)}
	case a.Type == b.Type && a.Type != Object:
		return Column{Name: a.Name, Type: a.Type, List: a.List || b.List}
	case a.Type != Object && b.Type != Object && (a.Type == Number || a.Type == Integer) && (b.Type == Number || b.Type == Integer):
		return Column{Name: a.Name, Type: Number, List: a.List || b.List}
	}
	return Column{Name: a.Name, Type: JSON}
}

// sorted orders columns by name at all levels, as Parquet's schema does.
func sorted(cs []Column) []Column {
	cs = slices.Clone(cs)
	slices.SortFunc(cs, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
	for i := range cs {
		cs[i].Fields = sorted(cs[i].Fields)
	}
	return cs
}
