package request

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/transform"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

const pageURL = "https://shop.example/dir/page?page=1&q=a"

// site is a page and what is around it.
type site struct {
	facts extract.Page
	page  Page
	cfg   link.Config
}

// newSite makes one of HTML, or of JSON where it begins like that.
func newSite(tb testing.TB, url, body string) *site {
	tb.Helper()
	canon := weburl.New(weburl.Options{SortQuery: true, StripParams: []string{"utm_*"}})
	u, err := canon.Parse(url)
	if err != nil {
		tb.Fatal(err)
	}
	base, err := canon.Base(url)
	if err != nil {
		tb.Fatal(err)
	}
	s := &site{
		facts: extract.Page{URL: u.String(), Depth: 3, Base: base},
		page:  Page{URL: u, Base: base, Charset: "utf-8", Depth: 3},
		cfg: link.Config{Canon: canon, Scope: crawl.NewScope(crawl.ScopeConfig{
			Hosts: []string{"shop.example", "api.shop.example"}, MaxDepth: 5, MaxLength: 300,
			Rules: []crawl.ScopeRule{{Pattern: mustPattern(tb, "*/cart*"), Text: "reject: */cart*"}},
		})},
	}
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		s.facts.JSON = body
	} else {
		s.facts.Tree = tree.New([]byte(body), nil)
	}
	return s
}

func mustPattern(tb testing.TB, text string) *crawl.Pattern {
	tb.Helper()
	p, err := crawl.CompilePattern(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// make makes the requests of one rule.
func (s *site) make(tb testing.TB, r Rule) ([]Made, []string) {
	tb.Helper()
	r.Name = "r"
	if r.MaxDepth == 0 {
		r.MaxDepth = -1
	}
	set, err := Compile([]Rule{r})
	if err != nil {
		tb.Fatal(err)
	}
	var x extract.Extractor
	return Make(set, &x, &s.facts, &s.page, &s.cfg)
}

// shown writes requests as "POST /path?query type body Name: value", the host left out
// where it is the shop's, parted by " | "; "! reason" for what is not made.
func shown(made []Made) string {
	var out []string
	for _, m := range made {
		s := ""
		if !m.URL.IsZero() {
			s = strings.TrimPrefix(m.URL.WithoutRequest().String(), "https://shop.example")
		}
		if r, ok := m.URL.Request(); ok {
			s = r.Method + " " + s
			for _, part := range []string{strings.TrimPrefix(r.ContentType, "application/"), r.Body} {
				if part != "" {
					s += " " + part
				}
			}
			for _, name := range slices.Sorted(maps.Keys(r.Header)) {
				s += fmt.Sprintf(" %s: %s", name, r.Header[name])
			}
		}
		if m.Reason != "" {
			s = strings.TrimSpace(s + " ! " + string(m.Reason))
		}
		out = append(out, s)
	}
	return strings.Join(out, " | ")
}

func constant(name, value string) extract.Field { return extract.Field{Name: name, Constant: value} }

func TestForms(t *testing.T) {
	t.Parallel()
	const search = `<form action=/search><input name=q value=lamp><input type=submit name=go value=1></form>`
	const login = `<form id=login method=post action=/login?next=%2F><input type=hidden name=token value="a&amp;{b}"><input name=user><input type=password name=password></form>`
	for _, c := range []struct {
		name, page string
		rule       Rule
		want       string
	}{
		{"as it is", search, Rule{Form: "form"}, "/search?q=lamp"},
		{"with a value", search, Rule{Form: "form", Fields: []extract.Field{constant("q", "a b&ä{}")}}, "/search?q=a+b%26%C3%A4%7B%7D"},
		{"with another field", search, Rule{Form: "form", Fields: []extract.Field{constant("n", "1")}}, "/search?n=1&q=lamp"},
		{"the query of the action goes", `<form action=/s?x=1#y><input name=q value=1></form>`, Rule{Form: "form"}, "/s?q=1"},
		{"without fields", `<form action=/s?x=1></form>`, Rule{Form: "form"}, "/s"},
		{"of the page itself", `<form method=post><input name=q value=1></form>`, Rule{Form: "form"}, "POST /dir/page?page=1&q=a x-www-form-urlencoded q=1"},
		{"an empty action is the page", `<form action=""><input name=q value=1></form>`, Rule{Form: "form"}, "/dir/page?q=1"},
		{"the page again", `<form><input name=page value=1><input name=q value=a></form>`, Rule{Form: "form"}, ""},
		{"POST", login, Rule{Form: "#login"}, "POST /login?next=%2F x-www-form-urlencoded token=a%26%7Bb%7D&user=&password="},
		{"a login", login, Rule{Form: "#login", Fields: []extract.Field{{Name: "password", Secret: "WEIR_SECRET_SHOP"}, constant("user", "me")}},
			"POST /login?next=%2F x-www-form-urlencoded token=a%26%7Bb%7D&user=me&password={WEIR_SECRET_SHOP}"},
		{"a form that asks for a secret", `<form method=post action=/x><input name="{WEIR_SECRET_A}" value="{WEIR_SECRET_A}"></form>`, Rule{Form: "form"},
			"POST /x x-www-form-urlencoded %7BWEIR_SECRET_A%7D=%7BWEIR_SECRET_A%7D"},
		{"the same as JSON", `<form method=post action=/x><input name="{WEIR_SECRET_A}" value="{WEIR_SECRET_A}"><input name=b value=1><input name=b value=2></form>`, Rule{Form: "form", Encoding: JSON},
			`POST /x json {"\u007bWEIR_SECRET_A}":"\u007bWEIR_SECRET_A}","b":["1","2"]}`},
		{"another method", search, Rule{Form: "form", Method: "POST"}, "POST /search x-www-form-urlencoded q=lamp"},
		{"a POST sent as a GET", login, Rule{Form: "form", Method: "GET"}, "/login?password=&token=a%26%7Bb%7D&user="},
		{"multipart", `<form method=post enctype=multipart/form-data><input type=file name=f></form>`, Rule{Form: "form"}, "! enctype"},
		{"multipart sent otherwise", `<form method=post action=/f enctype=multipart/form-data><input name=f></form>`, Rule{Form: "form", Encoding: Form}, "POST /f x-www-form-urlencoded f="},
		{"plain text", `<form method=post enctype=text/plain><input name=f></form>`, Rule{Form: "form"}, "! enctype"},
		{"a dialog", `<form method=dialog></form>`, Rule{Form: "form"}, "! no_form"},
		{"no form", `<p>x</p>`, Rule{Form: "form"}, "! no_form"},
		{"no form but an element", `<div class=f><form></form></div>`, Rule{Form: ".f"}, "! no_form"},
		{"the first of several", search + login, Rule{Form: "form"}, "/search?q=lamp"},
		{"each", `<form class=a action=/1></form><form class=a action=/2></form><form class=a action=/1></form>`, Rule{Form: "form", Each: "css:form.a"}, "/1 | /2"},
		{"a form in each", `<li><form action=/1></form><li><p><form action=/2></form>`, Rule{Form: "form", Each: "css:li"}, "/1 | /2"},
		{"an action elsewhere", `<form action=https://other.example/x></form>`, Rule{Form: "form"}, "https://other.example/x ! host"},
		{"an action that is none", `<form action=javascript:x></form>`, Rule{Form: "form"}, "! scheme"},
		{"a header", search, Rule{Form: "form", Header: map[string]string{"x-requested-with": "XMLHttpRequest"}}, "GET /search?q=lamp X-Requested-With: XMLHttpRequest"},
		{"a list of values", `<p>1<p>2<form action=/s method=post><input name=id value=0></form>`, Rule{Form: "form", Fields: []extract.Field{{Name: "id", CSS: "p", Many: true}}},
			"POST /s x-www-form-urlencoded id=1&id=2"},
		{"a required value", search, Rule{Form: "form", Fields: []extract.Field{{Name: "q", CSS: ".none", Required: true}}}, "! no_value"},
		{"no value: that of the form stays", search, Rule{Form: "form", Fields: []extract.Field{{Name: "q", CSS: ".none"}}}, "/search?q=lamp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made, warnings := newSite(t, pageURL, c.page).make(t, c.rule)
			if diff := cmp.Diff(c.want, shown(made)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if strings.Contains(c.want, "enctype") != (len(warnings) > 0) {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

// TestFormCharset: browsers send forms in the encoding of the page.
func TestFormCharset(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ charset, attr, want string }{
		{"windows-1251", "", "/s?q=%EC%E8%F0%26%239731%3B"},
		{"windows-1251", "accept-charset=utf-8", "/s?q=%D0%BC%D0%B8%D1%80%E2%98%83"},
		{"utf-8", "accept-charset=windows-1251", "/s?q=%EC%E8%F0%26%239731%3B"},
		{"utf-16le", "", "/s?q=%D0%BC%D0%B8%D1%80%E2%98%83"},
		{"utf-8", "accept-charset=klingon", "/s?q=%D0%BC%D0%B8%D1%80%E2%98%83"},
	} {
		s := newSite(t, pageURL, "<form action=/s "+c.attr+"><input name=q value=мир☃></form>")
		s.page.Charset = c.charset
		if made, _ := s.make(t, Rule{Form: "form"}); shown(made) != c.want {
			t.Errorf("%s %s: got %q, want %q", c.charset, c.attr, shown(made), c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	const api = `{"page": 1, "next": "/api?cursor=x%3D&y=1", "abroad": "https://other.example/x", "ids": ["a/b", "c d", "..", "", "e"], "filter": {"kind": "{WEIR_SECRET_A}", "n": 1.50}}`
	next := extract.Field{Name: "page", JSON: "page", Kind: extract.Integer, Steps: []transform.Step{transform.Add(1)}}
	for _, c := range []struct {
		name string
		rule Rule
		want string
	}{
		{"a further page by POST", Rule{URL: "/api", Encoding: JSON, Fields: []extract.Field{next, constant("size", "50")}}, `POST /api json {"page":2,"size":"50"}`},
		{"a further page by GET", Rule{Method: "GET", Fields: []extract.Field{next}}, "/dir/page?page=2&q=a"},
		{"a query by POST", Rule{URL: "/api?x=1", Encoding: Query, Fields: []extract.Field{next}}, "POST /api?page=2&x=1"},
		{"in the address", Rule{URL: "/api/{page}/x", Fields: []extract.Field{next}}, "/api/2/x"},
		{"in the address and beside it", Rule{URL: "/api/{page}", Fields: []extract.Field{next, constant("a", "b")}}, "POST /api/2 x-www-form-urlencoded a=b"},
		{"escaped", Rule{URL: "/i/{id}?x={id}", Each: "json:ids", Fields: []extract.Field{{Name: "id", JSON: "@this"}}},
			"/i/a%2Fb?x=a%2Fb | /i/c%20d?x=c%20d | ! invalid | ! no_value | /i/e?x=e"},
		{"an address as it stands", Rule{URL: "{next}", Fields: []extract.Field{{Name: "next", JSON: "next"}}}, "/api?cursor=x%3D&y=1"},
		{"one that is out of scope", Rule{URL: "{next}", Fields: []extract.Field{{Name: "next", JSON: "abroad"}}}, "https://other.example/x ! host"},
		{"one that is not there", Rule{URL: "{next}", Fields: []extract.Field{{Name: "next", JSON: "nothing"}}}, "! no_value"},
		{"a rule of the scope", Rule{URL: "/cart/add", Method: "POST"}, "POST /cart/add ! rule"},
		{"a body", Rule{URL: "/graphql", Body: `{"query": "{shop{name}}"}`}, `POST /graphql json {"query": "{shop{name}}"}`},
		{"a body that is not JSON", Rule{URL: "/x", Body: "a=1"}, "POST /x x-www-form-urlencoded a=1"},
		{"a body of another type", Rule{URL: "/x", Body: "<a/>", Header: map[string]string{"content-type": "text/xml"}}, "POST /x text/xml <a/>"},
		{"nested", Rule{URL: "/api", Encoding: JSON, Fields: []extract.Field{
			{Name: "filter", Fields: []extract.Field{{Name: "kind", JSON: "filter.kind"}, {Name: "key", Secret: "WEIR_SECRET_B"}}}, {Name: "raw", JSON: "filter", Kind: extract.JSON},
		}}, `POST /api json {"filter":{"kind":"\u007bWEIR_SECRET_A}","key":"{WEIR_SECRET_B}"},"raw":{"kind":"\u007bWEIR_SECRET_A}","n":1.50}}`},
		{"what has no value is left out", Rule{URL: "/api", Encoding: JSON, Fields: []extract.Field{{Name: "a", JSON: "nothing"}}}, "POST /api json {}"},
		{"a secret for another host", Rule{URL: "https://api.shop.example/x", Fields: []extract.Field{{Name: "a", Secret: "WEIR_SECRET_A"}}}, "! secret_host"},
		{"a secret in a header for another host", Rule{URL: "//api.shop.example/x", Header: map[string]string{"X": "{WEIR_SECRET_A}"}}, "! secret_host"},
		{"a secret in clear", Rule{URL: "http://shop.example/x", Body: "a={WEIR_SECRET_A}"}, "! secret_host"},
		{"a secret for the page's host", Rule{URL: "/x", Header: map[string]string{"X": "{WEIR_SECRET_A}"}}, "GET /x X: {WEIR_SECRET_A}"},
		{"too long", Rule{URL: "/x", Fields: []extract.Field{constant("a", strings.Repeat("x", weburl.MaxLength))}}, "! length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made, _ := newSite(t, pageURL, api).make(t, c.rule)
			if diff := cmp.Diff(c.want, shown(made)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDepthAndPriority(t *testing.T) {
	t.Parallel()
	five := int32(5)
	s := newSite(t, pageURL, "<p>x")
	s.cfg.Priority = func(_ weburl.URL, depth int) int32 { return int32(depth) }
	for _, c := range []struct {
		name string
		rule Rule
		want Made
	}{
		{"as links", Rule{URL: "/x"}, Made{Rule: "r", Depth: 4, Priority: 4}},
		{"of the rule", Rule{URL: "/x", Priority: &five}, Made{Rule: "r", Depth: 4, Priority: 5}},
		{"a further page", Rule{URL: "/x", Pagination: true}, Made{Rule: "r", Depth: 3, Priority: 3}},
		{"too deep", Rule{URL: "/x", MaxDepth: 3}, Made{Rule: "r", Depth: 4, Reason: crawl.ReasonDepth}},
		{"just not too deep", Rule{URL: "/x", MaxDepth: 3, Pagination: true}, Made{Rule: "r", Depth: 3, Priority: 3}},
	} {
		made, _ := s.make(t, c.rule)
		if len(made) != 1 {
			t.Fatalf("%s: %d requests", c.name, len(made))
		}
		made[0].URL = weburl.URL{}
		if made[0] != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, made[0], c.want)
		}
	}
	s.page.Depth = 5
	if made, _ := s.make(t, Rule{URL: "/x"}); shown(made) != "/x ! depth" {
		t.Errorf("beyond the scope's depth: %s", shown(made))
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule Rule
		want string
	}{
		{Rule{Form: "form["}, "r.form: "},
		{Rule{URL: "/{id}"}, "r.url: {id} is no field of the rule"},
		{Rule{URL: "/{id"}, "r.url: \"/{id\" has a { without its }"},
		{Rule{URL: "/{a}", Fields: []extract.Field{{Name: "a", Secret: "WEIR_SECRET_A"}}}, "r.url: {a} is a secret"},
		{Rule{Fields: []extract.Field{{Name: "a", CSS: "a["}}}, "r.fields.a.css: "},
	} {
		c.rule.Path = "r"
		if _, err := Compile([]Rule{c.rule}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.rule, err, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	for i := range maxRequests + 10 {
		fmt.Fprintf(&page, "<p>%d", i)
	}
	made, warnings := newSite(t, pageURL, page.String()).make(t, Rule{URL: "/{id}", Each: "css:p", Fields: []extract.Field{{Name: "id", CSS: "p"}}})
	if len(made) != maxRequests || len(warnings) != 1 {
		t.Errorf("%d requests, warnings %q", len(made), warnings)
	}
}

// FuzzMake: no page makes a request with a secret, and whatever is made is a canonical
// URL that reads back.
func FuzzMake(f *testing.F) {
	for _, s := range []string{
		`<form action=/x method=post><input name="{WEIR_SECRET_A}" value="{WEIR_SECRET_A}"><p>{WEIR_SECRET_A}</p></form>`,
		`{"a": "{WEIR_SECRET_A}", "b": {"{WEIR_SECRET_A}": ["\"{WEIR_SECRET_A}", "\\"]}, "c": "https://shop.example/{WEIR_SECRET_A}"}`,
		`<form accept-charset=iso-2022-jp action="?{"><select name=a><option>{WEIR_SECRET_A}</select>`,
	} {
		f.Add(s)
	}
	fields := []extract.Field{
		{Name: "a", JSON: "a"}, {Name: "b", JSON: "b", Kind: extract.JSON}, {Name: "p", CSS: "p", Many: true}, {Name: "c", JSON: "c"},
	}
	rules := []Rule{
		{Form: "form"}, {Form: "form", Encoding: JSON, Fields: fields}, {URL: "/x", Fields: fields}, {URL: "/x", Encoding: JSON, Fields: fields},
		{Method: "GET", Fields: fields}, {URL: "{c}", Method: "POST", Fields: fields}, {URL: "/{a}?{p}", Fields: fields},
	}
	for i := range rules {
		rules[i].Name, rules[i].MaxDepth = fmt.Sprint(i), -1
	}
	set, err := Compile(rules)
	if err != nil {
		f.Fatal(err)
	}
	var x extract.Extractor
	f.Fuzz(func(t *testing.T, body string) {
		s := newSite(t, pageURL, body)
		made, _ := Make(set, &x, &s.facts, &s.page, &s.cfg)
		for _, m := range made {
			if m.URL.IsZero() {
				continue
			}
			if again, err := weburl.FromCanonical(m.URL.String()); err != nil || again != m.URL {
				t.Errorf("%q: %v", m.URL, err)
			}
			if r, ok := m.URL.Request(); ok && secretive(&r) {
				t.Errorf("a page made a request with the secrets %q", secret.Names(r.Body))
			}
		}
	})
}
