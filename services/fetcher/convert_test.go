package fetcher

import (
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

func TestHeadersMarshal(t *testing.T) {
	t.Parallel()
	list := headers([]client.Header{{Name: "A", Value: "1"}, {Name: "B\xff", Value: "\xff\xfe"}, {Name: "C", Value: ""}})
	data, err := proto.Marshal(&crawlv1.FetchResult{ResponseHeaders: list})
	if err != nil {
		t.Fatal(err)
	}
	var back crawlv1.FetchResult
	if err := proto.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if h := back.GetResponseHeaders(); len(h) != 3 || string(h[1].GetValue()) != "\xff\xfe" || !utf8.ValidString(h[1].GetName()) {
		t.Errorf("headers %v", h)
	}
}

func TestClassesFitTheWire(t *testing.T) {
	t.Parallel()
	if int(crawl.ClassRender) != int(crawlv1.ErrorClass_ERROR_CLASS_RENDER) || len(crawlv1.ErrorClass_name) != crawl.Classes {
		t.Error("crawl.Class and crawlv1.ErrorClass differ")
	}
}

// TestRobotsAreReadWhole: a crawl that takes little of a page still reads what a site
// forbids.
func TestRobotsAreReadWhole(t *testing.T) {
	t.Parallel()
	p := prepare(t, "{max_body: 1000}")
	if p.page.MaxBody != 1000 || p.robots.MaxBody < 500<<10 {
		t.Errorf("pages of %d bytes, robots.txt of %d", p.page.MaxBody, p.robots.MaxBody)
	}
}
