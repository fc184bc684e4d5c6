package page

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/link"
)

// siteCrawl follows links of site.example down to depth 3.
func siteCrawl(tb testing.TB) *Crawl {
	tb.Helper()
	reject, err := crawl.CompilePattern("*/private/*")
	if err != nil {
		tb.Fatal(err)
	}
	return &Crawl{
		Agent: "WeirBot",
		Links: link.Config{
			Canon: weburl.New(weburl.Options{SortQuery: true, StripParams: []string{"utm_*"}, StripSessionIDs: true}),
			Scope: crawl.NewScope(crawl.ScopeConfig{
				Domains: []string{"site.example"}, MaxDepth: 3, MaxLength: 200,
				Rules: []crawl.ScopeRule{{Pattern: reject, Text: "reject: */private/*"}},
			}),
			Priority: func(u weburl.URL, _ int) int32 {
				if strings.Contains(u.String(), "/first") {
					return -5
				}
				return 0
			},
			Follow: true, ObeyNoFollow: true, Kinds: document.Usual, Max: 1000,
		},
	}
}

const pageURL = "https://site.example/dir/page.html?q=1"

func sitePage(tb testing.TB, body string) *Input {
	tb.Helper()
	return &Input{URL: mustURL(tb, pageURL), Depth: 1, Status: 200, ContentType: "text/html; charset=utf-8", Body: []byte(body), Size: uint64(len(body))}
}

// show writes links as "path path ! reason=n": URLs of https://site.example without
// that, rejections sorted.
func show(l *link.Links) string {
	var parts []string
	for _, o := range l.Outlinks {
		parts = append(parts, strings.TrimPrefix(o.URL, "https://site.example"))
	}
	if len(l.Rejected) > 0 {
		parts = append(parts, "!")
	}
	for _, r := range slices.Sorted(maps.Keys(l.Rejected)) {
		parts = append(parts, fmt.Sprintf("%s=%d", r, l.Rejected[r]))
	}
	return strings.Join(parts, " ")
}

// showAll is show of a page, with "=> path" for where it sends its reader on to.
func showAll(out Output) string {
	s := show(out.Links)
	if out.Refresh != "" {
		s = strings.TrimSpace(s + " => " + strings.TrimPrefix(out.Refresh, "https://site.example"))
	}
	return s
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for i, c := range linkCases() {
		t.Run(fmt.Sprintf("%03d", i), func(t *testing.T) {
			t.Parallel()
			out := New().Parse(sitePage(t, c.html), siteCrawl(t), nil)
			if diff := cmp.Diff(c.want, showAll(out)); diff != "" {
				t.Errorf("links of %s (-want +got):\n%s", c.html, diff)
			}
		})
	}
}

type linkCase struct{ html, want string }

// linkCases are small pages and their links.
func linkCases() []linkCase {
	return slices.Concat(referenceCases(), elementCases(), directiveCases(), malformedCases())
}

// referenceCases: what is written in href.
func referenceCases() []linkCase {
	a := func(href, want string) linkCase { return linkCase{`<a href="` + href + `">x</a>`, want} }
	return []linkCase{
		a("a", "/dir/a"), a("a.html", "/dir/a.html"), a("/a", "/a"), a("./a", "/dir/a"), a("../a", "/a"), a("../../a", "/a"), a(".", "/dir/"), a("..", "/"),
		a("/a/./b/../c", "/a/c"), a("a/", "/dir/a/"), a("//site.example/a", "/a"), a("https://site.example/a", "/a"), a("https://site.example", "/"),
		a("HTTPS://SITE.EXAMPLE/A", "/A"), a("https://site.example:443/a", "/a"), a("https://site.example:8443/a", ":8443/a"), a("http://site.example/a", "http://site.example/a"),
		a("https://sub.site.example/a", "https://sub.site.example/a"), a("https://other.example/a", "! host=1"), a("//other.example/a", "! host=1"),
		a("?a=1", "/dir/page.html?a=1"), a("?", "/dir/page.html"), a("?q=1", ""), a("#top", ""), a("", ""), a("page.html?q=1#x", ""), a("page.html", "/dir/page.html"),
		a("a#x", "/dir/a"), a("a?b#x", "/dir/a?b"), a("a?b=2&amp;a=1", "/dir/a?a=1&b=2"), a("a?b=2&a=1", "/dir/a?a=1&b=2"), a("a?utm_source=x&amp;b=1", "/dir/a?b=1"),
		a("a?utm_source=x", "/dir/a"), a("a;jsessionid=1F?b=1", "/dir/a?b=1"), a("a?phpsessid=abc", "/dir/a"), a(" a ", "/dir/a"), a("\n/a\n", "/a"), a("/a\nb", "/ab"), a("/a\tb", "/ab"),
		a("/a b", "/a%20b"), a("/%7Ea", "/%7Ea"), a("/a%2fb", "/a%2fb"), a("/ä", "/%C3%A4"), a("/&auml;", "/%C3%A4"), a("/&#228;", "/%C3%A4"), a("/&#xE4;", "/%C3%A4"),
		a("a?x=&quot;1&quot;", "/dir/a?x=%221%22"), a("a?b&copy=1", "/dir/a?b&copy=1"), a("a?b=1&lt=2", "/dir/a?b=1&lt=2"),
		a("mailto:a@b.example", "! scheme=1"), a("javascript:void(0)", "! scheme=1"), a("tel:123", "! scheme=1"), a("data:text/html,x", "! scheme=1"), a("ftp://site.example/a", "! scheme=1"),
		a("JavaScript:x", "! scheme=1"), a("about:blank", "! scheme=1"), a("http://", "! invalid=1"), a("http://[::1", "! invalid=1"), a("http://a b/", "! invalid=1"), a("https://site.example:99999/", "! invalid=1"),
		a("http:a", "! host=1"), a("https:a", "/dir/a"), a(`\a`, "/a"), a(`https:\\site.example\a`, "/a"), a("///site.example/a", "/a"), a("https://user:pw@site.example/a", "/a"),
		a("/private/a", "! rule=1"), a("/a/"+strings.Repeat("x", 200), "! length=1"), a("/"+strings.Repeat("x", 9000), "! length=1"), a("/a//b", "/a//b"), a("/a?b=", "/a?b="), a("/a?&&b", "/a?b"),
		a("https://site.example./a", "! host=1"), a("https://SITE.example/%41", "/%41"), a("/a%zz", "/a%zz"), a("/%E4", "/%E4"), a("/a|b", "/a|b"), a("/a'b", "/a'b"),
	}
}

// elementCases: where references stand.
func elementCases() []linkCase {
	return []linkCase{
		{`<area href=/a>`, "/a"}, {`<iframe src=/a></iframe>`, "/a"}, {`<frameset><frame src=/a><frame src=/b></frameset>`, "/a /b"}, {`<A HREF=/a>`, "/a"}, {`<a HrEf='/a'>`, "/a"},
		{`<a href=/a><a href=/b>`, "/a /b"}, {`<a href=/a><a href=/a>`, "/a"}, {`<a href=/a><a href=/a#x><a href="a/../../a">`, "/a"}, {`<a href=/b><a href=/a><a href=/b>`, "/b /a"},
		{`<a href=/a/>`, "/a/"}, {`<a href=/a/b/>`, "/a/b/"}, {`<a href="/a"/>`, "/a"}, {`<a name=x>`, ""}, {`<a href>`, ""}, {`<a href=>`, ""}, {`<a title=">" href=/a>`, "/a"},
		{`<a href=/a href=/b>`, "/a"}, {`<a data-href=/b href=/a>`, "/a"}, {`<img src=/a>`, ""}, {`<script src=/a></script>`, ""}, {`<form action=/a>`, ""}, {`<embed src=/a>`, ""},
		{`<link rel=stylesheet href=/a>`, ""}, {`<link rel=icon href=/a>`, ""}, {`<link rel=canonical href=/a>`, "/a"}, {`<link rel="CANONICAL" href=/a>`, "/a"}, {`<link rel=next href=/a><link rel=prev href=/b>`, "/a /b"},
		{`<link rel=previous href=/a>`, "/a"}, {`<link rel=alternate hreflang=de href=/de>`, "/de"}, {`<link rel="alternate stylesheet" href=/a>`, ""}, {`<link rel="nofollow next" href=/a>`, "! nofollow=1"},
		{`<link rel=canonical href="` + pageURL + `">`, ""}, {`<link rel=preload href=/a>`, ""}, {`<link href=/a>`, ""}, {`<link rel="shortcut next" href=/a>`, "/a"},
		{`<base href=/b/><a href=a>`, "/b/a"}, {`<a href=a><base href=/b/>`, "/b/a"}, {`<base href=b/><a href=a>`, "/dir/b/a"}, {`<base href=/b><a href=a>`, "/a"}, {`<base href=/b/><base href=/c/><a href=a>`, "/b/a"},
		{`<base target=x><base href=/c/><a href=a>`, "/c/a"}, {`<base href=https://other.example/><a href=a><a href=https://site.example/a>`, "/a ! host=1"}, {`<base href="javascript:x"><a href=a>`, "/dir/a"},
		{`<base href="http://["><a href=a>`, "/dir/a"}, {`<base href=/b/><a href=#x>`, ""}, {`<base href=/b/;jsessionid=1/c/><a href=../a>`, "/b//a"},
		{`<noscript><a href=/a></noscript>`, "/a"}, {`<script>"<a href=/a>"</script>`, ""}, {`<style><a href=/a></style>`, ""}, {`<textarea><a href=/a></textarea>`, ""}, {`<title><a href=/a></title>`, ""},
		{`<!-- <a href=/a> -->`, ""}, {`<!--[if IE]><a href=/a><![endif]-->`, ""}, {`<iframe><a href=/a></iframe>`, ""}, {`<xmp><a href=/a></xmp><a href=/b>`, "/b"}, {`<template><a href=/a></template>`, "/a"},
		{`<svg><a href=/a></a></svg>`, "/a"}, {`<svg><a xlink:href=/a></a></svg>`, "/a"}, {`<svg><title>x</title></svg><a href=/a>`, "/a"}, {`<svg><script/><a href=/a></svg>`, "/a"}, {`<svg><style><a href=/a></style></svg>`, "/a"},
		{`<svg><div><title><a href=/b></title><a href=/a>`, "/a"}, {`<svg/><title><a href=/b></title><a href=/a>`, "/a"}, {`<math><mi href=/x></mi></math><a href=/a>`, "/a"},
		{`<a href=/first><a href=/a>`, "/first /a"}, {`<select><option><a href=/a></select>`, "/a"}, {`<table><a href=/a></table>`, "/a"}, {`<plaintext><a href=/a>`, ""},
	}
}

// directiveCases: what a page says about following.
func directiveCases() []linkCase {
	return []linkCase{
		{`<a rel=nofollow href=/a>`, "! nofollow=1"}, {`<a rel="external NoFollow noopener" href=/a>`, "! nofollow=1"}, {`<a rel=nofollows href=/a>`, "/a"}, {`<a rel=ugc href=/a>`, "/a"},
		{`<a rel=nofollow href=/a><a href=/a>`, "/a"}, {`<a href=/a><a rel=nofollow href=/a>`, "/a"}, {`<a rel=nofollow href=/a><a rel=nofollow href=/a>`, "! nofollow=1"}, {`<area rel=nofollow href=/a>`, "! nofollow=1"},
		{`<meta name=robots content=nofollow><a href=/a><a href=/b>`, "! nofollow=2"}, {`<meta name=ROBOTS content="NOINDEX, NOFOLLOW"><a href=/a>`, "! nofollow=1"}, {`<meta name=robots content=none><a href=/a>`, "! nofollow=1"},
		{`<meta name=robots content=noindex><a href=/a>`, "/a"}, {`<meta name=robots content="index,follow"><a href=/a>`, "/a"}, {`<a href=/a><meta name=robots content=nofollow>`, "! nofollow=1"}, {`<meta content=nofollow><a href=/a>`, "/a"},
		{`<meta name=weirbot content=nofollow><a href=/a>`, "! nofollow=1"}, {`<meta name=otherbot content=nofollow><a href=/a>`, "/a"}, {`<meta property=robots content=nofollow><a href=/a>`, "/a"},
		{`<meta http-equiv=refresh content="0;url=/a">`, "=> /a"}, {`<meta http-equiv=REFRESH content="5; URL='/a'">`, "=> /a"}, {`<meta http-equiv=refresh content='0;url="/a"x'>`, "=> /a"}, {`<meta http-equiv=refresh content="0,/a">`, "=> /a"},
		{`<meta http-equiv=refresh content="0 url=/a">`, "=> /a"}, {`<meta http-equiv=refresh content="5">`, ""}, {`<meta http-equiv=refresh content="url=/a">`, ""}, {`<meta http-equiv=refresh content="0;url=">`, ""},
		{`<meta http-equiv=refresh content="1.5;url=/a">`, "=> /a"}, {`<meta http-equiv=refresh content=".5; /a">`, "=> /a"}, {`<meta http-equiv=refresh content="0;urls">`, "=> /dir/urls"}, {`<meta http-equiv=refresh content="0;url=` + pageURL + `">`, ""}, {`<meta http-equiv=refresh content="10;url=/a">`, "=> /a"}, {`<meta http-equiv=refresh content="11;url=/a">`, "/a"},
		{`<meta http-equiv=refresh content="0007;url=/a">`, "=> /a"}, {`<meta http-equiv=refresh content="99999999999999999999;url=/a">`, "/a"}, {`<meta http-equiv=refresh content="0;url=/a"><meta http-equiv=refresh content="0;url=/b">`, "/b => /a"},
		{`<noscript><meta http-equiv=refresh content="0;url=/a"></noscript>`, "/a"}, {`<noscript></noscript><meta http-equiv=refresh content="0;url=/a">`, "=> /a"}, {`<meta http-equiv=refresh content="0;url=https://other.example/">`, "=> https://other.example/"},
		{`<meta http-equiv=refresh content="0;url=mailto:a@b.example">`, "! scheme=1"},
		{`<meta http-equiv=refresh content="0;url=/a?b=1&amp;a=2">`, "=> /a?a=2&b=1"}, {`<meta name=robots content=nofollow><meta http-equiv=refresh content="0;url=/a">`, "=> /a"},
	}
}

// malformedCases: markup that nobody meant.
func malformedCases() []linkCase {
	return []linkCase{
		{``, ""}, {`x`, ""}, {`<`, ""}, {`<a`, ""}, {`<a href=/a`, ""}, {`<a href="/a>x</a>`, ""}, {`<a href="/a>x</a><a href="/b">`, "/a%3Ex%3C/a%3E%3Ca%20href="}, {`<a href=/a"b>`, "/a%22b"},
		{`<a href='/a"b'>`, "/a%22b"}, {`< a href=/a>`, ""}, {`<<a href=/a>`, "/a"}, {`<a<b href=/a>`, ""}, {`<a/href=/a>`, "/a"}, {`<a x=y/href=/a>`, ""}, {"<a\x00 href=/a>", ""},
		{"<a href=/a\x00b>", "/a%EF%BF%BDb"}, {`<a =href=/a>`, ""}, {`</a href=/a>`, ""}, {`<a href = /a >`, "/a"}, {"<a\thref\n=\r/a>", "/a"}, {`<p <a href=/a>`, ""}, {`<a href=/a <b>`, "/a"},
		{`<div><p></div></p></b><a href=/a></i>`, "/a"}, {`<a href=/a></a></a></a><a href=/b>`, "/a /b"}, {`<html><html><body><body><a href=/a></html><a href=/b>`, "/a /b"}, {"<a href=\"/\xff\">", "/%EF%BF%BD"},
	}
}

func TestLinksOfHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		links, robots []string
		html, want    string
	}{
		{"canonical", []string{`</a>; rel="canonical"`}, nil, "", "/a"},
		{"several", []string{`</a>; rel=next, </b>;rel="prev"; title="x, y", <c>; rel=stylesheet`}, nil, "", "/a /b"},
		{"two headers", []string{`</a>; rel=next`, `</b>; rel=next`}, nil, "", "/a /b"},
		{"relation after others", []string{`</a>; title="a \"b\"; rel=x"; rel="next"`}, nil, "", "/a"},
		{"no relation", []string{`</a>`}, nil, "", ""},
		{"the first relation counts", []string{`</a>; rel=icon; rel=next`}, nil, "", ""},
		{"broken", []string{`</a`, `rel=next`, `<>; rel=next`, `</b>; rel="next`}, nil, "", "/b"},
		{"counts from the base", []string{`<a>; rel=next`}, nil, "<base href=/b/>", "/b/a"},
		{"nofollow for all", nil, []string{"nofollow"}, "<a href=/a>", "! nofollow=1"},
		{"none for all", nil, []string{"noarchive, none"}, "<a href=/a>", "! nofollow=1"},
		{"nofollow for us", nil, []string{"weirbot: nofollow"}, "<a href=/a>", "! nofollow=1"},
		{"nofollow for another", nil, []string{"otherbot: noindex, nofollow"}, "<a href=/a>", "/a"},
		{"date with a colon", nil, []string{"unavailable_after: 25 Jun 2030 15:00:00 PST, nofollow"}, "<a href=/a>", "! nofollow=1"},
		{"noindex alone", nil, []string{"noindex"}, "<a href=/a>", "/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := sitePage(t, c.html)
			in.Links, in.Robots = c.links, c.robots
			if got := show(New().Parse(in, siteCrawl(t), nil).Links); got != c.want {
				t.Errorf("links %q, want %q", got, c.want)
			}
		})
	}
}

func TestLinksObeyTheSpec(t *testing.T) {
	t.Parallel()
	page := `<meta name=robots content=nofollow><a href=/a><a rel=nofollow href=/b><a href=/first>`
	t.Run("nofollow not obeyed", func(t *testing.T) {
		t.Parallel()
		c := siteCrawl(t)
		c.Links.ObeyNoFollow = false
		out := New().Parse(sitePage(t, page), c, nil)
		if got := show(out.Links); got != "/a /b /first" {
			t.Errorf("links %q", got)
		}
		if p := out.Links.Outlinks[2].Priority; p != -5 {
			t.Errorf("priority %d, want -5", p)
		}
	})
	t.Run("no links followed", func(t *testing.T) {
		t.Parallel()
		c := siteCrawl(t)
		c.Links.Follow = false
		out := New().Parse(sitePage(t, page), c, nil)
		if got := show(out.Links); got != "! follow_links=3" || out.Links.Distinct != 3 {
			t.Errorf("links %q, %d distinct", got, out.Links.Distinct)
		}
	})
	t.Run("too deep", func(t *testing.T) {
		t.Parallel()
		in := sitePage(t, "<a href=/a>")
		in.Depth = 3
		if got := show(New().Parse(in, siteCrawl(t), nil).Links); got != "! depth=1" {
			t.Errorf("links %q", got)
		}
	})
	t.Run("more than are taken", func(t *testing.T) {
		t.Parallel()
		var b strings.Builder
		for i := range 1500 {
			fmt.Fprintf(&b, "<a href=/%d>", i)
		}
		out := New().Parse(sitePage(t, b.String()), siteCrawl(t), nil)
		if len(out.Links.Outlinks) != 1000 || out.Links.Rejected[link.Limit] != 500 || len(out.Warnings) != 1 {
			t.Errorf("%d outlinks, rejected %v, warnings %q", len(out.Links.Outlinks), out.Links.Rejected, out.Warnings)
		}
	})
}

func FuzzLinks(f *testing.F) {
	for _, c := range linkCases() {
		f.Add([]byte(c.html), "text/html")
	}
	p := New()
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		in := sitePage(t, string(body))
		in.ContentType = contentType
		out := p.Parse(in, siteCrawl(t), nil)
		seen := map[string]bool{}
		for _, o := range out.Links.Outlinks {
			u, err := weburl.FromCanonical(o.URL)
			if err != nil || seen[o.URL] || u.String() == pageURL {
				t.Errorf("outlink %q: %v, seen before: %v", o.URL, err, seen[o.URL])
			}
			seen[o.URL] = true
		}
		if !utf8.ValidString(out.Title) || len(out.Title) > 1024 {
			t.Errorf("title %q", out.Title)
		}
	})
}

// Browsers write queries, and nothing else, in the encoding of the page.
func TestQueriesAreInTheEncodingOfThePage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ charset, html, want string }{
		{"windows-1252", "<a href='/\xfc?a=\xfc&amp;b=x#\xfc'>x</a>", "/%C3%BC?a=%FC&b=x"},
		{"windows-1251", "<base href='/d/?\xef'><a href='?a=\xef b'>x</a>", "/d/?a=%EF%20b"},
		{"shift_jis", "<a href='?q=\x93\xfa\x96\x7b'>x</a>", "/dir/page.html?q=%93%FA%96{"},
		{"iso-2022-jp", "<a href='?q=\x1b$BF|K\\\x1b(B'>x</a>", `/dir/page.html?q=%1B$BF|K\%1B(B`},
		{"windows-1252", "<a href='?q=&#1087;\xfc'>x</a>", "/dir/page.html?q=%26%231087%3B%FC"},
		{"utf-8", "<a href='?q=ü'>x</a>", "/dir/page.html?q=%C3%BC"},
		{"windows-1252", "<meta http-equiv=refresh content='0;url=/r?\xfc'>", "=> /r?%FC"},
	} {
		in := sitePage(t, c.html)
		in.ContentType = "text/html; charset=" + c.charset
		if got := showAll(New().Parse(in, siteCrawl(t), nil)); got != c.want {
			t.Errorf("%s, %q: %s, want %s", c.charset, c.html, got, c.want)
		}
	}
}
