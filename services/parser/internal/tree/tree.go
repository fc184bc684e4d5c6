// Package tree builds the tree of a page, once, for whoever needs it.
//
// A tree costs ten times what the walk over the tags does, so it is made when it is
// asked for and not before; rules, structured data and article text then share it.
// Nobody may change it.
package tree

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/net/html"
)

// ErrStopped is the error of a tree whose building was stopped.
var ErrStopped = errors.New("stopped")

// Tree is the tree of one page, built at the first call of Root. It is not safe
// for concurrent use.
type Tree struct {
	page  []byte
	stop  *atomic.Bool
	built bool
	cut   bool
	root  *html.Node
	err   error
}

// New returns the tree of a page in UTF-8, which must not change until the tree is
// built. When stop, which may be nil, becomes true, the building ends.
func New(page []byte, stop *atomic.Bool) *Tree {
	return &Tree{page: page, stop: stop}
}

// Root returns the document. A nil tree has none, and no error: its page is not
// HTML. The error says why there is no tree: elements nest more than 512 deep, or
// ErrStopped.
//
// Scripting is off: what noscript holds is part of the page for a reader that runs
// no scripts.
func (t *Tree) Root() (*html.Node, error) {
	if t == nil {
		return nil, nil
	}
	if t.built {
		return t.root, t.err
	}
	t.built = true
	r := newReader(t.page, t.stop)
	root, err := html.ParseWithOptions(r, html.ParseOptionEnableScripting(false))
	t.cut = r.cut
	if err != nil {
		t.err = fmt.Errorf("build the tree: %w", err)
		return nil, t.err
	}
	t.root = root
	return root, nil
}

// Cut reports whether the tree is that of the beginning of the page, since all of it
// would take too much memory.
func (t *Tree) Cut() bool { return t != nil && t.cut }

// Walk calls found for the elements of a tree below root, root among them, in
// document order until it returns false or stop, which may be nil, is true.
func Walk(root *html.Node, stop *atomic.Bool, found func(*html.Node) bool) {
	steps := 0
	for n := root; n != nil; {
		if n.Type == html.ElementNode {
			if steps++; steps%64 == 0 && stop != nil && stop.Load() {
				return
			}
			if !found(n) {
				return
			}
		}
		if n.FirstChild != nil {
			n = n.FirstChild
			continue
		}
		for n != root && n.NextSibling == nil {
			n = n.Parent
		}
		if n == root {
			return
		}
		n = n.NextSibling
	}
}

// Attr returns the value of an element's attribute by its lower-case name.
func Attr(n *html.Node, name string) (string, bool) {
	for i := range n.Attr {
		// In drawings href has a second, older name: xlink:href is not href.
		if n.Attr[i].Key == name && (n.Attr[i].Namespace == "" || name != "href") {
			return n.Attr[i].Val, true
		}
	}
	return "", false
}

// RawText returns the text inside an element as it stands in the page, such as that
// of a script.
func RawText(n *html.Node) string {
	if c := n.FirstChild; c != nil && c == n.LastChild && c.Type == html.TextNode {
		return c.Data
	}
	var buf []byte
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode {
			buf = append(buf, c.Data...)
		}
	}
	return string(buf)
}

// WalkText calls found for the texts below root in document order. Elements that enter
// refuses are passed over with all that is in them.
func WalkText(root *html.Node, enter func(*html.Node) bool, found func(string)) {
	for n := root; n != nil; {
		if n.Type == html.TextNode {
			found(n.Data)
		}
		if n.FirstChild != nil && (n.Type != html.ElementNode || enter(n)) {
			n = n.FirstChild
			continue
		}
		for n != root && n.NextSibling == nil {
			n = n.Parent
		}
		if n == root {
			return
		}
		n = n.NextSibling
	}
}
