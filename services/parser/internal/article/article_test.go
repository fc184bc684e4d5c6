package article

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/weircrawl/weir/services/parser/internal/tree"
)

func news(paragraphs int) string {
	var b strings.Builder
	b.WriteString(`<html><head><title>The river</title></head><body><nav><ul><li><a href=/a>Home</a><li><a href=/b>Shop</a></ul></nav><div id=main><article><h1>The river</h1>`)
	for i := range paragraphs {
		fmt.Fprintf(&b, `<p>Paragraph %d says that the river rises in the hills, runs past <a href="/mill">the old mill</a>, and that nobody owns it, whatever they say.</p>`, i)
	}
	b.WriteString(`<table><tr><th>Name</th><th>km</th></tr><tr><td>Elbe</td><td>1094</td></tr></table></article></div><footer>Imprint and cookies</footer><script>x</script></body></html>`)
	return b.String()
}

func rootOf(tb testing.TB, page string) *html.Node {
	tb.Helper()
	root, err := tree.New([]byte(page), nil).Root()
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

func render(tb testing.TB, n *html.Node) string {
	tb.Helper()
	var b strings.Builder
	if err := html.Render(&b, n); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestFind(t *testing.T) {
	t.Parallel()
	root := rootOf(t, news(8))
	before := render(t, root)
	a := Find(root, "https://news.example/river", true)
	if render(t, root) != before {
		t.Error("the tree was changed")
	}
	if !strings.Contains(a.Text, "\nParagraph 7 says that the river rises in the hills, runs past the old mill, and") || strings.Contains(a.Text, "cookies") || strings.Contains(a.Text, "Shop") {
		t.Errorf("text %s", a.Text)
	}
	for _, want := range []string{"[the old mill](https://news.example/mill)", "| Elbe", "| 1094"} {
		if !strings.Contains(a.Markdown, want) {
			t.Errorf("no %s in %s", want, a.Markdown)
		}
	}
	if got := Find(root, "https://news.example/river", false); got.Markdown != "" || got.Text != a.Text {
		t.Errorf("without markdown: %+v", got)
	}
}

// TestFindTakesTheBody where there is no article to be found.
func TestFindTakesTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, page, url, want string }{
		{"empty", "", "https://a.example/", ""},
		{"short", "<body><p>Hello <b>you</b>", "https://a.example/", "Hello you"},
		{"no URL", "<body><p>Hello", "http://[", "Hello"},
		{"many elements", "<body>" + strings.Repeat("<b>x</b>", maxElements+1), "https://a.example/", strings.Repeat("x", maxElements+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Find(rootOf(t, c.page), c.url, true).Text; got != c.want {
				t.Errorf("text %.100q", got)
			}
		})
	}
	long := Find(rootOf(t, "<p>"+strings.Repeat("ä ", maxText)), "https://a.example/", true)
	if len(long.Text) > maxText+8 || len(long.Markdown) > maxText {
		t.Errorf("%d and %d bytes", len(long.Text), len(long.Markdown))
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]int{"": 0, "one": 1, "one, two!": 2, "don't": 2, "a-b c": 3, "日本語": 3, "abc日本": 3, "ä ö": 2, "3.5": 2, " \n": 0} {
		if got := FactsOf(text); got.Words != words || (got.SimHash == 0) != (words == 0) {
			t.Errorf("%q: %d words, want %d; SimHash %x", text, got.Words, words, got.SimHash)
		}
	}
	a, same := FactsOf("The River rises."), FactsOf("the river  rises")
	if a.SimHash != same.SimHash || a.SHA256 == same.SHA256 {
		t.Error("case and blanks change the SimHash, or do not change the digest")
	}
}

// TestSimHash: near texts are near, others are far.
func TestSimHash(t *testing.T) {
	t.Parallel()
	words := func(seed, n int) []string {
		var out []string
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		for range n {
			out = append(out, fmt.Sprintf("w%d", r.IntN(5000)))
		}
		return out
	}
	text := words(1, 1000)
	near := append([]string(nil), text...)
	near[500] = "changed"
	h := func(w []string) uint64 { return FactsOf(strings.Join(w, " ")).SimHash }
	if d := bits.OnesCount64(h(text) ^ h(near)); d > 3 {
		t.Errorf("one word of a thousand changes %d bits", d)
	}
	for seed := 2; seed < 20; seed++ {
		if d := bits.OnesCount64(h(text) ^ h(words(seed, 1000))); d < 10 {
			t.Errorf("text %d differs in %d bits only", seed, d)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"en": "The river rises in the hills and runs to the sea, and nobody who lives beside it would say that it belongs to anyone but to itself. Every spring the water comes up to the old mill, and every summer it goes down again, as it has always done.",
		"de": "Der Fluss entspringt in den Bergen und läuft zum Meer, und niemand, der an seinem Ufer wohnt, würde sagen, dass er jemandem gehört. Jedes Frühjahr steigt das Wasser bis zur alten Mühle, und jeden Sommer fällt es wieder, wie es das immer getan hat.",
		"ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
		"zh": strings.Repeat("人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。", 5),
		"":   "too short to tell",
	} {
		if got := Language(text); got != want {
			t.Errorf("%.30s: %q, want %q", text, got, want)
		}
	}
}

func FuzzArticle(f *testing.F) {
	f.Add(news(3), "https://a.example/b")
	f.Add("<table><tr><td><table><td>", "x")
	f.Add("<p>\xff<ul><li><pre>`</pre>", "")
	f.Fuzz(func(t *testing.T, page, url string) {
		root, err := tree.New([]byte(page), nil).Root()
		if err != nil {
			return
		}
		a := Find(root, url, true)
		FactsOf(a.Text)
		Language(a.Text)
	})
}
