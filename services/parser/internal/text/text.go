// Package text gathers the text of elements as a reader sees it.
package text

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Gatherer gathers the text of an element: white space folded to single blanks,
// none at the ends, a blank wherever a block ends. Scripts and styles are no text
// unless one of them is what was selected. It reuses its memory; the zero value is
// ready, and not safe for concurrent use.
type Gatherer struct {
	// Lines puts a line break, and not a blank, where a block ends, but for cells.
	Lines bool

	buf   []byte
	limit int
	blank bool
	line  bool
}

// Of returns the text of an element, about limit bytes at most; it is valid until
// the next call.
func (t *Gatherer) Of(n *html.Node, limit int) []byte {
	t.buf, t.blank, t.line, t.limit = t.buf[:0], false, false, limit
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		t.node(c)
	}
	return t.buf
}

func (t *Gatherer) node(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		t.write(n.Data)
		return
	case html.ElementNode:
	default:
		return
	}
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Template:
		return
	case atom.Br:
		t.part(n.DataAtom)
		return
	}
	block := isBlock(n.DataAtom)
	if block {
		t.part(n.DataAtom)
	}
	// The tree is at most 512 deep: html.Parse refuses more.
	for c := n.FirstChild; c != nil && len(t.buf) < t.limit; c = c.NextSibling {
		t.node(c)
	}
	if block {
		t.part(n.DataAtom)
	}
}

// part parts what is before and after the edge of a block.
func (t *Gatherer) part(a atom.Atom) {
	t.blank = true
	t.line = t.line || t.Lines && a != atom.Td && a != atom.Th
}

func (t *Gatherer) write(s string) {
	for i := 0; i < len(s) && len(t.buf) < t.limit; {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		i += n
		if unicode.IsSpace(r) {
			t.blank = true
			continue
		}
		if t.blank && len(t.buf) > 0 {
			c := byte(' ')
			if t.line {
				c = '\n'
			}
			t.buf = append(t.buf, c)
		}
		t.blank, t.line = false, false
		t.buf = utf8.AppendRune(t.buf, r)
	}
}

// isBlock reports whether an element begins a line of its own, or a cell.
func isBlock(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Caption, atom.Dd, atom.Details, atom.Dialog,
		atom.Div, atom.Dl, atom.Dt, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2, atom.H3,
		atom.H4, atom.H5, atom.H6, atom.Header, atom.Hgroup, atom.Hr, atom.Legend, atom.Li, atom.Main, atom.Menu, atom.Nav, atom.Ol,
		atom.Optgroup, atom.Option, atom.P, atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Td, atom.Tfoot,
		atom.Th, atom.Thead, atom.Title, atom.Tr, atom.Ul:
		return true
	}
	return false
}
