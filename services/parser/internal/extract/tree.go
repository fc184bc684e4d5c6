package extract

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
)

// errStopped ends the building of a tree.
var errStopped = errors.New("stopped")

// parse builds the tree of a page. Scripting is off: what noscript holds is part
// of the page for a reader that runs no scripts.
func parse(body []byte, stop *atomic.Bool) (*goquery.Document, error) {
	root, err := html.ParseWithOptions(&reader{body, stop}, html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, fmt.Errorf("build the tree: %w", err)
	}
	return goquery.NewDocumentFromNode(root), nil
}

// reader hands a page out in pieces, so that the building of a tree, which has no
// other way to be ended, stops between two of them.
type reader struct {
	rest []byte
	stop *atomic.Bool
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.stop != nil && r.stop.Load() {
		return 0, errStopped
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// matcher selects elements and can be stopped: a selector with several sibling
// combinators takes quadratic time on a page made for it. It is a goquery.Matcher.
type matcher struct {
	sel  cascadia.SelectorGroup
	stop *atomic.Bool
}

// Match reports whether an element matches.
func (m matcher) Match(n *html.Node) bool { return m.sel.Match(n) }

// MatchAll returns the matching elements of a tree in document order, its root
// among them.
func (m matcher) MatchAll(n *html.Node) []*html.Node {
	var out []*html.Node
	m.walk(n, func(n *html.Node) bool {
		out = append(out, n)
		return true
	})
	return out
}

// Filter returns the matching elements of a list.
func (m matcher) Filter(list []*html.Node) []*html.Node {
	return cascadia.Filter(list, m.sel)
}

// walk calls found for the matching elements of a tree, its root among them, in
// document order until it returns false.
func (m matcher) walk(root *html.Node, found func(*html.Node) bool) {
	steps := 0
	for n := root; n != nil; {
		if n.Type == html.ElementNode {
			if steps++; steps%64 == 0 && m.stop != nil && m.stop.Load() {
				return
			}
			if m.sel.Match(n) && !found(n) {
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
