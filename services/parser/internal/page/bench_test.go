package page

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
)

// benchPage is a page like those of the design's measurements: 16 KiB, 41 links
// in scope.
func benchPage() []byte {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Product 4711 &amp; more</title>
<meta name="description" content="All about product 4711"><link rel="stylesheet" href="/style.css">
<link rel="canonical" href="https://shop.example/p/4711"></head><body>
<nav class="top"><ul>`)
	for i := range 20 {
		fmt.Fprintf(&b, `<li class="item"><a class="nav-link" href="/category/%d?page=1&amp;sort=price">Category %d</a></li>`+"\n", i, i)
	}
	b.WriteString(`</ul></nav><main><h1>Product 4711</h1><p class="price">19.90 EUR</p><img class="photo" src="/img/4711.jpg" alt="">` + "\n")
	for i := 0; b.Len() < 15<<10; i++ {
		fmt.Fprintf(&b, `<div class="text"><p>Paragraph %d of a page whose text says nothing at all but says it at some length, so that the page is as long as pages are.</p><span class="tag">tag%d</span></div>`+"\n", i, i)
	}
	for i := range 20 {
		fmt.Fprintf(&b, `<a href="item-%d.html" title="next">Item %d</a>`+"\n", i, i)
	}
	b.WriteString("</main></body></html>")
	return []byte(b.String())
}

func mustURL(tb testing.TB, s string) weburl.URL {
	tb.Helper()
	u, err := weburl.FromCanonical(s)
	if err != nil {
		tb.Fatalf("URL %q: %v", s, err)
	}
	return u
}

func benchCrawl(rules *extract.Set) *Crawl {
	return &Crawl{
		Links: link.Config{
			Canon:  weburl.New(weburl.Options{SortQuery: true, StripParams: []string{"utm_*", "gclid", "fbclid", "msclkid"}, StripSessionIDs: true}),
			Scope:  crawl.NewScope(crawl.ScopeConfig{Hosts: []string{"shop.example"}, MaxDepth: -1}),
			Follow: true, ObeyNoFollow: true, Kinds: document.Usual, Max: 10_000,
		},
		Agent: "weir", Rules: rules,
	}
}

func fourFields(tb testing.TB) *extract.Set {
	tb.Helper()
	set, err := extract.Compile([]extract.Rule{{Name: "product", Fields: []extract.Field{
		{Name: "image", CSS: "img.photo", Attr: "src", Kind: extract.URL},
		{Name: "price", CSS: ".price", Kind: extract.String},
		{Name: "tags", CSS: ".tag", Many: true},
		{Name: "title", CSS: "h1", Required: true},
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func benchmarkParse(b *testing.B, c *Crawl) {
	in := &Input{
		URL: mustURL(b, "https://shop.example/p/4711"), Depth: 2, FetchedAt: time.Unix(1_700_000_000, 0), Status: 200,
		ContentType: "text/html; charset=utf-8", Body: benchPage(),
	}
	in.Size = uint64(len(in.Body))
	p := New()
	out := p.Parse(in, c, nil)
	if len(out.Links.Outlinks) != 40 || len(out.Items.Items) != 1 {
		b.Fatalf("%d outlinks, %d items", len(out.Links.Outlinks), len(out.Items.Items))
	}
	b.SetBytes(int64(len(in.Body)))
	b.ReportAllocs()
	for b.Loop() {
		p.Parse(in, c, nil)
	}
}

// BenchmarkDefaultItem: links and the default item, the usual page.
func BenchmarkDefaultItem(b *testing.B) { benchmarkParse(b, benchCrawl(nil)) }

// BenchmarkFourFields: links and an item of four CSS fields.
func BenchmarkFourFields(b *testing.B) { benchmarkParse(b, benchCrawl(fourFields(b))) }

// BenchmarkBareGoquery is what a crawler without a design does: a tree, the links
// by selector, four fields, URLs by net/url inside goquery's users.
func BenchmarkBareGoquery(b *testing.B) {
	page := benchPage()
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		doc, err := goquery.NewDocumentFromReader(bytes.NewReader(page))
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		doc.Find("a[href]").Each(func(_ int, s *goquery.Selection) {
			if _, ok := s.Attr("href"); ok {
				n++
			}
		})
		_ = doc.Find("h1").First().Text() + doc.Find(".price").First().Text() + doc.Find("img.photo").AttrOr("src", "")
		doc.Find(".tag").Each(func(_ int, s *goquery.Selection) { _ = s.Text() })
	}
}

// BenchmarkTokenizerOfXNet is the walk that package scan replaces: names and
// attributes of all tags by x/net/html.
func BenchmarkTokenizerOfXNet(b *testing.B) {
	page := benchPage()
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		z := html.NewTokenizer(bytes.NewReader(page))
		for tt := z.Next(); tt != html.ErrorToken; tt = z.Next() {
			if tt != html.StartTagToken {
				continue
			}
			_, more := z.TagName()
			for more {
				_, _, more = z.TagAttr()
			}
		}
	}
}
