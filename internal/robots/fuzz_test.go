package robots

import (
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /a*b$\nAllow: /%61\nCrawl-delay: 1\nSitemap: http://h/s"), "a", "/a%20b?c")
	f.Add([]byte("\xef\xbb\xbfuser agent *\rdisallow /\r\n:\n"), "FooBot/1", "")
	f.Add([]byte("User-agent: foo\nUser-agent: *\nAllow: *$$\nDisallow: %"), "foo", "/%2")
	f.Add([]byte("Disallow: /\nuser-agent: a/1 # x\r\n\r\nDisalow: /\xe3\x83\x84\nuser-agent: A\nallow:*"), "A", "/%e3%83%84?q=%2F")
	f.Add([]byte("<!doctype html>\n<p>User-agent: *</p>\x00"), "Mozilla/5.0 (compatible; b)", "?")
	f.Fuzz(func(t *testing.T, body []byte, agent, path string) {
		r := Parse(body)
		g := r.Agent(ProductToken(agent))
		allowed, line := g.Allowed(path)
		if !allowed && line.Number == 0 {
			t.Error("disallowed by no line")
		}
		if line.Number > 0 && !strings.Contains(string(body), line.Text) {
			t.Errorf("line %d %q is not in the file", line.Number, line.Text)
		}
		if d, ok := g.CrawlDelay(); d < 0 || d > maxDelay || !ok && d != 0 {
			t.Errorf("crawl-delay %v, %v", d, ok)
		}
		if again, l := Parse(Head(body)).Agent(ProductToken(agent)).Allowed(path); again != allowed || l != line {
			t.Error("not the same answer twice")
		}
		// A percent sign that begins no escape stays as it is, and may begin one when
		// what follows it has been decoded.
		if n := normalise(path, false); normalise(n, false) != n && !lonePercent(path) {
			t.Errorf("normalise(%q) = %q is not stable", path, n)
		}
		_ = r.Sitemaps()
	})
}

// lonePercent reports whether a percent sign of s begins no escape.
func lonePercent(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return true
		}
		i += 2
	}
	return false
}

// FuzzMatch compares one rule with the reference.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"/a*b$", "/a/b"}, {"/**.php", "/x.php?y"}, {"*a*a$", "/xaxa"}, {"$", "/"}, {"/%2a*%2A", "/**"}, {"/a$$", "/a$"}, {"/*aba*ab$", "/abab"},
		{"/?a=%2F", "/?a=/"}, {"/%3f/%2F", "/%3F//"}, {"/ツ", "/%e3%83%84"}, {"%", "/%"}, {"/%4%41", "/%4A"}, {strings.Repeat("*a", 50) + "b", "/" + strings.Repeat("a", 99)},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, value, target string) {
		if len(value)*len(target) > 1<<16 {
			return // too much for the reference
		}
		p := compile(value)
		if got, want := p.match(normalise(target, false)), referenceMatch(value, target); got != want {
			t.Errorf("pattern %q target %q: %v, the reference says %v", value, target, got, want)
		}
	})
}

// FuzzAllowed compares the verdict of many rules with the reference. Each line of
// rules is one: + allows, everything else disallows.
func FuzzAllowed(f *testing.F) {
	f.Add("+/p\n-/", "/page")
	f.Add("+/page\n-/*.htm", "/page.htm")
	f.Add("-/a\n+/%61\n-/a$\n+*", "/a")
	f.Add("-/ツ\n+/%e3*84$", "/ツ?x=%2F")
	f.Add("+/$\n-/", "")
	f.Fuzz(func(t *testing.T, rules, path string) {
		var text strings.Builder
		text.WriteString("User-agent: *\n")
		var known []referenceRule
		for rule := range strings.SplitSeq(rules, "\n") {
			if rule == "" {
				continue
			}
			value := trim(rule[1:])
			if strings.ContainsAny(value, "\r#") {
				return // the file's syntax, not the matcher's
			}
			field := "Disallow: "
			if rule[0] == '+' {
				field = "Allow: "
			}
			text.WriteString(field + value + "\n")
			known = append(known, referenceRule{rule[0] == '+', value})
		}
		if len(rules)*len(path) > 1<<16 || strings.Contains(path, "#") {
			return
		}
		got, line := Parse([]byte(text.String())).Agent("a").Allowed(path)
		if want := referenceAllowed(known, path); got != want {
			t.Errorf("%q by\n%s= %v (%s), the reference says %v", path, text.String(), got, line.Text, want)
		}
	})
}
