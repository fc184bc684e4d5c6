package page

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/request"
)

// mediaCrawl has rules that name files.
func mediaCrawl(t *testing.T, fields ...extract.Field) *Crawl {
	t.Helper()
	rules, err := extract.Compile([]extract.Rule{{Name: "r", Each: "css:.item", Fields: fields}})
	if err != nil {
		t.Fatal(err)
	}
	c := siteCrawl(t)
	c.Rules, c.Files = rules, rules.NamesFiles()
	c.Links.Explain = true
	return c
}

// files returns the outlinks that are files.
func files(l *link.Links) []string {
	var out []string
	for _, o := range l.Outlinks {
		if o.Media {
			out = append(out, o.URL)
		}
	}
	return out
}

func TestFiles(t *testing.T) {
	t.Parallel()
	image := extract.Field{Name: "image", CSS: "img", Attr: "src", Kind: extract.URL, Media: true, Many: true}
	nested := extract.Field{Name: "variants", Each: "css:li", Fields: []extract.Field{
		{Name: "photo", CSS: "a", Attr: "href", Kind: extract.URL, Media: true, Required: true}, {Name: "sku", CSS: "b", Required: true},
	}}
	for _, c := range []struct {
		name, html string
		fields     []extract.Field
		media      []string // the _media of each item
		files      []string
	}{
		{"a file", `<div class=item><img src=/1.jpg#x></div>`, []extract.Field{image}, []string{`{"image":["https://site.example/1.jpg"]}`}, []string{"https://site.example/1.jpg"}},
		{"in the form of the crawl", `<div class=item><img src="/1.jpg?utm_source=a&v=1"></div>`, []extract.Field{image}, []string{`{"image":["https://site.example/1.jpg?v=1"]}`}, []string{"https://site.example/1.jpg?v=1"}},
		{"another host", `<div class=item><img src=//cdn.example/1.jpg></div>`, []extract.Field{image}, []string{`{"image":["https://cdn.example/1.jpg"]}`}, []string{"https://cdn.example/1.jpg"}},
		{"no file", `<div class=item></div>`, []extract.Field{image}, []string{`{}`}, nil},
		{"what cannot be fetched", `<div class=item><img src=data:image/gif;base64,R0lGOD><img src=ftp://x/1.jpg></div>`, []extract.Field{image}, []string{`{}`}, nil},
		{"twice", `<div class=item><img src=/1.jpg><img src=/1.jpg><img src=/2.jpg></div><div class=item><img src=/2.jpg></div>`, []extract.Field{image},
			[]string{`{"image":["https://site.example/1.jpg","https://site.example/2.jpg"]}`, `{"image":["https://site.example/2.jpg"]}`},
			[]string{"https://site.example/1.jpg", "https://site.example/2.jpg"}},
		{"too long", `<div class=item><img src=/` + strings.Repeat("x", 250) + `></div>`, []extract.Field{image}, nil, nil},
		{"in objects", `<div class=item><ul><li><a href=/a.pdf></a><b>1</b><li><a href=/b.pdf></a></ul></div>`, []extract.Field{image, nested},
			[]string{`{"variants.photo":["https://site.example/a.pdf"]}`}, []string{"https://site.example/a.pdf"}},
		{"an item that is dropped", `<div class=item><img src=/1.jpg></div>`, []extract.Field{image, {Name: "title", CSS: "h1", Required: true}}, nil, nil},
		{"a link that is a file too", `<a href=/1.pdf>x</a><div class=item><a href=/1.pdf></a></div>`, []extract.Field{{Name: "doc", CSS: "a", Attr: "href", Kind: extract.URL, Media: true}},
			[]string{`{"doc":["https://site.example/1.pdf"]}`}, []string{"https://site.example/1.pdf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := New().Parse(sitePage(t, c.html), mediaCrawl(t, c.fields...), nil)
			var media []string
			for _, it := range out.Items.Items {
				var fields map[string]json.RawMessage
				if err := json.Unmarshal(it.JSON, &fields); err != nil {
					t.Fatalf("item %s: %v", it.JSON, err)
				}
				media = append(media, string(fields["_media"]))
			}
			if c.name != "too long" {
				if diff := cmp.Diff(c.media, media); diff != "" {
					t.Errorf("_media (-want +got):\n%s", diff)
				}
			} else if out.Links.Rejected["length"] != 1 {
				t.Errorf("rejected %v", out.Links.Rejected)
			}
			if diff := cmp.Diff(c.files, files(out.Links)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if n := len(out.Links.Outlinks); c.name == "a link that is a file too" && n != 1 {
				t.Errorf("%d outlinks", n)
			}
		})
	}
}

func TestRequestsOfAPage(t *testing.T) {
	t.Parallel()
	crawl := siteCrawl(t)
	seven := int32(7)
	var err error
	crawl.Requests, err = request.Compile([]request.Rule{
		{Name: "search", Form: "form", MaxDepth: -1, Priority: &seven},
		{Name: "api", URL: "/api", Body: "{}", MaxDepth: -1},
		{Name: "abroad", URL: "https://other.example/", MaxDepth: -1},
		{Name: "none", Form: "form.none", MaxDepth: -1},
		{Name: "link", URL: "/a", MaxDepth: -1, Priority: &seven, Pagination: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	const html = `<base href=/b/><a href=/a>x</a><form action=s><input name=q value=1></form>`
	for _, explain := range []bool{false, true} {
		crawl.Links.Explain = explain
		out := New().Parse(sitePage(t, html), crawl, nil)
		const want = "/a /b/s?q=1 /api#!method=POST&type=application%2Fjson&body=%7B%7D ! host=1"
		if got := strings.TrimSuffix(show(out.Links), " kind=1"); got != want { // all kinds are read to be explained
			t.Errorf("links %q, want %q", got, want)
		}
		if first := out.Links.Outlinks[0]; first.Priority != 7 || first.Depth != 1 {
			t.Errorf("the link that a rule asks for is %+v", first)
		}
		if explain {
			var reasons []string
			for _, f := range out.Links.Found {
				if f.Source == link.Request {
					reasons = append(reasons, f.Rule+":"+string(f.Reason))
				}
			}
			if diff := cmp.Diff([]string{"search:", "api:", "abroad:host", "none:no_form", "link:"}, reasons); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		}
	}
	crawl.Links.Max, crawl.Links.Explain = 2, false
	if got := show(New().Parse(sitePage(t, html), crawl, nil).Links); got != "/a /b/s?q=1 ! host=1 limit=1" {
		t.Errorf("with a limit: %q", got)
	}
	// An API's answers have no tree, and rules read them all the same.
	in := sitePage(t, `{"next": 2}`)
	in.ContentType = "application/json"
	crawl.Requests, err = request.Compile([]request.Rule{{Name: "next", URL: "/api/{n}", MaxDepth: -1, Fields: []extract.Field{{Name: "n", JSON: "next"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := show(New().Parse(in, crawl, nil).Links); got != "/api/2" {
		t.Errorf("links of JSON: %q", got)
	}
}
