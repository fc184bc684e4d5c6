// Package xpath evaluates XPath 1.0 expressions on the tree of a page.
package xpath

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/antchfx/htmlquery"
	"github.com/antchfx/xpath"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// Expr is a compiled expression, safe for concurrent use.
type Expr struct {
	text string
	// The library keeps the state of an evaluation in the expression: each one that
	// runs needs its own.
	pool sync.Pool
}

// Compile compiles an expression.
func Compile(text string) (*Expr, error) {
	x, err := compile(text)
	if err != nil {
		return nil, err
	}
	e := &Expr{text: text}
	e.pool.Put(x)
	return e, nil
}

// compile also turns the library's panics, which some malformed expressions bring
// about, into errors.
func compile(text string) (x *xpath.Expr, err error) {
	defer func() {
		if p := recover(); p != nil {
			x, err = nil, fmt.Errorf("%v", p)
		}
	}()
	return xpath.Compile(text)
}

// Result is one result: a node, or a text without one where the expression picks
// attributes or computes something.
type Result struct {
	// Node is an element, or the document; nil for a text.
	Node *html.Node
	// Text of an attribute, of a text or comment in the page, or as computed.
	Text string
}

// Each calls found for the results of an expression that begins at root, in
// document order, until it returns false. Paths from the document's root begin at
// root too. When stop, which may be nil, becomes true, the evaluation ends with
// tree.ErrStopped; any other error says that the expression cannot be evaluated on
// this page.
func (e *Expr) Each(root *html.Node, stop *atomic.Bool, found func(Result) bool) (err error) {
	x, _ := e.pool.Get().(*xpath.Expr)
	if x == nil {
		if x, err = compile(e.text); err != nil {
			return err
		}
	}
	defer func() {
		switch p := recover(); p {
		case nil:
			e.pool.Put(x)
		case tree.ErrStopped:
			err = tree.ErrStopped
		default:
			// The expression may be in any state and is not used again.
			err = fmt.Errorf("%v", p)
		}
	}()
	nav := &navigator{NodeNavigator: htmlquery.CreateXPathNavigator(root), steps: new(int), stop: stop}
	switch v := x.Evaluate(nav).(type) {
	case *xpath.NodeIterator:
		for v.MoveNext() && found(v.Current().(*navigator).result()) {
		}
	case string:
		found(Result{Text: v})
	case float64:
		found(Result{Text: strconv.FormatFloat(v, 'f', -1, 64)})
	case bool:
		found(Result{Text: strconv.FormatBool(v)})
	}
	return nil
}

// navigator is the library's own, but that it can be stopped: axes such as
// following take quadratic time on a page made for it.
type navigator struct {
	*htmlquery.NodeNavigator
	steps *int
	stop  *atomic.Bool
}

// step counts a move and ends the evaluation when it is to stop.
func (n *navigator) step() {
	*n.steps++
	if *n.steps%64 == 0 && n.stop != nil && n.stop.Load() {
		// The library has no other way out of its loops; Each recovers.
		panic(tree.ErrStopped)
	}
}

func (n *navigator) result() Result {
	switch n.NodeType() {
	case xpath.ElementNode, xpath.RootNode:
		return Result{Node: n.Current()}
	}
	return Result{Text: n.Value()}
}

// Copy implements xpath.NodeNavigator.
func (n *navigator) Copy() xpath.NodeNavigator {
	inner := *n.NodeNavigator
	return &navigator{&inner, n.steps, n.stop}
}

// MoveTo implements xpath.NodeNavigator.
func (n *navigator) MoveTo(other xpath.NodeNavigator) bool {
	o, ok := other.(*navigator)
	return ok && n.NodeNavigator.MoveTo(o.NodeNavigator)
}

// MoveToChild implements xpath.NodeNavigator.
func (n *navigator) MoveToChild() bool {
	n.step()
	return n.NodeNavigator.MoveToChild()
}

// MoveToNext implements xpath.NodeNavigator.
func (n *navigator) MoveToNext() bool {
	n.step()
	return n.NodeNavigator.MoveToNext()
}

// MoveToPrevious implements xpath.NodeNavigator.
func (n *navigator) MoveToPrevious() bool {
	n.step()
	return n.NodeNavigator.MoveToPrevious()
}

// MoveToParent implements xpath.NodeNavigator.
func (n *navigator) MoveToParent() bool {
	n.step()
	return n.NodeNavigator.MoveToParent()
}
