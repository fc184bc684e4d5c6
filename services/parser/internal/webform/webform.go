// Package webform reads a form of a page as a browser would send it that nobody has
// filled in and no button was pressed of: the fields that take part, with the values
// that they begin with, after "constructing the entry list" of the HTML standard.
package webform

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// maxEntries bounds the fields of a form; a URL has no room for more.
const maxEntries = 2000

// Entry is a field that is sent.
type Entry struct {
	// Name and Value of it.
	Name, Value string
}

// Form is a form.
type Form struct {
	// Action as the page has it; empty for the page itself.
	Action string
	// Method is GET, POST or DIALOG, which sends nothing.
	Method string
	// Multipart and PlainText are the encodings of a POST other than the usual one.
	Multipart, PlainText bool
	// Charset is the label that accept-charset begins with; empty for that of the
	// page.
	Charset string
	// Entries in the order of the page.
	Entries []Entry
}

// Read reads a form element of a page's tree.
func Read(form *html.Node) Form {
	f := Form{Method: "GET"}
	if action, ok := tree.Attr(form, "action"); ok {
		f.Action = strings.Trim(action, " \t\n\f\r")
	}
	switch method, _ := tree.Attr(form, "method"); strings.ToLower(method) {
	case "post":
		f.Method = "POST"
	case "dialog":
		f.Method = "DIALOG"
	}
	if f.Method == "POST" {
		enctype, _ := tree.Attr(form, "enctype")
		f.Multipart = strings.EqualFold(enctype, "multipart/form-data")
		f.PlainText = strings.EqualFold(enctype, "text/plain")
	}
	labels, _ := tree.Attr(form, "accept-charset")
	if list := strings.Fields(labels); len(list) > 0 {
		f.Charset = list[0]
	}
	for _, n := range elements(form) {
		if len(f.Entries) >= maxEntries {
			break
		}
		f.take(n)
	}
	return f
}

// elements returns the fields that belong to a form: those inside it that name no
// other form, and those elsewhere that name this one.
func elements(form *html.Node) []*html.Node {
	id, _ := tree.Attr(form, "id")
	from := form
	if id != "" {
		for from.Parent != nil {
			from = from.Parent
		}
	}
	var out []*html.Node
	tree.Walk(from, nil, func(n *html.Node) bool {
		switch n.DataAtom {
		case atom.Input, atom.Select, atom.Textarea:
			owner, named := tree.Attr(n, "form")
			if named && owner == id && id != "" || !named && inside(n, form) {
				out = append(out, n)
			}
		}
		return len(out) <= 4*maxEntries
	})
	return out
}

func inside(n, ancestor *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if n == ancestor {
			return true
		}
	}
	return false
}

// take adds what a field sends.
func (f *Form) take(n *html.Node) {
	if disabled(n) {
		return
	}
	name, _ := tree.Attr(n, "name")
	if name == "" {
		return
	}
	switch n.DataAtom {
	case atom.Select:
		for _, value := range selected(n) {
			f.add(name, value)
		}
		return
	case atom.Textarea:
		f.add(name, tree.RawText(n))
	case atom.Input:
		value, ok := inputValue(n, name)
		if !ok {
			return
		}
		f.add(name, value)
	}
	if dir, _ := tree.Attr(n, "dirname"); dir != "" && hasDirection(n) {
		f.add(dir, direction(n))
	}
}

// add adds an entry, its line ends as they are sent.
func (f *Form) add(name, value string) {
	f.Entries = append(f.Entries, Entry{crlf(name), crlf(value)})
}

// crlf makes all line ends those of the net.
func crlf(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// disabled reports whether a field takes no part: by itself, in a fieldset that is
// disabled, but for its first legend, or in a datalist.
func disabled(n *html.Node) bool {
	if _, ok := tree.Attr(n, "disabled"); ok {
		return true
	}
	for child, p := n, n.Parent; p != nil; child, p = p, p.Parent {
		switch p.DataAtom {
		case atom.Datalist:
			return true
		case atom.Fieldset:
			if _, ok := tree.Attr(p, "disabled"); ok && child != firstLegend(p) {
				return true
			}
		}
	}
	return false
}

func firstLegend(fieldset *html.Node) *html.Node {
	for c := range fieldset.ChildNodes() {
		if c.DataAtom == atom.Legend {
			return c
		}
	}
	return nil
}

// selected returns the values that a select sends.
func selected(n *html.Node) []string {
	_, multiple := tree.Attr(n, "multiple")
	var all, chosen []*html.Node
	tree.Walk(n, nil, func(c *html.Node) bool {
		if c.DataAtom == atom.Option {
			all = append(all, c)
			if _, ok := tree.Attr(c, "selected"); ok {
				chosen = append(chosen, c)
			}
		}
		return true
	})
	if !multiple && len(chosen) > 1 {
		chosen = chosen[len(chosen)-1:]
	}
	if size, _ := tree.Attr(n, "size"); !multiple && len(chosen) == 0 && displaySize(size) == 1 {
		// A list that drops down always shows one of its options.
		if i := slices.IndexFunc(all, func(o *html.Node) bool { return !optionDisabled(o) }); i >= 0 {
			chosen = all[i : i+1]
		}
	}
	var values []string
	for _, o := range chosen {
		if !optionDisabled(o) {
			values = append(values, optionValue(o))
		}
	}
	return values
}

// displaySize reads the size of a select: 1 where it is none.
func displaySize(text string) int {
	n := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' || n > 1000 {
			break
		}
		n = n*10 + int(text[i]-'0')
	}
	return max(n, 1)
}

func optionDisabled(o *html.Node) bool {
	if _, ok := tree.Attr(o, "disabled"); ok {
		return true
	}
	if p := o.Parent; p != nil && p.DataAtom == atom.Optgroup {
		_, ok := tree.Attr(p, "disabled")
		return ok
	}
	return false
}

// optionValue returns the value of an option: its text where it names none.
func optionValue(o *html.Node) string {
	if v, ok := tree.Attr(o, "value"); ok {
		return v
	}
	var b strings.Builder
	tree.WalkText(o, func(n *html.Node) bool { return n.DataAtom != atom.Script }, func(text string) { b.WriteString(text) })
	return strings.Join(strings.FieldsFunc(b.String(), isSpace), " ")
}

// isSpace tells the white space of HTML.
func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\f' || r == '\r' }

func hasDirection(n *html.Node) bool {
	if n.DataAtom == atom.Textarea {
		return true
	}
	switch inputType(n) {
	case "text", "search", "hidden", "tel", "url", "email", "password":
		return true
	}
	return false
}

// direction returns the direction of the text of a field, as its dirname sends it.
func direction(n *html.Node) string {
	for ; n != nil; n = n.Parent {
		switch dir, _ := tree.Attr(n, "dir"); strings.ToLower(dir) {
		case "rtl":
			return "rtl"
		case "ltr", "auto":
			return "ltr"
		}
	}
	return "ltr"
}
