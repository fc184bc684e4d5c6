package tree

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/html"
)

func TestRoot(t *testing.T) {
	t.Parallel()
	t.Run("no page", func(t *testing.T) {
		t.Parallel()
		var none *Tree
		if root, err := none.Root(); root != nil || err != nil {
			t.Errorf("got %v, %v", root, err)
		}
	})
	t.Run("built once", func(t *testing.T) {
		t.Parallel()
		tr := New([]byte("<p>a"), nil)
		first, err := tr.Root()
		second, _ := tr.Root()
		if err != nil || first == nil || first != second {
			t.Errorf("got %p and %p, %v", first, second, err)
		}
	})
	t.Run("too deep", func(t *testing.T) {
		t.Parallel()
		tr := New([]byte(strings.Repeat("<div>", 1000)), nil)
		for range 2 {
			if root, err := tr.Root(); root != nil || err == nil {
				t.Errorf("got %v, %v", root, err)
			}
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		stop := &atomic.Bool{}
		stop.Store(true)
		if _, err := New([]byte("<p>"), stop).Root(); !errors.Is(err, ErrStopped) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWalk(t *testing.T) {
	t.Parallel()
	page := "<body><p id=a><b>x</b><p id=b>" + strings.Repeat("<i>x</i>", 100)
	root, err := New([]byte(page), nil).Root()
	if err != nil {
		t.Fatal(err)
	}
	names := func(root *html.Node, stop *atomic.Bool, most int) (out []string) {
		Walk(root, stop, func(n *html.Node) bool {
			out = append(out, n.Data)
			return len(out) < most
		})
		return out
	}
	if got := strings.Join(names(root, nil, 7), " "); got != "html head body p b p i" {
		t.Errorf("elements %s", got)
	}
	p := root.LastChild.LastChild.FirstChild
	if got := strings.Join(names(p, nil, 100), " "); got != "p b" {
		t.Errorf("elements below p: %s", got)
	}
	stop := &atomic.Bool{}
	stop.Store(true)
	if got := len(names(root, stop, 1000)); got != 63 {
		t.Errorf("%d elements after the stop", got)
	}
	if id, ok := Attr(p, "id"); id != "a" || !ok {
		t.Errorf("id %q", id)
	}
	if _, ok := Attr(p, "class"); ok {
		t.Error("p has no class")
	}
}

func TestRawText(t *testing.T) {
	t.Parallel()
	root, err := New([]byte(`<script>{"a":"<b>"}</script>`), nil).Root()
	if err != nil {
		t.Fatal(err)
	}
	var got string
	Walk(root, nil, func(n *html.Node) bool {
		if n.Data == "script" {
			got = RawText(n)
		}
		return true
	})
	if got != `{"a":"<b>"}` {
		t.Errorf("text %q", got)
	}
}
