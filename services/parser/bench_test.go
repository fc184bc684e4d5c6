package parser

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// BenchmarkRecord is all that a parser does for a page but the bus: decode the
// message, inflate, read, encode the record.
func BenchmarkRecord(b *testing.B) {
	var body strings.Builder
	body.WriteString(html)
	for i := range 40 {
		fmt.Fprintf(&body, `<div class="text"><p>Paragraph %d of a page whose text says nothing at all, but at some length.</p><a class="link" href="/category/%d/item-%d.html">Item</a></div>`+"\n", i, i, i)
	}
	body.WriteString(strings.Repeat("<p>More text, to make the page as long as pages are.</p>\n", 170))
	data, err := proto.Marshal(newPage(b, "https://site.example/p", body.String()))
	if err != nil {
		b.Fatal(err)
	}
	s, specs := newService(b, nil), specsOf(b, testCrawl())
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		var p crawlv1.Page
		if err := proto.Unmarshal(data, &p); err != nil {
			b.Fatal(err)
		}
		rec, err := s.record(b.Context(), specs, &p)
		if err != nil || len(rec.GetParsed().GetOutlinks()) != 41 {
			b.Fatalf("%d links, %v", len(rec.GetParsed().GetOutlinks()), err)
		}
		if _, err := proto.Marshal(rec); err != nil {
			b.Fatal(err)
		}
	}
}
