package scheduler

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// TestDeadReading: a dead letter of a stored page that was to be read again fails no
// URL: its visit ended well.
func TestDeadReading(t *testing.T) {
	t.Parallel()
	ref := &crawlv1.TaskRef{CrawlId: "one", Url: "http://example.com/"}
	for _, tt := range []struct {
		name, stream string
		message      proto.Message
		visit        bool
	}{
		{"page", bus.StreamPages, &crawlv1.Page{Ref: ref}, true},
		{"record", bus.StreamRecords, &crawlv1.Record{Ref: ref}, true},
		{"task", bus.StreamTasks, &crawlv1.FetchTask{Ref: ref}, true},
		{"page of storage", bus.StreamPages, &crawlv1.Page{Ref: ref, Reparse: true}, false},
		{"reading", bus.StreamRecords, &crawlv1.Record{Ref: ref, Reparse: true}, false},
	} {
		data, err := proto.Marshal(tt.message)
		if err != nil {
			t.Fatal(err)
		}
		if got := refOf(&crawlv1.DeadLetter{Stream: tt.stream, Data: data}); (got != nil) != tt.visit {
			t.Errorf("%s: about %v", tt.name, got)
		}
	}
}
