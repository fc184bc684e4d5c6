package robots

import (
	"regexp"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /a*b$\nAllow: /%61\nCrawl-delay: 1\nSitemap: http://h/s"), "a", "/a%20b?c")
	f.Add([]byte("\xef\xbb\xbfuser agent *\rdisallow /\r\n:\n"), "FooBot/1", "")
	f.Add([]byte("User-agent: foo\nUser-agent: *\nAllow: *$$\nDisallow: %"), "foo", "/%2")
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
		if again, _ := r.Agent(ProductToken(agent)).Allowed(path); again != allowed {
			t.Error("not the same answer twice")
		}
		if n := normalise(path, false); normalise(n, false) != n {
			t.Errorf("normalise(%q) = %q is not stable", path, n)
		}
		_ = r.Sitemaps()
	})
}

// FuzzMatch compares the matcher with a regular expression made of the pattern.
func FuzzMatch(f *testing.F) {
	f.Add("/a*b$", "/a/b")
	f.Add("/**.php", "/x.php?y")
	f.Add("*a*a$", "/xaxa")
	f.Add("$", "/")
	f.Fuzz(func(t *testing.T, value, target string) {
		p := compile(value)
		target = normalise(target, false)
		body, end := strings.CutSuffix(value, "$")
		body = normalise(body, true)
		expr := `\A` + strings.ReplaceAll(regexp.QuoteMeta(body), `\*`, `[\s\S]*`)
		if end {
			expr += `\z`
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		if got, want := p.match(target), re.MatchString(target); got != want {
			t.Errorf("pattern %q target %q: %v, want %v", value, target, got, want)
		}
	})
}
