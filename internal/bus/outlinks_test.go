package bus

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestPackOutlinks(t *testing.T) {
	t.Parallel()
	links := make([]*crawlv1.Outlink, 50_000)
	for i := range links {
		links[i] = &crawlv1.Outlink{Url: fmt.Sprintf("https://shop.example/category/%d/product-%d.html", i%97, i*7919), Depth: 2, Priority: int32(i % 3)}
	}
	p, err := PackOutlinks(links)
	if err != nil {
		t.Fatal(err)
	}
	if n := proto.Size(p); n > 900<<10 || p.GetCount() != 50_000 {
		t.Errorf("%d links take %d bytes", p.GetCount(), n)
	}
	got, err := UnpackOutlinks(p)
	if err != nil || !proto.Equal(&crawlv1.Result{Outlinks: links}, &crawlv1.Result{Outlinks: got}) {
		t.Errorf("%d links came back, %v", len(got), err)
	}
	if got, err := UnpackOutlinks(nil); got != nil || err != nil {
		t.Errorf("nothing packed: %v, %v", got, err)
	}
	if _, err := UnpackOutlinks(&crawlv1.PackedOutlinks{Deflate: []byte("garbage")}); err == nil {
		t.Error("garbage was unpacked")
	}
}
