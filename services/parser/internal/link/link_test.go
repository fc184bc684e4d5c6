package link

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/document"
)

// TestSetAgreesWithMap: the set is a map of strings, page after page.
func TestSetAgreesWithMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var s set
	for page := range 200 {
		n := r.IntN(300)
		if page == 50 {
			n = 40_000 // a table that is not kept
		}
		s.reset(n)
		want := map[string]bool{}
		for range n {
			v := fmt.Sprint(r.IntN(n))
			if got := s.add(v); got == want[v] {
				t.Fatalf("page %d: add(%q) = %v", page, v, got)
			}
			want[v] = true
		}
		if page > 50 && len(s.slots) > maxKept {
			t.Fatalf("page %d: a table of %d slots was kept", page, len(s.slots))
		}
	}
}

func TestSetSurvivesItsEpochs(t *testing.T) {
	t.Parallel()
	var s set
	s.reset(1)
	s.add("a")
	s.epoch = ^uint32(0)
	s.reset(1)
	if !s.add("a") || s.add("a") {
		t.Error("the set is wrong after its epochs began again")
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	plain := weburl.New(weburl.Options{})
	page, err := plain.Parse("https://site.example/dir/page?q")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ href, want string }{
		{"", "https://site.example/dir/page?q"}, {"/b/", "https://site.example/b/"}, {"../c", "https://site.example/c"},
		{"javascript:x", "https://site.example/dir/page?q"}, {"http://[", "https://site.example/dir/page?q"}, {"//other.example/", "https://other.example/"},
	} {
		if got := BaseURL(plain, page, c.href); got != c.want {
			t.Errorf("BaseURL(%q) = %s, want %s", c.href, got, c.want)
		}
	}
}

func FuzzLinkHeader(f *testing.F) {
	for _, s := range []string{`</a>; rel=next, <b>;rel="prev"`, `<`, `<>;rel="`, `</a>;rel="\`, `</a>;;,=`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, r := range FromHeader(nil, value, document.All) {
			if !strings.Contains(value, r.Target) {
				t.Errorf("target %q is not in %q", r.Target, value)
			}
		}
	})
}

func TestFromHeaderAppends(t *testing.T) {
	t.Parallel()
	got := FromHeader([]document.Reference{{Target: "x"}}, `<a>; rel="nofollow next"`, document.Usual)
	if diff := cmp.Diff([]document.Reference{{Target: "x"}, {Target: "a", Kind: document.Next, NoFollow: true}}, got); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
}
