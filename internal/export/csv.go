package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// maxColumns bounds a table: a site that names fields after ids would otherwise
// make as many columns as there are items.
const maxColumns = 4096

// csvWriter writes CSV. Items may lack columns, and have none that the look did not see.
type csvWriter struct {
	*packed
	out   *csv.Writer
	place map[string]int
	row   []string
}

func newCSV(w io.Writer, c Compression, cols *table) (*csvWriter, error) {
	p, err := newPacked(w, c)
	if err != nil {
		return nil, err
	}
	t := &csvWriter{packed: p, out: csv.NewWriter(p), place: make(map[string]int, len(cols.columns)), row: make([]string, len(cols.columns))}
	for i, name := range cols.columns {
		t.place[name] = i
	}
	if cols.header {
		if err := t.out.Write(cols.columns); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *csvWriter) write(item *storagev1.StoredItem) error {
	clear(t.row)
	err := flatten(item.GetJson(), func(name, value string) error {
		if i, ok := t.place[name]; ok {
			t.row[i] = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.out.Write(t.row)
}

func (t *csvWriter) flush() error {
	t.out.Flush()
	if err := t.out.Error(); err != nil {
		return err
	}
	return t.packed.flush()
}

func (t *csvWriter) close() error {
	t.out.Flush()
	if err := t.out.Error(); err != nil {
		return err
	}
	return t.packed.close()
}

// columns gathers names in the order in which they are first seen.
type columns struct {
	seen   map[string]bool
	fields []string // of the items themselves
	own    []string // Weir's: _url, _rule, …; they come last
}

func newColumns() *columns { return &columns{seen: map[string]bool{}} }

func (c *columns) add(name string) error {
	if c.seen[name] {
		return nil
	}
	if len(c.seen) >= maxColumns {
		return crawl.Errorf(crawl.Invalid, "the items have over %d different fields, too many for a table: use jsonl", maxColumns)
	}
	c.seen[name] = true
	if strings.HasPrefix(name, "_") {
		c.own = append(c.own, name)
	} else {
		c.fields = append(c.fields, name)
	}
	return nil
}

func (c *columns) names() []string { return append(append([]string{}, c.fields...), c.own...) }

// flatten calls f with each leaf of an item: nested objects have dotted names,
// lists are their JSON, null is empty.
func flatten(item []byte, f func(name, value string) error) error {
	if !gjson.ValidBytes(item) {
		return errors.New("read an item: it is not JSON")
	}
	root := gjson.ParseBytes(item)
	if !root.IsObject() {
		return fmt.Errorf("read an item: it is not a JSON object: %.20s", item)
	}
	if err := flattenObject(root, "", f); err != nil {
		return fmt.Errorf("read an item: %w", err)
	}
	return nil
}

func flattenObject(object gjson.Result, prefix string, f func(name, value string) error) (err error) {
	object.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if prefix != "" {
			name = prefix + name
		}
		if value.IsObject() {
			err = flattenObject(value, name+".", f)
		} else {
			err = f(name, leaf(value))
		}
		return err == nil
	})
	return err
}

func leaf(v gjson.Result) string {
	switch {
	case v.Type == gjson.Null:
		return ""
	case v.Type == gjson.String:
		return v.String()
	case v.IsArray():
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(v.Raw)); err == nil {
			return b.String()
		}
	}
	return v.Raw
}
