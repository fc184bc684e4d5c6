package page

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/link"
)

// showFound writes all links of a page as "kind:path kind:path", a rejected one as
// "kind:path!reason", texts of anchors in brackets.
func showFound(t *testing.T, html string, kinds document.Kinds) string {
	t.Helper()
	c := siteCrawl(t)
	c.Links.Kinds, c.Links.Explain = kinds, true
	out := New().Parse(sitePage(t, html), c, nil)
	var parts []string
	for _, f := range out.Links.Found {
		s := f.Kind.String() + ":" + strings.TrimPrefix(f.URL, "https://site.example")
		if f.Reason != "" {
			s += "!" + string(f.Reason)
		}
		if f.Text != "" {
			s += "(" + f.Text + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

// TestKinds: what every kind of element leads to.
func TestKinds(t *testing.T) {
	t.Parallel()
	for i, c := range slices.Concat(relationCases(), resourceCases(), srcsetCases(), formCases(), textCases()) {
		t.Run(fmt.Sprintf("%03d", i), func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, showFound(t, c.html, document.All)); diff != "" {
				t.Errorf("links of %s (-want +got):\n%s", c.html, diff)
			}
		})
	}
}

// relationCases: link elements by their relation.
func relationCases() []linkCase {
	rel := func(attrs, kind string) linkCase {
		if kind == "" {
			return linkCase{`<link ` + attrs + ` href=/a>`, ""}
		}
		return linkCase{`<link ` + attrs + ` href=/a>`, kind + ":/a"}
	}
	return []linkCase{
		rel(`rel=canonical`, "canonical"), rel(`rel=alternate`, "alternate"), rel(`rel=alternate hreflang=x-default`, "alternate"), rel(`rel=alternate media=handheld`, "alternate"),
		rel(`rel=alternate type=application/rss+xml`, "feed"), rel(`rel=alternate type="application/atom+xml; charset=utf-8"`, "feed"), rel(`rel=alternate type=Application/Feed+JSON`, "feed"),
		rel(`rel=alternate type=application/rdf+xml`, "feed"), rel(`rel=alternate type=application/json`, "alternate"), rel(`rel="feed"`, "feed"), rel(`rel="alternate feed"`, "alternate"),
		rel(`rel=next`, "next"), rel(`rel=prev`, "next"), rel(`rel=previous`, "next"), rel(`rel="NEXT"`, "next"), rel("rel=\"\tnext\nx \"", "next"), rel(`rel=nextpage`, ""),
		rel(`rel=sitemap`, "sitemap"), rel(`rel=amphtml`, "related"), rel(`rel=author`, "related"), rel(`rel=license`, "related"), rel(`rel=help`, "related"), rel(`rel=first`, "related"),
		rel(`rel=last`, "related"), rel(`rel=up`, "related"), rel(`rel=index`, "related"), rel(`rel=contents`, "related"), rel(`rel=shortlink`, "related"), rel(`rel=search`, "related"),
		rel(`rel=stylesheet`, "style"), rel(`rel="alternate stylesheet"`, "style"), rel(`rel="stylesheet canonical"`, "style"), rel(`rel=icon`, "image"), rel(`rel="shortcut icon"`, "image"),
		rel(`rel=apple-touch-icon`, "image"), rel(`rel=mask-icon`, "image"), rel(`rel=image_src`, "image"), rel(`rel=preload as=image`, "image"), rel(`rel=preload as=script`, "script"),
		rel(`rel=preload as=style`, "style"), rel(`rel=preload as=font`, ""), rel(`rel=preload`, ""), rel(`rel=modulepreload`, "script"), rel(`rel=prefetch as=document`, "related"),
		rel(`rel=dns-prefetch`, ""), rel(`rel=preconnect`, ""), rel(`rel=manifest`, ""), rel(`rel=pingback`, ""), rel(`rel=EditURI`, ""), rel(`rel=me`, ""), rel(`rel=""`, ""), rel(``, ""), rel(`rel`, ""),
		rel(`rel="canonical next"`, "canonical"), rel(`rel="icon canonical"`, "canonical"), rel(`rel=x rel=next`, ""), rel(`rel="`+strings.Repeat("x", 5000)+` next"`, "next"),
		{`<link rel=preload as=image imagesrcset="/a 1x, /b 2x">`, "image:/a image:/b"}, {`<link rel=icon href="">`, ""}, {`<link rel=next>`, ""},
		{`<a rel=next href=/a>`, "anchor:/a"}, {`<a rel=canonical href=/a>`, "anchor:/a"}, {`<area href=/a>`, "anchor:/a"}, {`<iframe src=/a></iframe>`, "frame:/a"}, {`<frame src=/a>`, "frame:/a"},
		{`<meta http-equiv=refresh content="0;url=/a">`, "refresh:/a"}, {`<meta http-equiv=refresh content="0;url=/a?b=1&amp;amp=2">`, "refresh:/a?amp=2&b=1"},
		{`<meta http-equiv=refresh content="0;url='/a?x=&amp;copy=1'">`, "refresh:/a?copy=1&x="},
	}
}

// resourceCases: parts of pages.
func resourceCases() []linkCase {
	return []linkCase{
		{`<img src=/a>`, "image:/a"}, {`<IMG SRC="/a">`, "image:/a"}, {`<image src=/a>`, "image:/a"}, {`<img src="">`, ""}, {`<img>`, ""}, {`<img src=" ">`, ""}, {`<img src=data:image/png;base64,x>`, "image:data:image/png;base64,x!scheme"},
		{`<img data-src=/a>`, "image:/a"}, {`<img src=/s data-src=/a>`, "image:/s image:/a"}, {`<img data-srcset="/a 2x">`, "image:/a"}, {`<img src=/a srcset="/a 1x, /b 2x">`, "image:/a image:/b"},
		{`<img src=https://cdn.example/a>`, "image:https://cdn.example/a!host"}, {`<picture><source srcset=/a><img src=/b></picture>`, "image:/a image:/b"}, {`<img lowsrc=/a>`, ""},
		{`<video src=/a poster=/b></video>`, "media:/a image:/b"}, {`<video><source src=/a><source src=/b></video>`, "media:/a media:/b"}, {`<video><track src=/a></video>`, "media:/a"}, {`<audio src=/a>`, "media:/a"},
		{`<embed src=/a>`, "media:/a"}, {`<object data=/a></object>`, "media:/a"}, {`<object data=/a><a href=/b></object>`, "media:/a anchor:/b"}, {`<input type=image src=/a>`, "image:/a"}, {`<input src=/a>`, ""},
		{`<script src=/a></script>`, "script:/a"}, {`<script src=/a><img src=/b></script>`, "script:/a"}, {`<script>"<img src=/b>"</script>`, ""}, {`<script type=module src=/a></script>`, "script:/a"},
		{`<body background=/a>`, "image:/a"}, {`<table background=/a><tr><td background=/b>`, "image:/a image:/b"}, {`<svg><image href=/a></svg>`, "image:/a"}, {`<svg><image xlink:href=/a /></svg>`, "image:/a"},
		{`<svg><script href=/a></script></svg>`, "script:/a"}, {`<svg><use href=#x /></svg>`, ""}, {`<noscript><img src=/a></noscript>`, "image:/a"}, {`<template><img src=/a></template>`, "image:/a"},
		{`<a href=/a><img src=/b></a>`, "anchor:/a image:/b"}, {`<img src=/a><a href=/a>x</a>`, "image:/a"}, {`<p background=/a>`, ""}, {`<base href=/b/><img src=a>`, "image:/b/a"}, {`<!-- <img src=/a> -->`, ""},
		{`<textarea><img src=/a></textarea>`, ""}, {`<title><img src=/a></title>`, ""}, {`<iframe src=/a><img src=/b></iframe>`, "frame:/a"},
	}
}

// srcsetCases follow the algorithm of the HTML standard.
func srcsetCases() []linkCase {
	set := func(v, want string) linkCase {
		if want != "" {
			want = "image:" + strings.ReplaceAll(want, " ", " image:")
		}
		return linkCase{`<img srcset="` + v + `">`, want}
	}
	return []linkCase{
		set("", ""), set(" ", ""), set(",", ""), set(",,,", ""), set("/a", "/a"), set(" /a ", "/a"), set("/a 1x", "/a"), set("/a 1x,/b 2x", "/a /b"), set("/a 1x ,/b 2x", "/a /b"), set("/a 1x\n,\n/b 2x", "/a /b"),
		set("/a,/b", "/a,/b"), set("/a, /b", "/a /b"), set("/a,, /b", "/a /b"), set("/a,b.jpg 1x, /c 2x", "/a,b.jpg /c"), set("/a 100w 50h, /b", "/a /b"), set("/a (,), /b 2x", "/a /b"), set("/a (, /b 2x", "/a"),
		set("/a?x=1&amp;y=2 1x", "/a?x=1&y=2"), set("/w_1,h_2/a.jpg 300w,/w_2,h_4/a.jpg 600w", "/w_1,h_2/a.jpg /w_2,h_4/a.jpg"), set("/a 1x, ", "/a"), set(", /a", "/a"), set("/a 1x, /a 2x", "/a"), set("a b c d", "/dir/a"),
	}
}

// formCases: what a form asks for when its reader presses Enter at once.
func formCases() []linkCase {
	return []linkCase{
		{`<form action=/a></form>`, "form:/a"}, {`<form action=/a method=GET></form>`, "form:/a"}, {`<form action=/a method=post></form>`, ""}, {`<form action=/a method=dialog></form>`, ""}, {`<form action=/a method=x></form>`, "form:/a"},
		{`<form action=/a><input name=q></form>`, "form:/a?q="}, {`<form action=/a><input name=q value="x y"></form>`, "form:/a?q=x+y"}, {`<form action=/a><input value=1></form>`, "form:/a"}, {`<form action=/a?old=1#x><input name=q value=1></form>`, "form:/a?q=1"},
		{`<form action=/a><input type=hidden name=b value=2><input name=a value=1></form>`, "form:/a?a=1&b=2"}, {`<form action=/a><input name=q value="&amp;=&#228;"></form>`, "form:/a?q=%26%3D%C3%A4"},
		{`<form action=/a><input type=checkbox name=c></form>`, "form:/a"}, {`<form action=/a><input type=checkbox name=c checked></form>`, "form:/a?c=on"}, {`<form action=/a><input type=radio name=r value=1><input type=radio name=r value=2 checked></form>`, "form:/a?r=2"},
		{`<form action=/a><input type=submit name=s value=1><button name=b value=2>x</button><input type=reset name=r><input type=button name=b><input type=file name=f></form>`, "form:/a"}, {`<form action=/a><input name=q value=1 disabled></form>`, "form:/a"},
		{`<form action=/a><select name=s><option value=1>x<option value=2>y</select></form>`, "form:/a?s=1"}, {`<form action=/a><select name=s><option value=1>x<option value=2 selected>y<option value=3>z</select></form>`, "form:/a?s=2"},
		{`<form action=/a><select name=s><option>x y</option></select></form>`, "form:/a?s=x+y"}, {`<form action=/a><select name=s><option value="">all</option></select></form>`, "form:/a?s="}, {`<form action=/a><select name=s></select></form>`, "form:/a"},
		{`<form action=/a><select name=s multiple><option value=1><option value=2></select></form>`, "form:/a"}, {`<form action=/a><select name=s multiple><option value=1><option value=2 selected></select></form>`, "form:/a?s=2"},
		{`<form action=/a><select name=s disabled><option value=1></select></form>`, "form:/a"}, {`<form action=/a><select name=s><option value=1><select name=u><option value=2></form>`, "form:/a?s=1&u=2"},
		{`<form action=/a><textarea name=t>x</textarea></form>`, "form:/a?t=x"}, {`<form action=/a><textarea name=t><a href=/b></textarea></form>`, "form:/a?t=%3Ca+href%3D%2Fb%3E"}, {`<form action=/a><input name=q value=1>`, "form:/a?q=1"},
		{`<form action=/a><form action=/b><input name=q value=1></form></form>`, "form:/a?q=1"}, {`<form action=/a></form><input name=q value=1><form action=/b></form>`, "form:/a form:/b"}, {`<form><input name=x value=1></form>`, "form:/dir/page.html?x=1"},
		{`<form action=""><input name=x value=1></form>`, "form:/dir/page.html?x=1"}, {`<form action=https://other.example/a></form>`, "form:https://other.example/a!host"}, {`<form action=javascript:x></form>`, "form:javascript:x?!scheme"},
		{`<form action=/a><input name=q value="` + strings.Repeat("x", 9000) + `"></form>`, ""}, {`<form action=/private/a></form>`, "form:/private/a!rule"}, {`<form action=/a><a href=/b>x</a><input name=q value=1></form>`, "anchor:/b(x) form:/a?q=1"},
	}
}

// textCases: the texts of anchors.
func textCases() []linkCase {
	return []linkCase{
		{`<a href=/a>x</a>`, "anchor:/a(x)"}, {`<a href=/a> x
		  y </a>`, "anchor:/a(x y)"}, {`<a href=/a><b>x</b>y</a>z`, "anchor:/a(xy)"}, {`<a href=/a><div>x</div><div>y</div></a>`, "anchor:/a(x y)"}, {`<a href=/a>&lt;x&gt; &auml;</a>`, "anchor:/a(<x> ä)"},
		{`<a href=/a>x<a href=/b>y</a>`, "anchor:/a(x) anchor:/b(y)"}, {`<a href=/a>x`, "anchor:/a(x)"}, {`<a href=/a><img src=/i alt=z></a>`, "anchor:/a image:/i"}, {`<a href=/a>x<script>y</script>z</a>`, "anchor:/a(xz)"},
		{`<a href=/a></a>x`, "anchor:/a"}, {`<a href=/a>x<!-- y -->z</a>`, "anchor:/a(xz)"}, {`<a href=/a>` + strings.Repeat("x", 300) + `</a>`, "anchor:/a(" + strings.Repeat("x", 256) + ")"},
	}
}

func TestKindsThatAreFollowed(t *testing.T) {
	t.Parallel()
	const page = `<link rel=canonical href=/c><iframe src=/f></iframe><a href=/a><img src=/i>`
	for _, c := range []struct {
		name  string
		kinds document.Kinds
		want  string
	}{
		{"usual", document.Usual, "/c /f /a"},
		{"anchors", 1 << document.Anchor, "/a ! kind=2"},
		{"images", 1 << document.Image, "/i ! kind=3"},
		{"all", document.All, "/c /f /a /i"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			crawl := siteCrawl(t)
			crawl.Links.Kinds = c.kinds
			if got := show(New().Parse(sitePage(t, page), crawl, nil).Links); got != c.want {
				t.Errorf("links %q, want %q", got, c.want)
			}
		})
	}
	t.Run("the kind that is followed counts", func(t *testing.T) {
		t.Parallel()
		crawl := siteCrawl(t)
		crawl.Links.Kinds = 1 << document.Anchor
		if got := show(New().Parse(sitePage(t, `<iframe src=/a></iframe><a href=/a>`), crawl, nil).Links); got != "/a" {
			t.Errorf("links %q", got)
		}
	})
}

func TestLinksOfWhatIsNotHTML(t *testing.T) {
	t.Parallel()
	in := sitePage(t, `{"a": "<a href=/b>"}`)
	in.ContentType, in.Links, in.Refreshes = "application/json", []string{`</a?page=2>; rel="next", </s.css>; rel=stylesheet`}, []string{"0; url=/r"}
	if got := showAll(New().Parse(in, siteCrawl(t), nil)); got != "/a?page=2 => /r" {
		t.Errorf("links %q", got)
	}
}

// FuzzLinksOfAllKinds: whatever the bytes are, what is found is a URL or refused.
func FuzzLinksOfAllKinds(f *testing.F) {
	for _, c := range slices.Concat(linkCases(), relationCases(), resourceCases(), srcsetCases(), formCases(), textCases()) {
		f.Add([]byte(c.html))
	}
	p := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		c := siteCrawl(t)
		c.Links.Kinds, c.Links.Explain = document.All, true
		out := p.Parse(sitePage(t, string(body)), c, nil)
		accepted := 0
		for _, l := range out.Links.Found {
			if l.Reason == "" {
				mustURL(t, l.URL)
			}
			if l.Reason == "" && l.Source == link.Link {
				accepted++
			}
			if len(l.Text) > 256 {
				t.Errorf("text of %d bytes", len(l.Text))
			}
		}
		if accepted != len(out.Links.Outlinks) {
			t.Errorf("%d found, %d outlinks", accepted, len(out.Links.Outlinks))
		}
	})
}
