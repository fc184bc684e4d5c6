package output

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// maxColumns bounds a table: a site that names fields after ids would otherwise
// make as many columns as there are items.
const maxColumns = 4096

// writeCSV reads the items twice, once for the columns and once for the rows, so
// that memory does not depend on how many there are. Items committed in between
// are left out.
func writeCSV(ctx context.Context, src Source, w io.Writer) (uint64, error) {
	cols := newColumns()
	var total uint64
	_, err := src.Each(ctx, 0, 0, func(item *storagev1.StoredItem) error {
		total++
		return flatten(item.GetJson(), func(name, _ string) error { return cols.add(name) })
	})
	if err != nil {
		return 0, err
	}
	names := cols.names()
	out := csv.NewWriter(w)
	if err := out.Write(names); err != nil {
		return 0, fmt.Errorf("write items: %w", err)
	}
	place := make(map[string]int, len(names))
	for i, name := range names {
		place[name] = i
	}
	row := make([]string, len(names))
	var n uint64
	if total > 0 {
		_, err = src.Each(ctx, 0, total, func(item *storagev1.StoredItem) error {
			clear(row)
			if err := flatten(item.GetJson(), func(name, value string) error {
				row[place[name]] = value
				return nil
			}); err != nil {
				return err
			}
			n++
			return out.Write(row)
		})
		if err != nil {
			return n, err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return n, fmt.Errorf("write items: %w", err)
	}
	return n, nil
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
		return fmt.Errorf("the items have over %d different fields, too many for CSV: use jsonl", maxColumns)
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
	dec := json.NewDecoder(bytes.NewReader(item))
	if err := flattenObject(dec, "", f); err != nil {
		return fmt.Errorf("read an item: %w", err)
	}
	return nil
}

// flattenObject reads one object, tokens rather than maps so that the fields keep
// their order.
func flattenObject(dec *json.Decoder, prefix string, f func(name, value string) error) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("it is not a JSON object: %v", t)
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		name := prefix + key
		if raw[0] == '{' {
			if err := flattenObject(json.NewDecoder(bytes.NewReader(raw)), name+".", f); err != nil {
				return err
			}
			continue
		}
		value, err := leaf(raw)
		if err != nil {
			return err
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func leaf(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '[':
		var b bytes.Buffer
		err := json.Compact(&b, raw)
		return b.String(), err
	case 'n':
		return "", nil
	default:
		return string(raw), nil
	}
}
