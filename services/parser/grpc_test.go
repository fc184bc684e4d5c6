package parser

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

func TestParse(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	resp, err := s.Parse(t.Context(), &parserv1.ParseRequest{
		Url: "https://Site.example/p?utm_source=x", ContentType: "text/html", Body: []byte(html + `<h1>Head</h1>`),
		Spec: &crawlv1.CrawlSpec{Extract: []*crawlv1.ExtractRule{{Name: "r", Fields: map[string]*crawlv1.FieldRule{
			"head": {Css: "h1"}, "from": {Value: "url"},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := resp.GetResult()
	if len(got.GetOutlinks()) != 1 || got.GetOutlinks()[0].GetUrl() != "https://site.example/a" || len(got.GetItems()) != 1 {
		t.Fatalf("result %v", got)
	}
	want := `{"from":"https://site.example/p","head":"Head","_url":"https://site.example/p","_rule":"r","_fetched_at":"2023-11-14T22:13:20.000Z"}`
	if string(got.GetItems()[0].GetJson()) != want {
		t.Errorf("item %s\nwant %s", got.GetItems()[0].GetJson(), want)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	rule := func(f *crawlv1.FieldRule) *crawlv1.CrawlSpec {
		return &crawlv1.CrawlSpec{Extract: []*crawlv1.ExtractRule{{Name: "r", Fields: map[string]*crawlv1.FieldRule{"f": f}}}}
	}
	for _, c := range []struct {
		name string
		req  *parserv1.ParseRequest
		want string
	}{
		{"no URL", &parserv1.ParseRequest{}, "url"},
		{"another scheme", &parserv1.ParseRequest{Url: "mailto:a@b"}, "url"},
		{"long body", &parserv1.ParseRequest{Url: "https://a.example/", Body: make([]byte, maxRequestBody+1)}, "body"},
		{"bad selector", &parserv1.ParseRequest{Url: "https://a.example/", Spec: rule(&crawlv1.FieldRule{Css: "["})}, "extract[0].fields.f.css"},
		{"bad regex", &parserv1.ParseRequest{Url: "https://a.example/", Spec: rule(&crawlv1.FieldRule{Css: "a", Regex: "("})}, "extract[0].fields.f.regex"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Parse(t.Context(), c.req)
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want InvalidArgument with %q", err, c.want)
			}
		})
	}
	if resp, err := s.Parse(t.Context(), &parserv1.ParseRequest{Url: "https://a.example/"}); err != nil || len(resp.GetResult().GetItems()) != 1 {
		t.Errorf("an empty page without a spec: %v, %v", resp, err)
	}
}
