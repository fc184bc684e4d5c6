package robots

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines joins lines of a robots.txt.
func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

type allowedCase struct {
	name   string
	robots string
	agent  string
	path   string
	want   bool
	line   int // number of the deciding line, 0 for none
}

func runAllowed(t *testing.T, tests []allowedCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, line := Parse([]byte(tt.robots)).Agent(tt.agent).Allowed(tt.path)
			if got != tt.want || line.Number != tt.line {
				t.Errorf("%q for %s of\n%s\n= %v by line %d (%s), want %v by line %d",
					tt.path, tt.agent, tt.robots, got, line.Number, line.Text, tt.want, tt.line)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	rfc := lines( // RFC 9309 §5.1
		"User-Agent: *",                // 1
		"Disallow: *.gif$",             // 2
		"Disallow: /example/",          // 3
		"Allow: /publications/",        // 4
		"",                             // 5
		"User-Agent: foobot",           // 6
		"Disallow:/",                   // 7
		"Allow:/example/page.html",     // 8
		"Allow:/example/allowed.gif",   // 9
		"",                             // 10
		"User-Agent: barbot",           // 11
		"User-Agent: bazbot",           // 12
		"Disallow: /example/page.html", // 13
		"",                             // 14
		"User-Agent: quxbot",           // 15
	)
	merged := lines("User-agent: a", "Disallow: /1", "User-agent: b", "Disallow: /2", "User-agent: a", "Disallow: /3")
	runAllowed(t, []allowedCase{
		{"rfc: star, gif", rfc, "other", "/x/y.gif", false, 2},
		{"rfc: star, gif with a query", rfc, "other", "/x/y.gif?z", true, 0},
		{"rfc: star, example", rfc, "other", "/example/x", false, 3},
		{"rfc: star, publications", rfc, "other", "/publications/x", true, 4},
		{"rfc: star, gif wins by nothing but length", rfc, "other", "/publications/x.gif", true, 4},
		{"rfc: foobot, root", rfc, "foobot", "/", false, 7},
		{"rfc: foobot, page", rfc, "foobot", "/example/page.html", true, 8},
		{"rfc: foobot, gif", rfc, "foobot", "/example/allowed.gif", true, 9},
		{"rfc: foobot, publications", rfc, "foobot", "/publications/", false, 7},
		{"rfc: barbot shares a group", rfc, "barbot", "/example/page.html", false, 13},
		{"rfc: bazbot shares a group", rfc, "bazbot", "/example/page.html", false, 13},
		{"rfc: bazbot elsewhere", rfc, "bazbot", "/example/", true, 0},
		{"rfc: quxbot has a group without rules", rfc, "quxbot", "/example/", true, 0},
		{"case of the agent", rfc, "FooBot", "/", false, 7},
		{"case of the line", "USER-AGENT: FOO\nDISALLOW: /\n", "foo", "/", false, 2},
		{"no prefix match", lines("User-agent: foo", "Disallow: /"), "foobot", "/", true, 0},
		{"no match by longer name", lines("User-agent: foobot", "Disallow: /"), "foo", "/", true, 0},
		{"no match by part", lines("User-agent: foobot-news", "Disallow: /"), "foobot", "/", true, 0},
		{"hyphens and underscores", lines("User-agent: foo-bot_x", "Disallow: /"), "Foo-Bot_X", "/", false, 2},
		{"digits", lines("User-agent: MJ12bot", "Disallow: /"), "mj12bot", "/", false, 2},
		{"digits make another name", lines("User-agent: foobot2", "Disallow: /"), "foobot", "/", true, 0},
		{"version after the token", lines("User-agent: foobot/1.2", "Disallow: /"), "foobot", "/", false, 2},
		{"words after the token", lines("User-agent: foobot images", "Disallow: /"), "foobot", "/", false, 2},
		{"star after the token", lines("User-agent: foobot*", "Disallow: /"), "foobot", "/", false, 2},
		{"star with words", lines("User-agent: * everybody", "Disallow: /"), "foobot", "/", false, 2},
		{"star glued to words is a name", lines("User-agent: *bot", "Disallow: /"), "foobot", "/", true, 0},
		{"merged groups, first", merged, "a", "/1", false, 2},
		{"merged groups, second", merged, "a", "/3", false, 6},
		{"merged groups, not mine", merged, "a", "/2", true, 0},
		{"merged star groups", lines("User-agent: *", "Disallow: /1", "User-agent: *", "Disallow: /2"), "x", "/2", false, 4},
		{"own group replaces star", lines("User-agent: *", "Disallow: /", "User-agent: a", "Disallow: /x"), "a", "/y", true, 0},
		{"star behind own group", lines("User-agent: a", "Disallow: /x", "User-agent: *", "Disallow: /"), "a", "/y", true, 0},
		{"own group with empty disallow", lines("User-agent: *", "Disallow: /", "User-agent: a", "Disallow:"), "a", "/y", true, 0},
		{"star and own name in one group", lines("User-agent: *", "User-agent: a", "Disallow: /"), "a", "/y", false, 3},
		{"blank lines do not end a group", lines("User-agent: a", "", "", "Disallow: /x", "", "Disallow: /y"), "a", "/y", false, 6},
		{"blank lines between agents", lines("User-agent: a", "", "User-agent: b", "Disallow: /"), "a", "/y", false, 4},
		{"sitemap does not end a group", lines("User-agent: a", "Sitemap: http://h/s", "User-agent: b", "Disallow: /"), "a", "/", false, 4},
		{"sitemap among rules", lines("User-agent: a", "Disallow: /x", "Sitemap: http://h/s", "Disallow: /y"), "a", "/y", false, 4},
		{"unknown line does not end a group", lines("User-agent: a", "Host: h", "User-agent: b", "Disallow: /"), "a", "/", false, 4},
		{"crawl-delay does not end a group", lines("User-agent: a", "Crawl-delay: 5", "User-agent: b", "Disallow: /"), "a", "/", false, 4},
		{"empty disallow ends a group", lines("User-agent: a", "Disallow:", "User-agent: b", "Disallow: /"), "a", "/", true, 0},
		{"rules before any agent", lines("Disallow: /", "Allow: /x", "User-agent: *", "Disallow: /y"), "a", "/z", true, 0},
		{"rules before any agent do no harm", lines("Allow: /y", "User-agent: *", "Disallow: /y"), "a", "/y", false, 3},
		{"agent without a name", lines("User-agent:", "Disallow: /"), "a", "/", true, 0},
		{"crawler without a name", lines("User-agent:", "Disallow: /x", "User-agent: *", "Disallow: /y"), "", "/y", false, 4},
		{"empty file", "", "a", "/", true, 0},
		{"html", "<!DOCTYPE html>\n<html><body>Disallow: /</body></html>", "a", "/", true, 0},
	})
}

func TestLines(t *testing.T) {
	t.Parallel()
	runAllowed(t, []allowedCase{
		{"cr", "User-agent: *\rDisallow: /x\r", "a", "/x", false, 2},
		{"crlf", "User-agent: *\r\nDisallow: /x\r\n", "a", "/x", false, 2},
		{"mixed ends", "User-agent: *\r\n\rDisallow: /x\n\r\nDisallow: /y", "a", "/y", false, 5},
		{"no end", "User-agent: *\nDisallow: /x", "a", "/x", false, 2},
		{"bom", "\xef\xbb\xbfUser-agent: *\nDisallow: /x", "a", "/x", false, 2},
		{"half a bom", "\xef\xbbUser-agent: *\nDisallow: /x", "a", "/x", false, 2},
		{"broken bom loses its line", "\xef\x11\xbb\xbfUser-agent: *\nDisallow: /x", "a", "/x", true, 0},
		{"comment line", lines("# User-agent: b", "User-agent: *", "# Disallow: /x", "Disallow: /y"), "a", "/x", true, 0},
		{"comment behind", lines("User-agent: * # all", "Disallow: /x # why"), "a", "/x", false, 2},
		{"comment glued", lines("User-agent: *#all", "Disallow: /x#why"), "a", "/xy", false, 2},
		{"comment instead of a value", lines("User-agent: *", "Disallow: # /x"), "a", "/x", true, 0},
		{"space around", "  User-agent :  *  \n\t Disallow\t:\t/x\t \n", "a", "/x", false, 2},
		{"no space", "user-agent:*\ndisallow:/x", "a", "/x", false, 2},
		{"no colon", "user-agent *\ndisallow /x", "a", "/x", false, 2},
		{"no colon and three words", "user-agent *\ndisallow /x /y", "a", "/x", true, 0},
		{"no key", lines("User-agent: *", ": /x"), "a", "/x", true, 0},
		{"key alone", lines("User-agent: *", "Disallow"), "a", "/", true, 0},
		{"space in the value", lines("User-agent: *", "Disallow: /x y"), "a", "/x%20y", false, 2},
		{"colon in the value", lines("User-agent: *", "Disallow: /x:y"), "a", "/x:y", false, 2},
		{"misspelt: dissallow", lines("User-agent: *", "Dissallow: /"), "a", "/", false, 2},
		{"misspelt: dissalow", lines("User-agent: *", "Dissalow: /"), "a", "/", false, 2},
		{"misspelt: disalow", lines("User-agent: *", "Disalow: /"), "a", "/", false, 2},
		{"misspelt: diasllow", lines("User-agent: *", "Diasllow: /"), "a", "/", false, 2},
		{"misspelt: disallaw", lines("User-agent: *", "Disallaw: /"), "a", "/", false, 2},
		{"misspelt: useragent", lines("Useragent: *", "Disallow: /"), "a", "/", false, 2},
		{"misspelt: user agent", lines("User agent: *", "Disallow: /"), "a", "/", false, 2},
		{"not guessed: disallows", lines("User-agent: *", "Disallows: /"), "a", "/", true, 0},
		{"nul bytes", "User-agent: *\n\x00Disallow: /x\x00\n", "a", "/x", false, 2},
		{"not utf-8", "User-agent: *\nDisallow: /\xff\n", "a", "/%FF", false, 2},
	})
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	rules := func(l ...string) string { return lines(append([]string{"User-agent: *"}, l...)...) }
	runAllowed(t, []allowedCase{
		{"longest wins: allow", rules("Allow: /p", "Disallow: /"), "a", "/page", true, 2},
		{"longest wins: disallow", rules("Allow: /", "Disallow: /p"), "a", "/page", false, 3},
		{"order does not matter", rules("Disallow: /", "Allow: /p"), "a", "/page", true, 3},
		{"tie: allow wins", rules("Disallow: /folder", "Allow: /folder"), "a", "/folder/page", true, 3},
		{"tie: allow wins when first", rules("Allow: /folder", "Disallow: /folder"), "a", "/folder/page", true, 2},
		{"star counts as an octet: allow", rules("Allow: /page", "Disallow: /*.htm"), "a", "/page.htm", false, 3},
		{"tie of star and letters", rules("Allow: /page", "Disallow: /*.ph"), "a", "/page.php5", true, 2},
		{"dollar counts as an octet", rules("Allow: /$", "Disallow: /"), "a", "/", true, 2},
		{"dollar does not match more", rules("Allow: /$", "Disallow: /"), "a", "/page.htm", false, 3},
		{"literal beats a short wildcard", rules("Disallow: /*/b", "Allow: /a/b/c"), "a", "/a/b/c", true, 3},
		{"long wildcard beats a literal", rules("Disallow: /a*********b", "Allow: /a/b/c"), "a", "/a/b/c", false, 2},
		{"first of equal lines is named", rules("Disallow: /x", "Disallow: /x"), "a", "/x", false, 2},
		{"across merged groups", rules("Allow: /x/y", "User-agent: *", "Disallow: /x"), "a", "/x/y", true, 2},
		{"empty allow is no rule", rules("Disallow: /", "Allow:"), "a", "/", false, 2},
		{"empty disallow is no rule", rules("Disallow:"), "a", "/", true, 0},
		{"robots.txt itself", rules("Disallow: /"), "a", "/robots.txt", true, 0},
		{"robots.txt with a query is another", rules("Disallow: /"), "a", "/robots.txt?x", false, 2},
		{"empty path is the root", rules("Disallow: /$"), "a", "", false, 2},
		{"query without a path", rules("Disallow: /?x"), "a", "?x=1", false, 2},
		{"fragment is ignored", rules("Disallow: /x$"), "a", "/x#y", false, 2},
		{"no rule matches", rules("Disallow: /x"), "a", "/y", true, 0},
	})
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		match   []string
		miss    []string
	}{
		// The table of Google's documentation.
		{"/", []string{"/", "/fish", "/?x"}, nil},
		{"/*", []string{"/", "/fish"}, nil},
		{"/$", []string{"/"}, []string{"/fish", "/?x"}},
		{"/fish", []string{"/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fishheads/yummy.html", "/fish.php?id=anything"},
			[]string{"/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"}},
		{"/fish*", []string{"/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fish.php?id=x"}, []string{"/Fish.asp", "/catfish", "/?id=fish"}},
		{"/fish/", []string{"/fish/", "/fish/?id=x", "/fish/salmon.htm"}, []string{"/fish", "/fish.html", "/animals/fish/", "/Fish/Salmon.asp"}},
		{"/*.php", []string{"/index.php", "/filename.php", "/folder/filename.php?p", "/folder/any.php.file.html", "/filename.php/"}, []string{"/", "/windows.PHP"}},
		{"/*.php$", []string{"/filename.php", "/folder/filename.php"}, []string{"/filename.php?p", "/filename.php/", "/filename.php5", "/windows.PHP"}},
		{"/fish*.php", []string{"/fish.php", "/fishheads/catfish.php?p"}, []string{"/Fish.PHP", "/catfish.php"}},
		// Wildcards.
		{"/*?", []string{"/a?", "/a?b", "/?"}, []string{"/a"}},
		{"/a*b*c", []string{"/abc", "/aXbXcX", "/abbc", "/a/b/c/d"}, []string{"/acb", "/ab", "/bc"}},
		{"/a*b$", []string{"/ab", "/abb", "/aXbYb"}, []string{"/a", "/aba"}},
		{"/**a**", []string{"/a", "/xa", "/xax"}, []string{"/", "/x"}},
		{"*", []string{"/", "/x"}, nil},
		{"*.gif", []string{"/x.gif", "/.gif?x"}, []string{"/gif"}},
		{"*a*a$", []string{"/aa", "/xaxa"}, []string{"/a", "/ab"}},
		{"/a*$", []string{"/a", "/ab"}, []string{"/b"}},
		{"$", nil, []string{"/", "/x", "/$"}},
		{"/a$b", []string{"/a$b", "/a$bc"}, []string{"/a", "/ab"}},
		{"/a$$", []string{"/a$"}, []string{"/a", "/a$$"}},
		{"/x*y*y*y$", []string{"/xyyy", "/x-y-y-y"}, []string{"/xyy", "/xyyyz"}},
		{"/aa*aa", []string{"/aaaa", "/aaxaa"}, []string{"/aaa"}},
		{"fish", nil, []string{"/fish", "/"}}, // has no slash in front and matches nothing
		// Spellings (RFC 9309 §2.2.2).
		{"/foo/bar?baz=quz", []string{"/foo/bar?baz=quz"}, []string{"/foo/bar"}},
		{"/foo/bar?baz=https://foo.bar", []string{"/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https://foo.bar"}, []string{"/foo/bar?baz="}},
		{"/foo/bar?baz=https%3a%2f%2ffoo.bar", []string{"/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https://foo.bar"}, nil},
		{"/foo/bar/ツ", []string{"/foo/bar/%E3%83%84", "/foo/bar/ツ", "/foo/bar/%e3%83%84"}, []string{"/foo/bar/"}},
		{"/foo/bar/%E3%83%84", []string{"/foo/bar/%E3%83%84", "/foo/bar/ツ"}, []string{"/foo/bar/"}},
		{"/foo/bar/%e3%83%84", []string{"/foo/bar/%E3%83%84", "/foo/bar/ツ"}, nil},
		{"/foo/bar/%62%61%7A", []string{"/foo/bar/baz", "/foo/bar/%62%61%7A"}, []string{"/foo/bar/ba"}},
		{"/foo/bar/baz", []string{"/foo/bar/baz", "/foo/bar/%62%61%7A"}, nil},
		{"/%7Ejoe", []string{"/~joe", "/%7ejoe"}, nil},
		{"/a%3cd.html", []string{"/a%3Cd.html", "/a%3cd.html", "/a<d.html"}, []string{"/acd.html"}},
		{"/a%2fb.html", []string{"/a%2Fb.html", "/a%2fb.html"}, []string{"/a/b.html"}},
		{"/a/b.html", []string{"/a/b.html"}, []string{"/a%2fb.html"}},
		{"/100%", []string{"/100%", "/100%x"}, []string{"/100"}},
		{"/a%zz", []string{"/a%zz"}, []string{"/azz"}},
		{"/path/file-with-a-%2A.html", []string{"/path/file-with-a-*.html", "/path/file-with-a-%2a.html"}, []string{"/path/file-with-a-x.html"}},
		{"/path/foo-%24", []string{"/path/foo-$", "/path/foo-%24", "/path/foo-$x"}, []string{"/path/foo-"}},
		{"/{a}|b^c`", []string{"/%7Ba%7D|b^c%60", "/{a}|b^c`"}, []string{"/a"}},
		{"/?q='x'", []string{"/?q=%27x%27", "/?q='x'"}, nil},
		{"/?a[]=1", []string{"/?a[]=1", "/?a%5B%5D=1"}, nil},
		{"/*/print", []string{"/a/print", "/a?b=/print", "/a?b=%2Fprint"}, []string{"/print"}},
		{"/\xff", []string{"/%FF", "/\xff"}, []string{"/"}},
	}
	for _, tt := range tests {
		g := Parse([]byte(lines("User-agent: *", "Disallow: "+tt.pattern))).Agent("a")
		check := func(path string, want bool) {
			t.Run(tt.pattern+" "+path, func(t *testing.T) {
				t.Parallel()
				if allowed, _ := g.Allowed(path); allowed == want {
					t.Errorf("pattern %q matches %q: %v, want %v", tt.pattern, path, !allowed, want)
				}
			})
		}
		for _, path := range tt.match {
			check(path, true)
		}
		for _, path := range tt.miss {
			check(path, false)
		}
	}
}

func TestDecidingLine(t *testing.T) {
	t.Parallel()
	_, got := Parse([]byte("User-agent: *\n\n  Disallow : /x/*.html   # reasons\n")).Agent("a").Allowed("/x/y.html")
	if diff := cmp.Diff(Line{Number: 3, Text: "Disallow : /x/*.html"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSitemaps(t *testing.T) {
	t.Parallel()
	r := Parse([]byte(lines("SITEMAP: https://h/a.xml", "User-agent: a", "sitemap:http://h:8080/b.xml # two", "Disallow: /", "Site-map: /c.xml", "Sitemap:")))
	want := []string{"https://h/a.xml", "http://h:8080/b.xml", "/c.xml"}
	if diff := cmp.Diff(want, r.Sitemaps()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ok, _ := r.Agent("a").Allowed("/"); ok {
		t.Error("the group of the sitemap lost its rule")
	}
}

func TestCrawlDelay(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"10": 10 * time.Second, "0.5": 500 * time.Millisecond, "1,5": 1500 * time.Millisecond, "2s": 2 * time.Second, " 3 # c": 3 * time.Second,
		"0": 0, "1e3": 1000 * time.Second, "1e300": maxDelay, "inf": maxDelay,
		"-1": -1, "": -1, "x": -1, "nan": -1, "5 seconds": -1, "1.2.3": -1,
	} {
		got, ok := Parse([]byte(lines("User-agent: *", "Crawl-delay: "+value, "Disallow: /x"))).Agent("a").CrawlDelay()
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("crawl-delay %q = %v, %v, want %v", value, got, ok, want)
		}
	}
	body := lines("Crawl-delay: 99", "User-agent: a", "Crawl-delay: 2", "Disallow: /x", "User-agent: b", "Disallow:", "User-agent: *", "Crawl-delay: 7",
		"Disallow:", "User-agent: a", "crawl-delay: 4", "crawl-delay: 3")
	for agent, want := range map[string]time.Duration{"a": 4 * time.Second, "b": -1, "c": 7 * time.Second} {
		got, ok := Parse([]byte(body)).Agent(agent).CrawlDelay()
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("agent %s: %v, %v, want %v", agent, got, ok, want)
		}
	}
}

func TestProductToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ShopBot/1.0 (+https://shop.example/bot)": "ShopBot",
		"ShopBot":                  "ShopBot",
		" shop-bot_2/1":            "shop-bot_2",
		"Weir (compatible; X)":     "Weir",
		"":                         "",
		"(none)":                   "",
		"Mozilla/5.0":              "Mozilla",
		"Mozilla/5.0 (X11; Linux)": "Mozilla",
		"Mozilla/5.0 (compatible; ExampleBot/0.1; +https://www.example.com/bot.html)":                                     "ExampleBot",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://x) Chrome/1 Safari/537.36": "Googlebot",
		"Mozilla/5.0 (compatible;)":    "Mozilla",
		"mozilla/4.0 (COMPATIBLE;Bot)": "Bot",
	} {
		if got := ProductToken(in); got != want {
			t.Errorf("ProductToken(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAllowAllAndDenyAll(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/x?y", ""} {
		if ok, line := AllowAll().Agent("a").Allowed(path); !ok || line != (Line{}) {
			t.Errorf("AllowAll: %q = %v by %v", path, ok, line)
		}
		if ok, line := DenyAll().Agent("a").Allowed(path); ok || line != (Line{}) {
			t.Errorf("DenyAll: %q = %v by %v", path, ok, line)
		}
	}
	if ok, _ := DenyAll().Agent("a").Allowed("/robots.txt"); !ok {
		t.Error("DenyAll denies robots.txt")
	}
}

func TestSizeLimit(t *testing.T) {
	t.Parallel()
	head := "User-agent: *\nDisallow: /first\n"
	fill := func(n int) string { return "#" + strings.Repeat("x", n-2) + "\n" }
	tests := []struct {
		name, body, path string
		want             bool
	}{
		{"rule inside", head + fill(MaxSize-len(head)-len("Disallow: /in\n")) + "Disallow: /in\n", "/in", false},
		{"rule beyond", head + fill(MaxSize-len(head)) + "Disallow: /out\n", "/out", true},
		{"rule cut in two is dropped", head + fill(MaxSize-len(head)-len("Disallow: /o")) + "Disallow: /out\n", "/o", true},
		{"rule ends at the limit", head + fill(MaxSize-len(head)-len("Disallow: /in")) + "Disallow: /in\nmore", "/in", false},
		{"what is before still holds", head + fill(2*MaxSize), "/first", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := Parse([]byte(tt.body)).Agent("a").Allowed(tt.path); got != tt.want {
				t.Errorf("%q allowed: %v, want %v", tt.path, got, tt.want)
			}
		})
	}
}

// TestHostilePatternsEnd matches the longest patterns against long URLs. A matcher
// that takes more than linear time for each, let alone one that backtracks, would not
// end in the lifetime of the machine, so there is nothing to measure.
func TestHostilePatternsEnd(t *testing.T) {
	t.Parallel()
	const room = MaxSize - 100
	for name, tt := range map[string]struct{ pattern, target string }{
		"a star after each letter":  {"/" + strings.Repeat("a*", room/2) + "b$", strings.Repeat("a", 1<<20)},
		"a star before each letter": {"/" + strings.Repeat("*a", room/2) + "*b", strings.Repeat("a", 1<<20)},
		"stars alone":               {"/" + strings.Repeat("*", room) + "b", strings.Repeat("a", 1<<20)},
		"a long part nearly there":  {"*" + strings.Repeat("a", room/2) + "b", strings.Repeat(strings.Repeat("a", room/2)+"c", 4)},
		"many parts nearly there":   {"*" + strings.Repeat("ab*", room/3) + "x$", strings.Repeat("ab", 1<<19)},
		"parts that repeat":         {strings.Repeat("*aab", room/4) + "*c", strings.Repeat("aaab", 1<<18)},
		"escapes that nearly match": {"*" + strings.Repeat("%e3%83%84*", room/10) + "x", strings.Repeat("ツ", 1<<18)},
		"escapes to decode":         {"/" + strings.Repeat("%61*", room/4) + "b", strings.Repeat("%61", 1<<18)},
		"marks in the query":        {"/?" + strings.Repeat("%2F*?", room/5) + "x", "?" + strings.Repeat("/?", 1<<19)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if ok, _ := Parse([]byte(all("Disallow: " + tt.pattern))).Agent("x").Allowed("/" + tt.target); !ok {
				t.Error("matched what it does not")
			}
		})
	}
	t.Run("many rules", func(t *testing.T) {
		t.Parallel()
		rules := strings.Repeat("Disallow: *"+strings.Repeat("a*", 20)+"b$\n", room/55)
		if ok, _ := Parse([]byte("User-agent: *\n" + rules)).Agent("x").Allowed("/" + strings.Repeat("a", 8192)); !ok {
			t.Error("matched what it does not")
		}
	})
}

func BenchmarkAllowed(b *testing.B) {
	var body strings.Builder
	body.WriteString("User-agent: *\n")
	for i := range 100 {
		fmt.Fprintf(&body, "Disallow: /private-%d/\nDisallow: /*?sort-%d=\n", i, i)
	}
	g := Parse([]byte(body.String())).Agent("weir")
	b.ReportAllocs()
	for b.Loop() {
		g.Allowed("/catalogue/category-1/page.html?x=1&y=2")
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(strings.Repeat("User-agent: a\nDisallow: /x/*.html # c\nAllow: /y\n\n", 100))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		Parse(body).Agent("a")
	}
}
