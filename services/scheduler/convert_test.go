package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// The frontier's classes, states and orders are converted by number.
func TestNumbersMirrorTheProtos(t *testing.T) {
	t.Parallel()
	for n, name := range crawlv1.ErrorClass_name {
		want := strings.ToLower(strings.TrimPrefix(name, "ERROR_CLASS_"))
		if n == 0 {
			want = crawl.ClassNone.String()
		}
		if got := crawl.Class(n).String(); got != want {
			t.Errorf("class %d is %s, in the proto %s", n, got, want)
		}
	}
	for n, name := range crawlv1.CrawlState_name {
		want := strings.ToLower(strings.TrimPrefix(name, "CRAWL_STATE_"))
		if n == 0 {
			continue
		}
		if got := frontier.State(n).String(); got != want {
			t.Errorf("state %d is %s, in the proto %s", n, got, want)
		}
	}
	if int32(frontier.BreadthFirst) != int32(crawlv1.Order_ORDER_BREADTH_FIRST) ||
		int32(frontier.DepthFirst) != int32(crawlv1.Order_ORDER_DEPTH_FIRST) {
		t.Error("orders differ from the proto's")
	}
}

func TestUnknownClassIsOther(t *testing.T) {
	t.Parallel()
	for _, c := range []crawlv1.ErrorClass{-1, crawlv1.ErrorClass(crawl.Classes), 4711} {
		if got := classFromProto(c); got != crawl.ClassOther {
			t.Errorf("class %d became %s, want other", c, got)
		}
	}
}

// Storage tells attempts apart by the key of their URL: without it the robots.txt
// of a second host would be taken for that of the first.
func TestTasksHaveTheKeyOfTheirURL(t *testing.T) {
	t.Parallel()
	u, err := weburl.FromCanonical("http://a.test/robots.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]frontier.Lease{
		"page":   {Item: frontier.Item{URL: u, Key: u.Key()}},
		"robots": {Item: frontier.Item{URL: u}, Robots: true},
	} {
		task := taskFromLease(l, "c", time.Now())
		if got := weburl.Key(task.GetRef().GetUrlKey()); got != u.Key() {
			t.Errorf("%s: key %s, want %s", name, got, u.Key())
		}
	}
}
