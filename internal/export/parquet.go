package export

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// rowGroup is how many bytes of items are gathered into one row group: it bounds the
// memory of the writer, and readers read whole ones.
const rowGroup = 16 << 20

// parquetWriter writes Parquet. Every value is optional; lists have the standard's three
// levels.
type parquetWriter struct {
	w       *parquet.GenericWriter[any]
	root    []node
	misfits int               // index of the column
	cells   [][]parquet.Value // by column, of the row in hand
	row     parquet.Row
	bytes   int
}

// node is a column, or an object of columns, where it is in the file.
type node struct {
	Column
	leaf     int // index of the column in the file; of an object that of its first
	leaves   int
	def, rep int // levels: of a value that is there, and of a further one in the list
	children []node
}

func newParquet(w io.Writer, s Schema) *parquetWriter {
	cols := sorted(append(s.Columns[:len(s.Columns):len(s.Columns)], Column{Name: Misfits, Type: JSON}))
	t := &parquetWriter{}
	t.root, _ = nodes(cols, 0, 0, 0)
	total := 0
	for _, n := range t.root {
		total += n.leaves
		if n.Name == Misfits {
			t.misfits = n.leaf
		}
	}
	t.cells = make([][]parquet.Value, total)
	t.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("item", group(cols)), parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("Weir", "", ""))
	return t
}

// nodes finds levels and places of columns that are in order.
func nodes(cols []Column, leaf, def, rep int) ([]node, int) {
	out := make([]node, len(cols))
	for i, c := range cols {
		n := node{Column: c, leaf: leaf, def: def + 1, rep: rep}
		if c.List {
			n.def, n.rep = def+3, rep+1 // the list, one of it, its value
		}
		if c.Type == Object {
			n.children, leaf = nodes(c.Fields, leaf, n.def, n.rep)
		} else {
			leaf++
		}
		n.leaves = leaf - n.leaf
		out[i] = n
	}
	return out, leaf
}

func group(cols []Column) parquet.Node {
	g := parquet.Group{}
	for _, c := range cols {
		var n parquet.Node
		switch c.Type {
		case Number:
			n = parquet.Leaf(parquet.DoubleType)
		case Integer:
			n = parquet.Int(64)
		case Boolean:
			n = parquet.Leaf(parquet.BooleanType)
		case Time:
			n = parquet.Timestamp(parquet.Millisecond)
		case JSON:
			n = parquet.JSON()
		case Object:
			n = group(c.Fields)
		default:
			n = parquet.String()
		}
		n = parquet.Optional(n)
		if c.List {
			n = parquet.Optional(parquet.List(n))
		}
		g[c.Name] = n
	}
	return g
}

func (t *parquetWriter) write(item *storagev1.StoredItem) error {
	v, err := decode(item.GetJson())
	if err != nil {
		return err
	}
	for i := range t.cells {
		t.cells[i] = t.cells[i][:0]
	}
	misfits := t.object(t.root, v, 0, 0)
	text := parquet.NullValue()
	level := 0
	if len(misfits) > 0 {
		data, err := json.Marshal(misfits)
		if err != nil {
			return fmt.Errorf("write an item: %w", err)
		}
		text, level = parquet.ByteArrayValue(data), 1
	}
	t.cells[t.misfits] = append(t.cells[t.misfits][:0], text.Level(0, level, t.misfits))
	t.row = t.row[:0]
	for _, c := range t.cells {
		t.row = append(t.row, c...)
	}
	if _, err := t.w.WriteRows([]parquet.Row{t.row}); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	if t.bytes += len(item.GetJson()); t.bytes >= rowGroup {
		return t.flush()
	}
	return nil
}

// object writes the fields of an object and returns those that have no column or do not
// fit it.
func (t *parquetWriter) object(ns []node, v map[string]any, rep, def int) (misfits map[string]any) {
	fits := 0
	for i := range ns {
		n := &ns[i]
		value, there := v[n.Name]
		if there {
			fits++
		}
		rest := t.column(n, value, rep, def)
		if rest != nil {
			if misfits == nil {
				misfits = map[string]any{}
			}
			misfits[n.Name] = rest
		}
	}
	if fits == len(v) {
		return misfits
	}
	for name, value := range v {
		if i := indexOf(ns, name); i < 0 && value != nil {
			if misfits == nil {
				misfits = map[string]any{}
			}
			misfits[name] = value
		}
	}
	return misfits
}

func indexOf(ns []node, name string) int {
	for i := range ns {
		if ns[i].Name == name {
			return i
		}
	}
	return -1
}

// column writes the value of one field, or nothing, and returns what did not fit.
func (t *parquetWriter) column(n *node, value any, rep, def int) (misfit any) {
	if !n.List {
		return t.value(n, value, rep, def)
	}
	list, ok := value.([]any)
	switch {
	case value == nil:
		t.null(n, rep, def)
		return nil
	case !ok:
		list = []any{value} // one value where there may be several
	case len(list) == 0:
		t.null(n, rep, def+1)
		return nil
	}
	for _, e := range list {
		if rest := t.value(n, e, rep, def+2); rest != nil {
			misfit = value // the whole list: what is left of it says nothing
		}
		rep = n.rep
	}
	return misfit
}

// value writes one value under a definition level that an optional value adds one to.
func (t *parquetWriter) value(n *node, value any, rep, def int) (misfit any) {
	if n.Type == Object {
		v, ok := value.(map[string]any)
		if !ok {
			t.null(n, rep, def)
			return value
		}
		if rest := t.object(n.children, v, rep, def+1); rest != nil {
			return rest
		}
		return nil
	}
	pv, ok := cell(n.Type, value)
	if !ok {
		t.null(n, rep, def)
		return value
	}
	t.cells[n.leaf] = append(t.cells[n.leaf], pv.Level(rep, def+1, n.leaf))
	return nil
}

// null writes that nothing is there, in all columns of a node.
func (t *parquetWriter) null(n *node, rep, def int) {
	for i := n.leaf; i < n.leaf+n.leaves; i++ {
		t.cells[i] = append(t.cells[i], parquet.NullValue().Level(rep, def, i))
	}
}

// cell makes a value of a type; false when it does not fit, nil included.
func cell(typ Type, value any) (parquet.Value, bool) {
	switch v := value.(type) {
	case nil:
		return parquet.Value{}, false
	case string:
		switch typ {
		case Text:
			return parquet.ByteArrayValue([]byte(v)), true
		case Time:
			at, ok := timeOf(v)
			return parquet.Int64Value(at.UnixMilli()), ok
		}
	case bool:
		if typ == Boolean {
			return parquet.BooleanValue(v), true
		}
	case json.Number:
		switch typ {
		case Integer:
			n, err := v.Int64()
			return parquet.Int64Value(n), err == nil
		case Number:
			f, err := v.Float64()
			return parquet.DoubleValue(f), err == nil
		}
	}
	if typ == JSON {
		data, err := json.Marshal(value)
		return parquet.ByteArrayValue(data), err == nil
	}
	return parquet.Value{}, false
}

// flush ends a row group.
func (t *parquetWriter) flush() error {
	t.bytes = 0
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	return nil
}

func (t *parquetWriter) close() error {
	if err := t.w.Close(); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	return nil
}
