package scan

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// tags lists the tags of a page as this package sees them.
func tags(page []byte) []string {
	var s Scanner
	var out []string
	for s.Reset(page); s.Next(); {
		if s.IsEnd() {
			out = append(out, "/"+asciiLower(s.name))
			continue
		}
		line := asciiLower(s.name)
		seen := map[string]bool{}
		for _, a := range s.Attrs() {
			name := asciiLower(a.Name)
			if !seen[name] {
				line += fmt.Sprintf(" %s=%q", name, Unescape(nil, a.Value))
			}
			seen[name] = true
		}
		if s.SelfClosing() {
			line += " /"
		}
		out = append(out, line)
	}
	return out
}

// reference lists the same tags as golang.org/x/net/html sees them.
func reference(page []byte) []string {
	z := html.NewTokenizer(bytes.NewReader(page))
	var out []string
	for {
		tt := z.Next()
		switch tt {
		case html.ErrorToken:
			return out
		case html.EndTagToken:
			name, _ := z.TagName()
			out = append(out, "/"+string(name))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			line := string(name)
			if line == "noscript" {
				z.NextIsNotRawText()
			}
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				line += fmt.Sprintf(" %s=%q", k, v)
			}
			if tt == html.SelfClosingTagToken {
				line += " /"
			}
			out = append(out, line)
		}
	}
}

func asciiLower(b []byte) string {
	c := bytes.ReplaceAll(b, []byte{0}, []byte("\ufffd"))
	for i := range c {
		c[i] = lower(c[i])
	}
	return string(c)
}

// pages are markup that tokenizers disagree on.
func pages() []string {
	return []string{
		"", "<", "</", "<a", "<a ", "<a b", "<a b=", "<a b=c", "<a b='c", `<a b="c`, "<a>", "</a>", "</>", "</ a>", "<1>", "< a>",
		"<a b=c>", "<a b='c'>", `<a b="c">`, "<A B=C>", "<a b>", "<a b c>", "<a b=c d=e>", "<a b=c b=d>", "<a/b>", "<a / b>", "<a b/>",
		"<a b=/>", "<a b=c/>", "<a b='c'/>", "<a b = c>", "<a =b>", "<a =b=c>", "<a ==>", "<a b==c>", "<a 'b'>", `<a b="c"d>`, "<br/>", "<br />",
		"<a\nb\t=\r'c'\f>", "<a b='>'>", "<a b=\">\">", "<a b=>c>", "<!-- <a> --><b>", "<!--><a>", "<!---><a>", "<!----><a>", "<!--a--!><b>",
		"<!--a--!-><b>-->", "<!-- a -- > <b>", "<!--a---><b>", "<!--", "<!-", "<!", "<!-->", "<!--a--", "<!--a--!", "<!doctype html><a>",
		"<!DOCTYPE 'a>'><b>", "<![CDATA[<a>]]><b>", "<!a><b>", "<?xml a?><b>", "<?<a>", "<title><a></title><b>", "<title></titlex></title ><b>",
		"<TITLE><a></TiTle><b>", "<title/><a></title><b>", "<textarea><a></textarea/><b>", "<script><a></script><b>", "<script>'</scr'+'ipt>'</script><b>",
		"<script><!--<script></script><a></script>--></script><b>", "<script><!-- </script><a>", "<script><!--></script><a>", "<script><!---></script><a>",
		"<script><!--a--></script><b>", "<script><!--<script>--></script><b>", "<script><!--<script ></script ><x></script><b>", "<script><!--<scriptx></script><b>",
		"<script><!--<script></scriptx></script></script><b>", "<script>", "<script></script", "<style><a></style><b>", "<xmp><a></xmp><b>",
		"<plaintext><a></plaintext>", "<noframes><a></noframes><b>", "<noembed><a></noembed><b>", "<iframe><a></iframe><b>", "<noscript><a></noscript><b>",
		"<svg><title><a></title></svg>", "a<b", "a<b>c</b>", "</a b='>'>c<d>", "</a b", "<a b='&amp;&lt;&#65;&copy&copy;&copy=1&notit;&bogus;&'>", "<a b='\r\n\r'>", "<a \x00=\x00>",
		"<script><!-<script></script><a>", "<script><!<!--<script></script><a></script><b>", "<script><!--<</script><a>", "<script><!--</</script><a>",
		"<script><!--<script><</script><a></script><b>", "<script><!--<script>--</script><a></script><b>", "<!--a--\xff--><b>", "<!--a-- --><b>",
	}
}

func TestScannerAgreesWithReference(t *testing.T) {
	t.Parallel()
	for i, page := range pages() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(reference([]byte(page)), tags([]byte(page))); diff != "" {
				t.Errorf("tags of %q (-x/net/html +scan):\n%s", page, diff)
			}
		})
	}
}

func TestScannerReadsRawText(t *testing.T) {
	t.Parallel()
	var s Scanner
	s.Reset([]byte("<title>a &amp; <b></title><p>"))
	if !s.Next() || s.Name() != Title {
		t.Fatal("no title")
	}
	if got, want := string(s.RawText()), "a &amp; <b>"; got != want {
		t.Errorf("RawText = %q, want %q", got, want)
	}
	if !s.Next() || !s.IsEnd() || !s.Next() || string(s.name) != "p" {
		t.Errorf("after the title: %q", s.name)
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	page := []byte(strings.Repeat(`<div class="a"><a href='/x' rel=nofollow>text</a><!-- c --><script>x</script></div>`, 100))
	var s Scanner
	walk := func() {
		for s.Reset(page); s.Next(); {
			s.Attr("href")
		}
	}
	walk()
	if n := testing.AllocsPerRun(10, walk); n != 0 {
		t.Errorf("%v allocations a page, want none", n)
	}
}

func FuzzScanner(f *testing.F) {
	for _, p := range pages() {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		// Of two attributes with one name x/net/html forgets the second before it
		// looks whether "/>" is the end of its value, so the slash is not compared.
		if diff := cmp.Diff(withoutSlash(reference(page)), withoutSlash(tags(page))); diff != "" {
			t.Errorf("tags of %q (-x/net/html +scan):\n%s", page, diff)
		}
	})
}

func withoutSlash(tags []string) []string {
	for i := range tags {
		tags[i] = strings.TrimSuffix(tags[i], " /")
	}
	return tags
}
