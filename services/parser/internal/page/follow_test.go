package page

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/follow"
)

func TestFollowRules(t *testing.T) {
	t.Parallel()
	const list = `<nav class=pages><a href=/list?2>2</a><a href=/list?3>3</a></nav>
		<ul class=items><li><a href=/item/1>x</a><li><a href=/item/2>x</a></ul><aside><a href=/about>x</a><a href=/item/2#top>x</a></aside><img src=/i>`
	pattern := func(s string) *crawl.Pattern {
		p, err := crawl.CompilePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	low := int32(-7)
	everywhere := func(r follow.Rule) follow.Rule {
		if r.MaxDepth == 0 {
			r.MaxDepth = -1
		}
		return r
	}
	for _, c := range []struct {
		name  string
		rules []follow.Rule
		html  string
		want  string // a link's depth and priority after it
	}{
		{"none", nil, list, "/list?2 /list?3 /item/1 /item/2 /about"},
		{"region by CSS", []follow.Rule{{CSS: "ul.items"}}, list, "/item/1 /item/2 ! follow=3"},
		{"region by XPath", []follow.Rule{{XPath: "//ul[@class='items']"}}, list, "/item/1 /item/2 ! follow=3"},
		{"the element itself", []follow.Rule{{CSS: ".items a"}}, list, "/item/1 /item/2 ! follow=3"},
		{"several", []follow.Rule{{CSS: "ul.items"}, {CSS: "nav.pages", Pagination: true}}, list, "/list?2@1 /list?3@1 /item/1 /item/2 ! follow=1"},
		{"pages of another kind", []follow.Rule{{Match: pattern("*/other/*"), CSS: "ul.items"}}, list, "/list?2 /list?3 /item/1 /item/2 /about"},
		{"this page", []follow.Rule{{Match: pattern("*/dir/*"), CSS: "ul.items"}}, list, "/item/1 /item/2 ! follow=3"},
		{"URLs of links", []follow.Rule{{Links: pattern("*/item/*")}}, list, "/item/1 /item/2 ! follow=3"},
		{"priority", []follow.Rule{{CSS: "ul", Priority: &low}}, list, "/item/1#-7 /item/2#-7 ! follow=3"},
		{"forbidden alone", []follow.Rule{{CSS: "aside", NoFollow: true}}, list, "/list?2 /list?3 /item/1 ! follow=2"},
		{"the last one decides", []follow.Rule{{CSS: "aside", NoFollow: true}, {CSS: "ul", Priority: &low}}, list, "/item/1#-7 /item/2#-7 ! follow=3"},
		{"depth", []follow.Rule{{CSS: "ul", MaxDepth: 1}, {CSS: "nav"}}, list, "/list?2 /list?3 ! depth=2 follow=1"},
		{"depth of pagination", []follow.Rule{{CSS: "nav", MaxDepth: 1, Pagination: true}}, list, "/list?2@1 /list?3@1 ! follow=3"},
		{"another kind", []follow.Rule{{Kinds: 1 << document.Image}}, list, "/i ! follow=5"},
		{"a kind besides", []follow.Rule{{}, {Kinds: 1 << document.Image}}, list, "/list?2 /list?3 /item/1 /item/2 /about /i"},
		{"nested", []follow.Rule{{CSS: "div"}}, "<div><a href=/a><div><a href=/b></div></div><a href=/c>", "/a /b ! follow=1"},
		{"link elements", []follow.Rule{{CSS: "link[rel=next]", Pagination: true}}, "<link rel=next href=/2><a href=/a>", "/2@1 ! follow=1"},
		{"base", []follow.Rule{{CSS: "p"}}, "<base href=/b/><p><a href=a>x</a></p><a href=c>", "/b/a ! follow=1"},
		{"nothing there", []follow.Rule{{CSS: ".none"}}, "<a href=/a>", "! follow=1"},
		{"rel nofollow", []follow.Rule{{CSS: "p"}}, "<p><a rel=nofollow href=/a></p>", "! nofollow=1"},
		{"out of scope", []follow.Rule{{CSS: "p"}}, "<p><a href=/private/a></p>", "! rule=1"},
		{"no tree", []follow.Rule{{CSS: "p"}}, strings.Repeat("<div>", 600) + "<a href=/a>", "/a"},
		{"no tree but other rules", []follow.Rule{{CSS: "p"}, {Links: pattern("*/a")}}, strings.Repeat("<div>", 600) + "<a href=/a><a href=/b>", "/a ! follow=1"},
		{"noscript", []follow.Rule{{CSS: "main"}}, "<main><noscript><a href=/a></a></noscript></main><a href=/b>", "/a ! follow=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules := make([]follow.Rule, len(c.rules))
			for i, r := range c.rules {
				rules[i] = everywhere(r)
			}
			set, err := follow.Compile(rules)
			if err != nil {
				t.Fatal(err)
			}
			cr := siteCrawl(t)
			cr.Follow, cr.Links.Priority = set, nil
			out := New().Parse(sitePage(t, c.html), cr, nil)
			for i := range out.Links.Outlinks {
				l := &out.Links.Outlinks[i]
				if l.Depth != 2 {
					l.URL += "@1"
				}
				if l.Priority != 0 {
					l.URL += "#-7"
				}
			}
			if got := show(out.Links); got != c.want {
				t.Errorf("links %q, want %q; warnings %q", got, c.want, out.Warnings)
			}
		})
	}
}

func TestFollowRulesAreExplained(t *testing.T) {
	t.Parallel()
	set, err := follow.Compile([]follow.Rule{{Path: "follow[0]", CSS: "p", MaxDepth: -1}, {Path: "follow[1]", CSS: "b", NoFollow: true, MaxDepth: -1}})
	if err != nil {
		t.Fatal(err)
	}
	c := siteCrawl(t)
	c.Follow, c.Links.Explain = set, true
	out := New().Parse(sitePage(t, "<p><a href=/a></a></p><b><a href=/b></a></b><a href=/c>"), c, nil)
	var got []string
	for _, f := range out.Links.Found {
		got = append(got, strings.TrimPrefix(f.URL, "https://site.example")+" "+string(f.Reason)+" "+f.Rule)
	}
	if s := strings.Join(got, ","); s != "/a  follow[0],/b follow follow[1],/c follow " {
		t.Errorf("links %q", s)
	}
}

func TestFollowRulesThatAreWrong(t *testing.T) {
	t.Parallel()
	_, err := follow.Compile([]follow.Rule{{Path: "follow[0]", CSS: "["}, {Path: "follow[1]", XPath: "//["}})
	if err == nil || !strings.Contains(err.Error(), "follow[0].css: ") || !strings.Contains(err.Error(), "follow[1].xpath: ") {
		t.Errorf("error %v", err)
	}
}
