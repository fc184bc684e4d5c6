package xpath

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

const page = `<html><body><h1 id=t>Title <b>x</b></h1><ul><li class=a>1</li><li class="b">2</li><li>3<!--c--></li></ul><a href=/x>y</a></body></html>`

func rootOf(tb testing.TB, page string) *html.Node {
	tb.Helper()
	root, err := tree.New([]byte(page), nil).Root()
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

// results lists what an expression finds: elements by name, the rest as texts.
func results(tb testing.TB, expr string, root *html.Node, stop *atomic.Bool) []string {
	tb.Helper()
	e, err := Compile(expr)
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	if err := e.Each(root, stop, func(r Result) bool {
		if r.Node != nil {
			out = append(out, "<"+r.Node.Data+">")
		} else {
			out = append(out, r.Text)
		}
		return len(out) < 100
	}); err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestEach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr string
		want []string
	}{
		{"//li", []string{"<li>", "<li>", "<li>"}},
		{"//li[2]", []string{"<li>"}},
		{"//li/text()", []string{"1", "2", "3"}},
		{"//li/@class", []string{"a", "b"}},
		{"//li[@class='b']/text()", []string{"2"}},
		{"//li[contains(@class,'a')]", []string{"<li>"}},
		{"//comment()", []string{"c"}},
		{"count(//li)", []string{"3"}},
		{"string(//h1)", []string{"Title x"}},
		{"normalize-space(//h1/text())", []string{"Title"}},
		{"count(//li) > 2", []string{"true"}},
		{"concat(//a/@href, '-', //a)", []string{"/x-y"}},
		{"//h1 | //a", []string{"<h1>", "<a>"}},
		{"//nothing", nil},
		{"string(//nothing)", []string{""}},
		{"//b/ancestor::h1/@id", []string{"t"}},
		{"//li[1]/following-sibling::li", []string{"<li>", "<li>"}},
		{"//a/preceding::li[1]", []string{"<li>"}},
	} {
		t.Run(c.expr, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, results(t, c.expr, rootOf(t, page), nil)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBeginsAtRoot: inside an item an expression sees the item and no more.
func TestBeginsAtRoot(t *testing.T) {
	t.Parallel()
	var ul *html.Node
	tree.Walk(rootOf(t, page), nil, func(n *html.Node) bool {
		if n.Data == "ul" {
			ul = n
		}
		return ul == nil
	})
	for _, expr := range []string{"//*", ".//*", "li", "./li", "/li"} {
		if got := results(t, expr, ul, nil); !cmp.Equal(got, []string{"<li>", "<li>", "<li>"}) {
			t.Errorf("%s: %v", expr, got)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{"", "//", "//a[", "//a[@", "nope(", "$x"} {
		if _, err := Compile(expr); err == nil {
			t.Errorf("%q was compiled", expr)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	root := rootOf(t, "<div>"+strings.Repeat("<p>x</p>", 3000)+"</div>")
	stop := &atomic.Bool{}
	stop.Store(true)
	e, err := Compile("count(//p/following::p/following::p)")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Each(root, stop, func(Result) bool { return true }); !errors.Is(err, tree.ErrStopped) {
		t.Errorf("error %v", err)
	}
}

// TestConcurrentUse: one expression on several pages at a time gives each its own.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	e, err := Compile("string(//h1)")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, word := range []string{"a", "b", "c", "d"} {
		root := rootOf(t, "<h1>"+word)
		wg.Go(func() {
			for range 500 {
				if err := e.Each(root, nil, func(r Result) bool {
					if r.Text != word {
						t.Errorf("got %q on the page of %q", r.Text, word)
					}
					return true
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzXPath: no expression that a user may write takes the parser down.
func FuzzXPath(f *testing.F) {
	for _, s := range []string{"//a", "//li[2]/@class", "count(//li) > 2", "//*[local-name()='a']", "substring-before(//a,'x')", "//a[position()<3]", "ancestor::*", "-1", "'a'", "//li[last()]", "translate(//a,'a','b')"} {
		f.Add(s, page)
	}
	f.Fuzz(func(t *testing.T, expr, page string) {
		if len(expr) > 200 || len(page) > 2000 {
			return
		}
		e, err := Compile(expr)
		if err != nil {
			return
		}
		root, err := tree.New([]byte(page), nil).Root()
		if err != nil {
			return
		}
		n := 0
		_ = e.Each(root, nil, func(Result) bool { n++; return n < 1000 })
	})
}
