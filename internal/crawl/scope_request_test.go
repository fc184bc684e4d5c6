package crawl

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/weburl"
)

// A site's rules are about its URLs, whatever they are asked with.
func TestScopeDoesNotSeeRequests(t *testing.T) {
	t.Parallel()
	canon := weburl.New(weburl.Options{})
	pattern, err := CompilePattern("re:method|secret|#")
	if err != nil {
		t.Fatal(err)
	}
	const page = "https://shop.example/api"
	s := NewScope(ScopeConfig{
		Hosts: []string{"shop.example"}, MaxDepth: -1, MaxLength: len(page),
		Rules: []ScopeRule{{Pattern: pattern, Text: "reject: re:method|secret|#"}},
	})
	plain, err := canon.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	u, err := plain.WithRequest(weburl.Request{Method: "POST", Body: "secret/" + strings.Repeat("/a/a", 50)})
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Judge(u, 0); !v.Accept {
		t.Errorf("Judge(%q) = %+v, want it accepted as the URL without request is", u, v)
	}
	if ShapeID(u) != ShapeID(plain) {
		t.Error("the shape has something of the request")
	}
}
