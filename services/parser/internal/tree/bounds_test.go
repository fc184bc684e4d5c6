package tree

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func nodes(root *html.Node) int {
	n := 0
	for range root.Descendants() {
		n++
	}
	return n
}

// TestBounds: what a page can make of the memory of a parser.
func TestBounds(t *testing.T) {
	t.Parallel()
	reopened := func(paragraphs int) string {
		var b strings.Builder
		b.WriteString("<p>")
		for i := range 400 {
			fmt.Fprintf(&b, "<b a%d>", i)
		}
		return b.String() + strings.Repeat("<p>x", paragraphs)
	}
	for _, c := range []struct {
		name, page string
		cut        bool
		most       int
	}{
		{"a page", strings.Repeat("<p>a <b>b</b> <a href=x>c</a>", 10_000), false, 100_000},
		{"unclosed items", strings.Repeat("<li><strong>a</strong>", 50_000), false, 300_000},
		{"old formatting", "<font><b><i>" + strings.Repeat("<p>x", 50_000), false, 500_000},
		{"elements opened again", reopened(500), false, 210_000},
		{"very many of them", reopened(20_000), true, 1_100_000},
		{"elements without end", strings.Repeat("<br>", 1_100_000), true, 1_100_000},
		{"attributes without end", "<p>x" + strings.Repeat("<a"+strings.Repeat(" a", 60_000)+"></a>", 20), true, 30},
		{"many attributes", "<a" + strings.Repeat(" a", 999) + ">" + strings.Repeat("x", 1<<20), false, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := New([]byte(c.page), nil)
			root, err := tree.Root()
			if err != nil {
				t.Fatal(err)
			}
			if n := nodes(root); tree.Cut() != c.cut || n > c.most {
				t.Errorf("%d nodes, cut %v", n, tree.Cut())
			}
		})
	}
}

// TestReader: the pieces are the page, whatever their size.
func TestReader(t *testing.T) {
	t.Parallel()
	const page = "<p><b>x</B><STRONG a=b>y</strong><em/>z<u\n>a<i"
	for size := 1; size < len(page)+2; size++ {
		r := newReader([]byte(page), nil)
		var got []byte
		piece := make([]byte, size)
		for {
			n, err := r.Read(piece)
			got = append(got, piece[:n]...)
			if err != nil {
				break
			}
		}
		if string(got) != page || r.open != 2 || r.cut {
			t.Errorf("pieces of %d: %q, %d open", size, got, r.open)
		}
	}
}
