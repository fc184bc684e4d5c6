package crawl

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/weburl"
)

func TestShape(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("segment-of-a-path/", 100)
	tests := []struct{ name, in, want string }{
		{"root", "/", "/"},
		{"words", "/about/team.html", "/about/team.html"},
		{"number", "/item/8812", "/item/#"},
		{"number in a name", "/item-8812.html", "/item-#.html"},
		{"number beside letters", "/page2", "/page#"},
		{"several numbers", "/v1/a2b/3", "/v#/a#b/#"},
		{"date", "/2024/05/17/some-title", "/#/#/#/some-title"},
		{"date with dashes", "/cal/2024-05-17", "/cal/#-#-#"},
		{"date without anything", "/cal/20240517", "/cal/#"},
		{"time", "/at/2024-05-17T10:30:00Z", "/at/#-#-#T#:#:#Z"},
		{"UUID", "/o/123e4567-e89b-12d3-a456-426614174000/x", "/o/#/x"},
		{"UUID in capitals", "/o/123E4567-E89B-12D3-A456-426614174000", "/o/#"},
		{"longer than a UUID", "/o/123e4567-e89b-12d3-a456-4266141740000", "/o/#-e#b-#d#-a#-#"},
		{"UUID of letters", "/abcdefab-abcd-abcd-abcd-abcdefabcdef", "/#"},
		{"hexadecimal id", "/c/9f8e7d6c", "/c/#"},
		{"digest", "/c/da39a3ee5e6b4b0d3255bfef95601890afd80709.js", "/c/#.js"},
		{"word of hexadecimal letters", "/deadbeef/facade", "/deadbeef/facade"},
		{"short id with both cases", "/watch/dQw4w9WgXcQ", "/watch/#"},
		{"session id", "/s/8mq2kd93jx0plz77/cart", "/s/#/cart"},
		{"session id in a matrix parameter", "/cart;jsessionid=1A530637289A03B07199A44E8D531427", "/cart;jsessionid=#"},
		{"long token of letters", "/t/" + strings.Repeat("aZ", 20), "/t/#"},
		{"long word", "/rechtsschutzversicherungsgesellschaften", "/rechtsschutzversicherungsgesellschaften"},
		{"class name", "/api/AbstractSingletonProxyFactoryBean.html", "/api/AbstractSingletonProxyFactoryBean.html"},
		{"short product code", "/p/x200", "/p/x#"},
		{"escape is a letter", "/caf%C3%A9/%D0%BC12", "/caf%C3%A9/%D0%BC#"},
		{"list", "/filter/12,15,18/x", "/filter/#/x"},
		{"list of one", "/filter/12/x", "/filter/#/x"},
		{"comma at the end", "/f/12,", "/f/#,"},
		{"list in the next segment", "/f/1,/2", "/f/#,/#"},
		{"query", "/s?q=shoes&page=3", "/s?q&page"},
		{"order of the query", "/s?page=3&q=shoes", "/s?page&q"},
		{"query without values", "/s?a&b=", "/s?a&b"},
		{"names with numbers", "/s?f%5B1%5D=2&f%5B2%5D=3&x12=1", "/s?f%5B#%5D&x#"},
		{"repeated name", "/s?size=4&size=5&colour=red&colour=blue&size=6", "/s?size&colour&size"},
		{"number as a query", "/s?1716372", "/s?#"},
		{"empty query", "/s?", "/s"},
		{"empty parameters", "/s?&&a", "/s?&a"},
		{"URL in the query", "/login?next=/a/b?c=1", "/login?next"},
		{"very long", "/" + long, "/" + long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := parse(t, "https://h.example"+tt.in)
			if got := string(AppendShape([]byte("x"), u)); got != "x"+tt.want {
				t.Errorf("%s: got %s, want %s", tt.in, got[1:], tt.want)
			}
		})
	}
}

// TestShapesOfTraps: endless spaces have few shapes, and sites have many.
func TestShapesOfTraps(t *testing.T) {
	t.Parallel()
	count := func(format string, args func(i int) []any) int {
		ids := map[uint64]bool{}
		for i := range 1000 {
			ids[ShapeID(parse(t, "http://h/"+fmt.Sprintf(format, args(i)...)))] = true
		}
		return len(ids)
	}
	words := []string{"red", "shoe", "blue", "hat", "old", "book", "big", "lamp"}
	tests := []struct {
		name   string
		format string
		args   func(i int) []any
		want   int
	}{
		{"calendar by path", "cal/%d/%02d/%02d", func(i int) []any { return []any{1970 + i, i % 12, i % 31} }, 1},
		{"calendar by query", "cal?month=%d&year=%d", func(i int) []any { return []any{i % 12, i} }, 1},
		{"hexadecimal session", "s%032x/cart", func(i int) []any { return []any{i * 7919} }, 1},
		{"facets by values", "shop?colour=%d&size=%d&sort=%d", func(i int) []any { return []any{i % 9, i % 7, i} }, 1},
		{"slugs", "blog/%s-%s-%s", func(i int) []any { return []any{words[i%8], words[i/8%8], words[i/64%8]} }, 512},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := count(tt.format, tt.args); got != tt.want {
				t.Errorf("%d shapes, want %d", got, tt.want)
			}
		})
	}
}

// TestShapeIDStays: budgets are kept under it, across processes and versions.
func TestShapeIDStays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]uint64{
		"http://a.example/item/8812?x=1":  0x157b8a64960115f2,
		"https://b.example:8080/item/1?x": 0x157b8a64960115f2,
		"http://a.example/":               0x7dccfb1b98bcfa2d,
	} {
		if got := ShapeID(parse(t, in)); got != want {
			t.Errorf("%s: got %#x, want %#x", in, got, want)
		}
	}
}

func TestShapeIDAllocatesNothing(t *testing.T) {
	s := NewScope(ScopeConfig{Domains: []string{"*"}, MaxDepth: -1, PathRepeats: 3, PathSegments: 20})
	u := parse(t, "http://shop.example/a/b/c/d/e/f/2024/05/17/123e4567-e89b-12d3-a456-426614174000.html?x=1&y=2")
	if n := testing.AllocsPerRun(100, func() { ShapeID(u); s.Judge(u, 1) }); n > 0 {
		t.Errorf("allocates %v times", n)
	}
}

func FuzzShape(f *testing.F) {
	for _, s := range []string{"/", "/a/1,2,3?x=1&x=2", "/123e4567-e89b-12d3-a456-426614174000", "/%C3%A9%", "/?&=&#"} {
		f.Add(s)
	}
	canon := weburl.New(weburl.Options{})
	f.Fuzz(func(t *testing.T, in string) {
		u, err := canon.Parse("http://h/" + in)
		if err != nil {
			return
		}
		shape := AppendShape(nil, u)
		if len(shape) > len(u.PathQuery()) {
			t.Errorf("%s: shape %s is longer", u, shape)
		}
		path, _, _ := strings.Cut(string(shape), "?")
		for i := range len(path) {
			if isDigit(path[i]) && (i == 0 || path[i-1] != '%') && (i < 2 || path[i-2] != '%') {
				t.Errorf("%s: a number is left in %s", u, shape)
			}
		}
		s := NewScope(ScopeConfig{Domains: []string{"*"}, MaxDepth: -1, PathRepeats: 3})
		s.Judge(u, 0)
	})
}

func BenchmarkShapeID(b *testing.B) {
	u := parse(b, "http://www.shop.example/catalogue/category-1/item-8812.html?ref=home&page=2")
	b.ReportAllocs()
	for b.Loop() {
		ShapeID(u)
	}
}
