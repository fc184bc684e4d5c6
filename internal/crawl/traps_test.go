package crawl

import (
	"slices"
	"strings"
	"testing"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"":       nil,
		"/":      nil,
		"/a":     {"a"},
		"/a/":    {"a"},
		"/a/b":   {"a", "b"},
		"/a//b":  {"a", "", "b"},
		"//a":    {"", "a"},
		"/a//":   {"a", ""},
		"/a/b/c": {"a", "b", "c"},
	} {
		if got := slices.Collect(Segments(path)); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
		for s := range Segments(path) {
			if s != want[0] {
				t.Errorf("%q: first segment %q", path, s)
			}
			break
		}
	}
}

func TestTraps(t *testing.T) {
	t.Parallel()
	again := func(s string, n int) string { return strings.Repeat(s, n) }
	tests := []struct {
		name     string
		path     string
		repeats  int
		segments int
		want     Reason
	}{
		{"no bounds", again("/a", 900), 0, 0, ReasonNone},
		{"root", "/", 3, 1, ReasonNone},

		{"segment four times", "/a/a/a/a", 3, 0, ReasonNone},
		{"segment five times", "/a/a/a/a/a", 3, 0, ReasonPathRepetition},
		{"segment five times, folder", "/a/a/a/a/a/", 3, 0, ReasonPathRepetition},
		{"segment five times inside", "/shop/a/a/a/a/a/b.html", 3, 0, ReasonPathRepetition},
		{"segment once more, bound of one", "/a/a", 1, 0, ReasonNone},
		{"segment twice more, bound of one", "/a/a/a", 1, 0, ReasonPathRepetition},
		{"pair four times", again("/a/b", 4), 3, 0, ReasonNone},
		{"pair five times less a segment", again("/a/b", 4) + "/a", 3, 0, ReasonNone},
		{"pair five times", again("/a/b", 5), 3, 0, ReasonPathRepetition},
		{"pair after others", "/x/y/z" + again("/a/b", 5) + "/c", 3, 0, ReasonPathRepetition},
		{"group of eight", again("/1/2/3/4/5/6/7/8", 5), 3, 0, ReasonPathRepetition},
		{"group of nine is not seen", again("/1/2/3/4/5/6/7/8/9", 9), 3, 0, ReasonNone},
		{"repetition ends and begins again", again("/a", 4) + "/b" + again("/a", 4), 3, 0, ReasonNone},
		{"case counts", "/a/A/a/A/a/a", 3, 0, ReasonNone},

		{"as many segments", "/a/b/c", 0, 3, ReasonNone},
		{"as many, folder", "/a/b/c/", 0, 3, ReasonNone},
		{"one segment more", "/a/b/c/d", 0, 3, ReasonPathDepth},
		{"empty segments count", "/a////b", 0, 3, ReasonPathDepth},
		{"both: depth is said", again("/a", 9), 3, 3, ReasonPathDepth},

		// What sites really make.
		{"relative link without a slash", "/en" + again("/products/index.php", 6), 3, 0, ReasonPathRepetition},
		{"rewrite rule that takes anything", again("/index.php/about", 7), 3, 0, ReasonPathRepetition},
		{"double slashes that grow", "/blog" + again("/", 6) + "post", 3, 0, ReasonPathRepetition},
		{"symbolic link to the folder above", "/src" + again("/current/releases", 5) + "/README", 3, 0, ReasonPathRepetition},
		{"language switch that appends", "/de/en/fr/de/en/fr/de/en/fr/de/en/fr/de/en/fr/", 3, 0, ReasonPathRepetition},

		// What must stay.
		{"date of ones", "/2011/11/11/11/11", 3, 0, ReasonNone},
		{"map tile", "/tiles/0/0/0/0.png", 3, 0, ReasonNone},
		{"octets", "/whois/1/1/1/1", 3, 0, ReasonNone},
		{"Java package", "/api/com/example/example/example/Example.html", 3, 0, ReasonNone},
		{"breadcrumb with one name on several levels", "/us/new-york/new-york/new-york/hotels", 3, 0, ReasonNone},
		{"git blame", "/torvalds/linux/blame/master/fs/ext4/fs/ext4/inode.c", 3, 0, ReasonNone},
		{"page about itself", "/wiki/Wiki/wiki", 3, 0, ReasonNone},
		{"archived page", "/web/20200101000000/https://example.org/a/b", 3, 0, ReasonNone},
		{"deep and different", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", 3, 0, ReasonNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := NewScope(ScopeConfig{
				Domains: []string{"*"}, MaxDepth: -1, PathRepeats: tt.repeats, PathSegments: tt.segments,
				Rules: rules(t, "+*/*", "-*/cart/*"),
			})
			if got := s.Judge(parse(t, "http://h"+tt.path+"?x=/a/a/a/a/a/a"), 0).Reason; got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
			}
		})
	}
}

// TestTrapsComeLast: a reason that a user gave says more than a trap.
func TestTrapsComeLast(t *testing.T) {
	t.Parallel()
	s := NewScope(ScopeConfig{Hosts: []string{"h"}, MaxDepth: 1, PathRepeats: 1, Rules: rules(t, "-*/cart/*")})
	u := "/a/a/a/cart/"
	for _, tt := range []struct {
		url   string
		depth int
		want  Reason
	}{
		{"http://other" + u, 0, ReasonHost}, {"http://h" + u, 2, ReasonDepth}, {"http://h" + u, 0, ReasonRule}, {"http://h/a/a/a/", 0, ReasonPathRepetition},
	} {
		if got := s.Judge(parse(t, tt.url), tt.depth); got.Accept || got.Reason != tt.want {
			t.Errorf("%s at depth %d: %+v, want %s", tt.url, tt.depth, got, tt.want)
		}
	}
}

// slowRepeats finds out by definition.
func slowRepeats(segments []string, most int) bool {
	for size := 1; size <= maxGroup; size++ {
		for i := range segments {
			n := 0
			for j := i + size; j+size <= len(segments) && slices.Equal(segments[j-size:j], segments[j:j+size]); j += size {
				n++
			}
			if n > most {
				return true
			}
		}
	}
	return false
}

func FuzzRepeats(f *testing.F) {
	for _, s := range []string{"/", "/a/a/a/a/a", "/a/b/a/b/a/b/a/b", "//////", "/a/b/c/a/b/c/a/b/c/d/d/d"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, path string, most int) {
		if most = most & 7; most == 0 || len(path) > 400 {
			return
		}
		if got, want := repeats(path, most), slowRepeats(slices.Collect(Segments(path)), most); got != want {
			t.Errorf("%q, %d: got %v, want %v", path, most, got, want)
		}
	})
}
