package follow

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/parser/internal/document"
)

func TestPage(t *testing.T) {
	t.Parallel()
	lists, err := crawl.CompilePattern("*/list/*")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile([]Rule{{Path: "follow[0]", Match: lists, CSS: "main", MaxDepth: -1, Kinds: 1 << document.Image}, {Path: "follow[1]", NoFollow: true, MaxDepth: -1}})
	if err != nil || s.Kinds() != 1<<document.Image {
		t.Fatalf("kinds %b, %v", s.Kinds(), err)
	}
	if p := s.Page("https://site.example/list/1"); p == nil || !p.NeedsTree() || len(p.rules) != 2 {
		t.Errorf("rules of a list: %+v", p)
	}
	other := s.Page("https://site.example/other")
	if other == nil || other.NeedsTree() || len(other.rules) != 1 {
		t.Fatalf("rules of another page: %+v", other)
	}
	d := other.Judge(document.Anchor, document.Usual, "https://site.example/a")
	if d.Rule != "follow[1]" || !d.NoFollow || !d.Selected {
		t.Errorf("decision %+v", d)
	}
	if d := other.Judge(document.Image, document.Usual, "https://site.example/a"); d.Selected || d.Unselected {
		t.Errorf("a kind that no rule is for: %+v", d)
	}
	var none *Set
	if none.Page("https://site.example/") != nil || none.Kinds() != 0 {
		t.Error("no rules are rules")
	}
}

// FuzzCompile: what users write never panics, neither at once nor on a page.
func FuzzCompile(f *testing.F) {
	f.Add("ul.products > li:nth-child(2n) a", "//ul[@class='x']/li[position()<3]//a")
	f.Add("[", "//[")
	f.Fuzz(func(t *testing.T, css, xpath string) {
		_, err := Compile([]Rule{{Path: "follow[0]", CSS: css, XPath: xpath, MaxDepth: -1}})
		if err != nil && !strings.Contains(err.Error(), "follow[0].") {
			t.Errorf("error without its place: %v", err)
		}
	})
}
