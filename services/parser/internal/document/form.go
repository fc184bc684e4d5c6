package document

import (
	"bytes"
	"net/url"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// form is the form that is open, as far as it can be asked for by a URL: method
// GET, and the values that its fields begin with. Buttons add nothing, as when a
// reader presses Enter in a form without any.
type form struct {
	open   bool
	action []byte // as written
	query  []byte
	// choice is the select that is open: its name, and the value that it has until
	// an option says that it is selected.
	choice   []byte
	value    []byte
	chosen   bool
	selected bool
	valued   bool
}

// maxQuery bounds what a form may ask for; a longer URL would be refused anyway.
const maxQuery = 8 << 10

func (r *Reader) openForm() {
	if r.form.open || !r.cfg.Kinds.Has(Form) {
		return // a form inside a form is no element
	}
	if m, ok := r.scan.Attr("method"); ok && !scan.EqualFold(m, "get") && (scan.EqualFold(m, "post") || scan.EqualFold(m, "dialog")) {
		return
	}
	action, _ := r.scan.Attr("action")
	r.form = form{open: true, action: action, query: r.form.query[:0]}
}

// formEnd takes an end tag that may belong to the form.
func (r *Reader) formEnd(name scan.Name) {
	if !r.form.open {
		return
	}
	switch name {
	case scan.Form:
		r.closeForm()
	case scan.Select:
		r.closeSelect()
	}
}

// closeForm keeps the reference of the form that is open. A page that ends before
// its form has it all the same.
func (r *Reader) closeForm() {
	if !r.form.open {
		return
	}
	r.closeSelect()
	r.form.open = false
	action := bytes.TrimSpace(scan.Unescape(nil, r.form.action))
	if i := bytes.IndexAny(action, "?#"); i >= 0 {
		action = action[:i]
	}
	if len(r.form.query) > maxQuery {
		return
	}
	r.addPlain(append(append(action, '?'), r.form.query...), Form)
}

// field adds a name and a value, both as written.
func (r *Reader) field(name, value []byte) {
	if len(name) == 0 || len(r.form.query) > maxQuery {
		return
	}
	if len(r.form.query) > 0 {
		r.form.query = append(r.form.query, '&')
	}
	r.form.query = append(r.form.query, url.QueryEscape(string(scan.Unescape(nil, name)))...)
	r.form.query = append(r.form.query, '=')
	r.form.query = append(r.form.query, url.QueryEscape(string(scan.Unescape(nil, value)))...)
}

func (r *Reader) formInput() {
	if !r.form.open {
		return
	}
	if _, off := r.scan.Attr("disabled"); off {
		return
	}
	kind, _ := r.scan.Attr("type")
	name, _ := r.scan.Attr("name")
	value, given := r.scan.Attr("value")
	switch {
	case scan.EqualFold(kind, "submit"), scan.EqualFold(kind, "button"), scan.EqualFold(kind, "image"), scan.EqualFold(kind, "reset"), scan.EqualFold(kind, "file"):
		return
	case scan.EqualFold(kind, "checkbox"), scan.EqualFold(kind, "radio"):
		if _, on := r.scan.Attr("checked"); !on {
			return
		}
		if !given {
			value = []byte("on")
		}
	}
	r.field(name, value)
}

func (r *Reader) formSelect() {
	if !r.form.open {
		return
	}
	r.closeSelect()
	if _, off := r.scan.Attr("disabled"); off {
		return
	}
	r.form.choice, _ = r.scan.Attr("name")
	// A list of which several may be chosen begins with none.
	_, r.form.chosen = r.scan.Attr("multiple")
	r.form.value, r.form.selected, r.form.valued = nil, false, false
}

// formOption takes an option: the first one is chosen until another says that it
// is selected.
func (r *Reader) formOption() {
	if !r.form.open || len(r.form.choice) == 0 || r.form.selected {
		return
	}
	_, selected := r.scan.Attr("selected")
	if r.form.chosen && !selected {
		return
	}
	value, given := r.scan.Attr("value")
	if !given {
		value = r.scan.Text()
	}
	r.form.value, r.form.chosen, r.form.selected, r.form.valued = bytes.TrimSpace(value), true, selected, true
}

func (r *Reader) closeSelect() {
	if r.form.valued {
		r.field(r.form.choice, r.form.value)
	}
	r.form.choice, r.form.value, r.form.selected, r.form.valued = nil, nil, false, false
}

func (r *Reader) formText() {
	if !r.form.open {
		return
	}
	if name, ok := r.scan.Attr("name"); ok {
		r.field(name, bytes.TrimPrefix(r.scan.RawText(), []byte("\n")))
	}
}
