package parser

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

// answering is a program that gives the same answers for each page, and notes the last
// page that it got.
func answering(answers ...*extractorv1.ExtractResponse) (*theProgram, chan *extractorv1.ExtractRequest) {
	got := make(chan *extractorv1.ExtractRequest, 100)
	return &theProgram{do: func(r *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
		got <- r
		for _, a := range answers {
			if err := s.Send(a); err != nil {
				return err
			}
		}
		return nil
	}}, got
}

func itemOf(rule, json string, media ...string) *extractorv1.ExtractResponse {
	r := item(json)
	r.GetItem().Rule, r.GetItem().Media = rule, media
	return r
}

func asked(r *extractorv1.ExtractedRequest) *extractorv1.ExtractResponse {
	return &extractorv1.ExtractResponse{Found: &extractorv1.ExtractResponse_Request{Request: r}}
}

// TestItemsOfRulesAndProgram: they come together, numbered and counted by rule.
func TestItemsOfRulesAndProgram(t *testing.T) {
	t.Parallel()
	fields, err := structpb.NewStruct(map[string]any{"name": "x", "n": 1.5, "list": []any{true, nil}})
	if err != nil {
		t.Fatal(err)
	}
	structured := &extractorv1.ExtractResponse{Found: &extractorv1.ExtractResponse_Item{Item: &extractorv1.ExtractedItem{Fields: fields}}}
	p, _ := answering(itemOf("link", `{"z":1, "a":2}`), structured, itemOf("link", `{"href":"x"}`), itemOf("link", `{"href":7}`), itemOf("other", `{}`))
	addr, _ := p.serve(t)
	c := crawlWith(addr)
	c.Spec.Extract = []*crawlv1.ExtractRule{{
		Name: "link", Each: "css:a", Fields: map[string]*crawlv1.FieldRule{"href": {Css: "a", Attr: "href"}},
		Schema: `{"type":"object","properties":{"href":{"type":"string"}}}`,
	}}
	r, err := recordOf(t, newService(t, nil), c, newPage(t, "https://site.example/p", `<title>T</title><a href="/1">1</a>`))
	if err != nil {
		t.Fatal(err)
	}
	tail := func(rule string) string {
		return `"_url":"https://site.example/p","_rule":"` + rule + `","_fetched_at":"2023-11-14T22:13:20.000Z"}`
	}
	want := []*crawlv1.Item{
		{Rule: "link", Index: 0, Json: []byte(`{"href":"/1",` + tail("link"))},
		{Rule: "link", Index: 1, Json: []byte(`{"z":1,"a":2,` + tail("link"))},
		{Rule: "extractor", Index: 0, Json: []byte(`{"list":[true,null],"n":1.5,"name":"x",` + tail("extractor"))},
		{Rule: "link", Index: 2, Json: []byte(`{"href":"x",` + tail("link"))},
		{Rule: "other", Index: 0, Json: []byte(`{` + tail("other"))},
	}
	if diff := cmp.Diff(want, r.GetItems(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	counts := map[string][2]uint32{}
	for _, c := range r.GetRules() {
		counts[c.GetRule()] = [2]uint32{c.GetItems(), c.GetRejected()}
	}
	if diff := cmp.Diff(map[string][2]uint32{"link": {3, 1}, "extractor": {1, 0}, "other": {1, 0}}, counts); diff != "" {
		t.Error(diff)
	}
	if len(r.GetRejects()) != 1 || r.GetRejectedItems() != 1 || !strings.Contains(string(r.GetRejects()[0].GetJson()), `"_reason":"`) {
		t.Errorf("rejected %v", r.GetRejects())
	}
}

// TestNoDefaultItem: with a program and no rules, the items are the program's alone.
func TestNoDefaultItem(t *testing.T) {
	t.Parallel()
	p, _ := answering(item(`{"a":1}`))
	addr, _ := p.serve(t)
	c := crawlWith(addr)
	c.Spec.Extractor.Match = "*/p/*"
	s := newService(t, nil)
	for url, want := range map[string]int{"https://site.example/p/1": 1, "https://site.example/other": 0} {
		r, err := recordOf(t, s, c, newPage(t, url, html))
		if err != nil || len(r.GetItems()) != want {
			t.Errorf("%s: items %v, %v; want %d", url, r.GetItems(), err, want)
		}
	}
	if p.calls.Load() != 1 {
		t.Errorf("%d calls, want that of the page that matches", p.calls.Load())
	}
}

// TestRequestsAreJudged: what a program asks for passes the scope as links do, and what
// does not is counted with its reason.
func TestRequestsAreJudged(t *testing.T) {
	t.Parallel()
	p, _ := answering(
		toVisit("b"), toVisit("/b"), toVisit("https://other.example/"), toVisit("mailto:x"), toVisit("http://[bad/"), toVisit("/deep"), toVisit("/p"),
		asked(&extractorv1.ExtractedRequest{Url: "/api", Body: `{"page":2}`, Headers: map[string]string{"X-Api": "1"}, Priority: proto.Int32(-5)}),
		asked(&extractorv1.ExtractedRequest{Url: "/search", Body: "q=a", Pagination: true}),
		asked(&extractorv1.ExtractedRequest{Url: "/put", Method: "PUT"}),
		asked(&extractorv1.ExtractedRequest{Url: "/api", Body: "{WEIR_SECRET_TOKEN}"}),
		asked(&extractorv1.ExtractedRequest{Url: "/linked", Priority: proto.Int32(7)}),
		itemOf("", `{"image":"https://cdn.example/i.png"}`, "https://cdn.example/i.png", "i2.png"),
	)
	addr, _ := p.serve(t)
	c := crawlWith(addr)
	c.Spec.Scope = &crawlv1.Scope{MaxDepth: proto.Uint32(2), Rules: []*crawlv1.ScopeRule{{Action: &crawlv1.ScopeRule_Reject{Reject: "*/deep"}}}}
	r, err := recordOf(t, newService(t, nil), c, newPage(t, "https://site.example/p", `<a href="/linked">x</a>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []*crawlv1.Outlink{
		{Url: "https://site.example/linked", Depth: 2, Priority: 7},
		{Url: "https://site.example/b", Depth: 2},
		{Url: "https://site.example/api#!method=POST&type=application%2Fjson&body=%7B%22page%22%3A2%7D&header=X-Api%3A+1", Depth: 2, Priority: -5},
		{Url: "https://site.example/search#!method=POST&type=application%2Fx-www-form-urlencoded&body=q%3Da", Depth: 1},
		{Url: "https://cdn.example/i.png", Depth: 2, Media: true},
		{Url: "https://site.example/i2.png", Depth: 2, Media: true},
	}
	if diff := cmp.Diff(want, r.GetOutlinks(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	const media = `"_media":{"media":["https://cdn.example/i.png","https://site.example/i2.png"]},"_url":`
	if got := r.GetItems(); len(got) != 1 || !strings.Contains(string(got[0].GetJson()), media) {
		t.Errorf("items %v; want one with %s", got, media)
	}
	if diff := cmp.Diff(map[string]uint32{"host": 1, "scheme": 1, "invalid": 2, "rule": 1, "secret_host": 1}, r.GetRejectedLinks()); diff != "" {
		t.Error(diff)
	}
}

// TestWhatAProgramGets: the page decoded, whatever it is, and no longer than asked for.
func TestWhatAProgramGets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType, body, want, charset string
		maxBody                                int64
		truncated                              bool
	}{
		{name: "UTF-8", contentType: "text/html; charset=utf-8", body: "<title>é</title>", want: "<title>é</title>", charset: "utf-8"},
		{name: "decoded", contentType: "text/html; charset=iso-8859-1", body: "<title>\xe9</title>", want: "<title>é</title>", charset: "windows-1252"},
		{name: "cut between characters", contentType: "text/html; charset=utf-8", body: "<p>éé", want: "<p>é", charset: "utf-8", maxBody: 6, truncated: true},
		{name: "long text of another kind", contentType: "text/plain; charset=iso-8859-1", body: strings.Repeat("\xe9", 20_000), want: strings.Repeat("é", 20_000), charset: "windows-1252"},
		{name: "no text", contentType: "image/png", body: "\x89PNG\xe9\xff\x00", want: "\x89PNG\xe9\xff\x00"},
		{name: "no text, cut", contentType: "image/png", body: "\x89PNG\xe9\xff\x00", want: "\x89PNG\xe9", maxBody: 5, truncated: true},
		{name: "empty", contentType: "text/html", body: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, got := answering()
			addr, _ := p.serve(t)
			spec := crawlWith(addr)
			if c.maxBody > 0 {
				spec.Spec.Extractor.MaxBody = &c.maxBody
			}
			page := newPage(t, "https://site.example/p", c.body)
			page.Fetch.ResponseHeaders[0].Value = []byte(c.contentType)
			if _, err := recordOf(t, newService(t, nil), spec, page); err != nil {
				t.Fatal(err)
			}
			r := <-got
			if string(r.GetBody()) != c.want || r.GetTruncated() != c.truncated {
				t.Errorf("body %.100q, truncated %v; want %.100q, %v", r.GetBody(), r.GetTruncated(), c.want, c.truncated)
			}
			if c.charset != "" && r.GetCharset() != c.charset {
				t.Errorf("charset %q, want %q", r.GetCharset(), c.charset)
			}
			if r.GetCrawlId() != crawlID || r.GetCrawl() != "test" || r.GetRevision() != 1 || r.GetUrl() != "https://site.example/p" || r.GetDepth() != 1 ||
				r.GetStatus() != 200 || r.GetFetchedAt().AsTime().Unix() != 1_700_000_000 || len(r.GetHeaders()) != 1 ||
				r.GetSpec().GetExtractor().GetAddress() != addr {
				t.Errorf("request %v", r)
			}
		})
	}
}

// TestSitemapsAreNotGiven: nobody's program expects them.
func TestSitemapsAreNotGiven(t *testing.T) {
	t.Parallel()
	p, _ := answering(item(`{}`))
	addr, _ := p.serve(t)
	page := newPage(t, "https://site.example/sitemap.xml", `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>https://site.example/a</loc></url></urlset>`)
	page.Fetch.ResponseHeaders[0].Value = []byte("application/xml")
	r, err := recordOf(t, newService(t, nil), crawlWith(addr), page)
	if err != nil || len(r.GetItems()) != 0 || len(r.GetOutlinks()) != 1 || p.calls.Load() != 0 {
		t.Errorf("%v, %v, %d calls", r, err, p.calls.Load())
	}
}

// TestParseCallsTheProgram: so does whoever tries a spec.
func TestParseCallsTheProgram(t *testing.T) {
	t.Parallel()
	p, _ := answering(item(`{"a":1}`), toVisit("/more"))
	addr, stop := p.serve(t)
	s := newService(t, nil)
	req := &parserv1.ParseRequest{Url: "https://site.example/p", ContentType: "text/html", Body: []byte(html), Spec: crawlWith(addr).GetSpec()}
	resp, err := s.Parse(t.Context(), req)
	if err != nil || len(resp.GetResult().GetItems()) != 1 || !slices.ContainsFunc(resp.GetLinks(), func(l *parserv1.FoundLink) bool { return l.GetUrl() == "https://site.example/more" }) {
		t.Fatalf("%v, %v", resp, err)
	}
	stop()
	if _, err := s.Parse(t.Context(), req); err == nil || !strings.Contains(err.Error(), "extractor "+addr+": ") {
		t.Errorf("without the program: %v", err)
	}
}
