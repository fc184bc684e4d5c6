package transform

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/weburl"
)

func TestApply(t *testing.T) {
	t.Parallel()
	base, err := weburl.New(weburl.Options{}).Base("https://shop.example/a/b")
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile
	for _, c := range []struct {
		name  string
		steps []Step
		in    []string
		want  []string
	}{
		{"no step", nil, []string{"a"}, []string{"a"}},
		{"trim", []Step{Trim()}, []string{" a\u00a0", "\t"}, []string{"a", ""}},
		{"lower", []Step{Lower()}, []string{"ÄB"}, []string{"äb"}},
		{"upper", []Step{Upper()}, []string{"äb"}, []string{"ÄB"}},
		{"absolute", []Step{Absolute()}, []string{"c", "mailto:x", " "}, []string{"https://shop.example/a/c"}},
		{"replace", []Step{Replace(",", "."), Replace(" ", "")}, []string{"1 2,3"}, []string{"12.3"}},
		{"replace nothing", []Step{Replace("x", "y")}, []string{"a"}, []string{"a"}},
		{"replace by more than a text may have", []Step{Replace("a", strings.Repeat("b", 1024))}, []string{strings.Repeat("a", 1024), "c"}, []string{"c"}},
		{"replace by regex", []Step{ReplaceRegex(re(`(\d+)-(\d+)`), "$2/$1")}, []string{"1-2 3-4 5"}, []string{"2/1 4/3 5"}},
		{"replace empty matches", []Step{ReplaceRegex(re(`x*`), "-")}, []string{"ab"}, []string{"-a-b-"}},
		{"split", []Step{Split(","), Trim()}, []string{"a, b", "c"}, []string{"a", "b", "c"}},
		{"join", []Step{Join("; ")}, []string{"a", "b"}, []string{"a; b"}},
		{"join none", []Step{Join("; ")}, nil, nil},
		{"split and join", []Step{Split("/"), Join("-")}, []string{"a/b", "c"}, []string{"a-b-c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Apply(c.steps, c.in, Page{Base: base})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("texts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a,", maxText)
	if got := Apply([]Step{Split(",")}, []string{long}, Page{}); len(got) != maxTexts {
		t.Errorf("%d texts of a split", len(got))
	}
	if got := Apply([]Step{Join("-")}, []string{long, long}, Page{}); len(got) != 1 || len(got[0]) > maxText {
		t.Errorf("%d texts of a join", len(got))
	}
	if got := Apply([]Step{ReplaceRegex(regexp.MustCompile("a"), strings.Repeat("b", 1024))}, []string{long}, Page{}); len(got) != 0 {
		t.Errorf("%d texts of a replacement", len(got))
	}
	if got := Cut("a" + strings.Repeat("ä", maxText)); len(got) != maxText-1 {
		t.Errorf("%d bytes of a cut", len(got))
	}
}

func TestJoins(t *testing.T) {
	t.Parallel()
	if Joins([]Step{Trim()}) || !Joins([]Step{Trim(), Join(" ")}) {
		t.Error("a join is not seen")
	}
}
