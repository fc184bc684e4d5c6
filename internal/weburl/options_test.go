package weburl

import "testing"

func TestOptions(t *testing.T) {
	t.Parallel()
	sorted := Options{SortQuery: true}
	strip := Options{StripParams: []string{"utm_*", "gclid", "fbclid", "msclkid", ""}}
	session := Options{StripSessionIDs: true}
	all := Options{SortQuery: true, StripParams: strip.StripParams, StripSessionIDs: true}
	tests := []struct {
		name     string
		opts     Options
		in, want string // without http://h
	}{
		{"sorts", sorted, "/?b=2&a=1", "/?a=1&b=2"},
		{"sorted already", sorted, "/?a=1&b=2", "/?a=1&b=2"},
		{"equal names keep their order", sorted, "/?b=2&a=2&a=1&b=1", "/?a=2&a=1&b=2&b=1"},
		{"name before longer name", sorted, "/?ab=1&a=2", "/?a=2&ab=1"},
		{"the equals sign is no part of the name", sorted, "/?a!=1&a=2", "/?a=2&a!=1"},
		{"no value", sorted, "/?b&a", "/?a&b"},
		{"value with equals signs", sorted, "/?b=1=2&a==", "/?a==&b=1=2"},
		{"no name", sorted, "/?b&=1", "/?=1&b"},
		{"by bytes", sorted, "/?a=1&B=2", "/?B=2&a=1"},
		{"escapes as written", sorted, "/?b=1&%61=2", "/?%61=2&b=1"},
		{"empty parameters go", sorted, "/?&&b=1&&a=2&", "/?a=2&b=1"},
		{"nothing but separators", sorted, "/x?&&&", "/x"},
		{"empty query goes", sorted, "/?", "/"},
		{"many", sorted, "/?j&i&h&g&f&e&d&c&b&a&j&i", "/?a&b&c&d&e&f&g&h&i&i&j&j"},
		{"question mark in the query", sorted, "/?b?c&a", "/?a&b?c"},
		{"fragment before sorting", sorted, "/?b&a#c", "/?a&b"},

		{"without options the query stays", Options{}, "/?b&&a&utm_x=1&sid=2", "/?b&&a&utm_x=1&sid=2"},
		{"without options an empty query stays", Options{}, "/?", "/?"},
		{"without options the path stays", Options{}, "/a;jsessionid=1", "/a;jsessionid=1"},

		{"strips by name", strip, "/?a=1&gclid=2&b=3", "/?a=1&b=3"},
		{"strips the first", strip, "/?gclid=2&b=3", "/?b=3"},
		{"strips the last", strip, "/?b=3&gclid=2", "/?b=3"},
		{"strips the only one", strip, "/?gclid=2", "/"},
		{"strips all", strip, "/p?gclid=2&fbclid&msclkid=", "/p"},
		{"strips by prefix", strip, "/?utm_source=1&utm_=2&x=3", "/?x=3"},
		{"prefix must be whole", strip, "/?utm=1&xutm_a=2", "/?utm=1&xutm_a=2"},
		{"name must be whole", strip, "/?gclid2=1&agclid=2", "/?gclid2=1&agclid=2"},
		{"exact case", strip, "/?GCLID=1", "/?GCLID=1"},
		{"value does not matter", strip, "/?x=gclid&y=utm_a", "/?x=gclid&y=utm_a"},
		{"keeps the order and empty parameters", strip, "/?b&&gclid&a", "/?b&&a"},
		{"empty name strips nothing", strip, "/?=1&&b", "/?=1&&b"},
		{"empty query is not ours", strip, "/?", "/?"},
		{"star alone strips everything", Options{StripParams: []string{"*"}}, "/?a=1&b", "/"},

		{"sid", session, "/?sid=1&a=2", "/?a=2"},
		{"phpsessid in any case", session, "/?PHPSESSID=abc", "/"},
		{"jsessionid", session, "/?x=1&JSessionID=abc", "/?x=1"},
		{"aspsessionid with letters", session, "/?ASPSESSIONIDQQBBCCDD=1&x", "/?x"},
		{"coldfusion", session, "/?CFID=1&CFTOKEN=2&x=3", "/?x=3"},
		{"similar names stay", session, "/?side=1&asid=2&cfids=3", "/?side=1&asid=2&cfids=3"},
		{"path parameter", session, "/a;jsessionid=1A2B", "/a"},
		{"path parameter in any case", session, "/a;JSESSIONID=1?x=1", "/a?x=1"},
		{"path parameter inside", session, "/a;jsessionid=1/b;sid=2/c", "/a/b/c"},
		{"other path parameters stay", session, "/a;v=1;jsessionid=2;w=3", "/a;v=1;w=3"},
		{"no value, no session", session, "/a;sid", "/a;sid"},
		{"name made of pieces", session, "/a;jsession;jsessionid=1id=2", "/a;jsession"},
		{"whole segment", session, "/;jsessionid=1/b", "//b"},
		{"root", session, "/;jsessionid=1", "/"},
		{"would become a dot segment", session, "/a/..;jsessionid=1/b", "/a/..;jsessionid=1/b"},
		{"would become an escaped dot segment", session, "/a/%2E;sid=1", "/a/%2E;sid=1"},
		{"asp.net", session, "/(S(lit3py55t21z5v55vlm25s55))/a.aspx", "/a.aspx"},
		{"asp.net inside", session, "/x/(S(lit3py55t21z5v55vlm25s55))/a", "/x/a"},
		{"asp.net at the end", session, "/x/(S(lit3py55t21z5v55vlm25s55))", "/x/"},
		{"asp.net with more", session, "/(A(lit3py55t21z5v55vlm25s55)F(lit3py55t21z5v55vlm25s55))/a", "/a"},
		{"asp.net of another length", session, "/(S(lit3py55t21z5v55vlm25s5))/a", "/(S(lit3py55t21z5v55vlm25s5))/a"},
		{"brackets alone", session, "/(a)/()/b", "/(a)/()/b"},
		{"query sessions are looked for in the query", session, "/a?x;sid=1", "/a?x;sid=1"},
		{"path shrinks before the query", session, "/a;jsessionid=1?b&sid=2&a", "/a?b&a"},

		{"all at once", all, "/a;jsessionid=1/b?z=1&utm_x=2&sid=3&&a=4#f", "/a/b?a=4&z=1"},
		{"all, nothing to do", all, "/a/b?a=4&z=1", "/a/b?a=4&z=1"},
		{"all, odd bytes", all, "/é;sid=1?ü=1&a='", "/%C3%A9?%C3%BC=1&a=%27"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := New(tt.opts)
			u, err := c.Parse("http://h" + tt.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.in, err)
			}
			if got := u.PathQuery(); got != tt.want {
				t.Errorf("Parse(%q) = %q, want %q", tt.in, got, tt.want)
			}
			checkURL(t, c, u)
			b, err := c.Base("http://h" + tt.in)
			if err != nil {
				t.Fatalf("Base: %v", err)
			}
			if same, err := b.Resolve("#top"); err != nil || same != u {
				t.Errorf("a link to the page itself is %q, %v, want %q", same, err, u)
			}
		})
	}
}

func TestBaseIsNotStripped(t *testing.T) {
	t.Parallel()
	b, err := New(everything()).Base("http://h/a/(S(lit3py55t21z5v55vlm25s55))/p?b&a&sid=1")
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"":           "http://h/a/p?a&b",
		"../x":       "http://h/a/x", // up from the session, not from /a
		"x":          "http://h/a/x",
		"?c&utm_a=1": "http://h/a/p?c",
	} {
		u, err := b.Resolve(ref)
		if err != nil || u.String() != want {
			t.Errorf("Resolve(%q) = %q, %v, want %q", ref, u, err, want)
		}
	}
}
