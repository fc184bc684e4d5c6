package document

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFacts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, html string
		want       Document
	}{
		{"nothing", "", Document{}},
		{"title", "<title> A\n &amp;\tB </title>", Document{Title: "A & B"}},
		{"first title", "<title>a</title><title>b</title>", Document{Title: "a"}},
		{"empty title counts", "<title></title><title>b</title>", Document{}},
		{"title with markup", "<title>a <b>c</b></title>", Document{Title: "a <b>c</b>"}},
		{"title of a drawing", "<svg><title>x</title></svg><title>a</title>", Document{Title: "a"}},
		{"unclosed title", "<title>a", Document{Title: "a"}},
		{"capitals", "<TITLE>a</TITLE>", Document{Title: "a"}},
		{"long title", "<title>" + strings.Repeat("ä", 600) + "</title>", Document{Title: strings.Repeat("ä", 512)}},
		{"blanks of other scripts", "<title>a\u00a0\u3000b\u2003</title>", Document{Title: "a b"}},
		{"entity as blank", "<title>a&nbsp;&#10;b</title>", Document{Title: "a b"}},
		{"description", `<meta name=Description content="a  b">`, Document{Description: "a b"}},
		{"description before graph", `<meta property=og:description content=g><meta name=description content=d>`, Document{Description: "d"}},
		{"graph", `<meta property=og:description content=g>`, Document{Description: "g"}},
		{"first description", `<meta name=description content=a><meta name=description content=b>`, Document{Description: "a"}},
		{"empty description is none", `<meta name=description content=""><meta name=description content=b>`, Document{Description: "b"}},
		{"description with entities", `<meta name=description content="&quot;a&quot; &lt;b>">`, Document{Description: `"a" <b>`}},
		{"language", `<html lang=de-AT>`, Document{Language: "de-AT"}},
		{"xml language", `<html xml:lang=fr>`, Document{Language: "fr"}},
		{"language of meta", `<meta http-equiv=content-language content=en>`, Document{Language: "en"}},
		{"languages of meta", `<meta http-equiv=content-language content="en, de">`, Document{}},
		{"html before meta", `<meta http-equiv=content-language content=en><html lang=de>`, Document{Language: "de"}},
		{"language of another element", `<p lang=de>`, Document{}},
		{"base", `<base href="/a&amp;b">`, Document{Base: "/a&b"}},
		{"nofollow", `<meta name=robots content=" NoFollow ">`, Document{NoFollow: true}},
		{"reference", `<a href="a&amp;b" rel=nofollow>`, Document{References: []Reference{{Target: "a&b", Kind: Anchor, NoFollow: true}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var r Reader
			got := *r.Read([]byte(c.html), Config{})
			if len(got.References) == 0 {
				got.References = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReaderForgets: nothing of one page shows in the next.
func TestReaderForgets(t *testing.T) {
	t.Parallel()
	var r Reader
	r.Read([]byte(`<html lang=de><title>a</title><base href=/b><meta name=description content=d><meta name=robots content=none><a href=/x><svg>`), Config{})
	if diff := cmp.Diff(Document{References: []Reference{}}, *r.Read(nil, Config{})); diff != "" {
		t.Errorf("an empty page (-want +got):\n%s", diff)
	}
}

func TestReaderBounds(t *testing.T) {
	t.Parallel()
	t.Run("references", func(t *testing.T) {
		t.Parallel()
		var r Reader
		got := r.Read([]byte(strings.Repeat("<a href=x>", maxReferences+5)), Config{})
		if len(got.References) != maxReferences || !got.Cut {
			t.Errorf("%d references, cut: %v", len(got.References), got.Cut)
		}
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		stop := &atomic.Bool{}
		stop.Store(true)
		var r Reader
		got := r.Read([]byte(strings.Repeat("<a href=x>", 1000)), Config{Stop: stop})
		if len(got.References) >= 1000 || !got.Cut {
			t.Errorf("%d references, cut: %v", len(got.References), got.Cut)
		}
	})
}

func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 0, ""}, {"a", 0, "a"}, {" a ", 0, "a"}, {"a  b", 0, "a b"}, {"a b", 0, "a b"}, {" ", 0, ""}, {"\n\t", 0, ""}, {"ab cd", 3, "ab"}, {"abcd", 2, "ab"},
		{"ää", 3, "ä"}, {"a\xffb", 0, "a\ufffdb"}, {"a\x00b", 0, "a\ufffdb"}, {"a\u00a0b", 0, "a b"},
	} {
		if got := Fold(c.in, c.limit); got != c.want {
			t.Errorf("Fold(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}
