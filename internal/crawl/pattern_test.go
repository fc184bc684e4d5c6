package crawl

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		match   []string
		miss    []string
	}{
		{"http://h/", []string{"http://h/"}, []string{"http://h/a", "http://h", ""}},
		{"*", []string{"", "http://h/"}, nil},
		{"**", []string{"", "http://h/"}, nil},
		{"*/p/*", []string{"http://h/p/", "http://h/a/p/b", "http://h/p/p/"}, []string{"http://h/p", "http://h/ap/"}},
		{"*/help/login-faq", []string{"http://h/help/login-faq"}, []string{"http://h/help/login-faq?x", "http://h/help/login-faq/"}},
		{"http://h/*", []string{"http://h/", "http://h/a/b?c"}, []string{"https://h/", "http://h"}},
		{"http*://h/*.html", []string{"http://h/a.html", "https://h/a/b.html"}, []string{"http://h/a.html?x"}},
		{"*?page=*", []string{"http://h/?page=2"}, []string{"http://h/page=2", "http://h/?xpage=2"}},
		{"*a*b*", []string{"ab", "xaxbx", "aab"}, []string{"ba", "a", "b"}},
		{"*a*a", []string{"aa", "axa"}, []string{"a", "aab"}},
		{"ab*ab", []string{"abab", "abxab"}, []string{"ab", "aba"}},
		{"a*b*a", []string{"aba", "axbxa"}, []string{"aa", "ba", "ab"}},
		{"*[1-9].+", []string{"x[1-9].+"}, []string{"x1a"}},
		{"*/Cart", []string{"http://h/Cart"}, []string{"http://h/cart"}},
		{"re:/cart|/login", []string{"http://h/cart/1", "http://h/x/login"}, []string{"http://h/car"}},
		{"re:^https://", []string{"https://h/"}, []string{"http://h/https://"}},
		{`re:\.(jpg|png)$`, []string{"http://h/a.jpg"}, []string{"http://h/a.jpg?x"}},
		{"re:(?i)CART", []string{"http://h/cart"}, []string{"http://h/"}},
		{"RE:x", []string{"RE:x"}, []string{"x"}},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			p, err := CompilePattern(tt.pattern)
			if err != nil {
				t.Fatalf("CompilePattern: %v", err)
			}
			if p.String() != tt.pattern {
				t.Errorf("String = %q", p)
			}
			for _, u := range tt.match {
				if !p.Match(u) {
					t.Errorf("does not match %q", u)
				}
			}
			for _, u := range tt.miss {
				if p.Match(u) {
					t.Errorf("matches %q", u)
				}
			}
		})
	}
}

func TestBadPatterns(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "re:", "re:(", "re:a{9999}", `re:(a)\1`, "re:(?=a)", strings.Repeat("a", maxPattern+1)} {
		if p, err := CompilePattern(s); !errors.Is(err, ErrPattern) || p != nil {
			t.Errorf("CompilePattern(%.20q) = %v, %v", s, p, err)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("*/p/*", "http://h/p/")
	f.Add("a*b*a", "aba")
	f.Add("**a**", "xax")
	f.Fuzz(func(t *testing.T, pattern, url string) {
		p, err := CompilePattern(pattern)
		if err != nil || strings.HasPrefix(pattern, "re:") {
			return
		}
		re, err := regexp.Compile(`\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[\s\S]*`) + `\z`)
		if err != nil {
			return
		}
		if got, want := p.Match(url), re.MatchString(url); got != want {
			t.Errorf("glob %q on %q: %v, want %v", pattern, url, got, want)
		}
	})
}
