package text

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, page, want, lines string }{
		{"nothing", "", "", ""},
		{"folded", "<p> a \n b </p>", "a b", "a b"},
		{"blocks", "<h1>a</h1><p>b<i>c</i></p>d", "a bc d", "a\nbc\nd"},
		{"break", "a<br>b", "a b", "a\nb"},
		{"cells", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b c", "a b\nc"},
		{"no scripts", "a<script>b</script><style>c</style>d", "ad", "ad"},
		{"list", "<ul><li>a<li>b</ul>", "a b", "a\nb"},
		{"other blanks", "a\u00a0\u3000b", "a b", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root, err := html.Parse(strings.NewReader(c.page))
			if err != nil {
				t.Fatal(err)
			}
			plain, lines := Gatherer{}, Gatherer{Lines: true}
			for range 2 {
				if got := string(plain.Of(root, 100)); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if got := string(lines.Of(root, 100)); got != c.lines {
					t.Errorf("lines %q, want %q", got, c.lines)
				}
			}
			if got := plain.Of(root, 1); len(got) > 1+4 {
				t.Errorf("%d bytes of one", len(got))
			}
		})
	}
}
