package export

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// stopping is a storage whose readings break off after some items each, as when it is
// stopped and another replica takes over.
type stopping struct {
	storagev1.StorageServiceClient
	items  uint64
	breaks []uint64 // after how many items each reading breaks off; the rest are whole
	kind   crawl.Kind
	asked  []uint64 // cursors
}

func (s *stopping) ListItems(_ context.Context, req *storagev1.ListItemsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[storagev1.ListItemsResponse], error) {
	s.asked = append(s.asked, req.GetAfter())
	r := &reading{next: req.GetAfter() + 1, last: s.items, end: io.EOF}
	if n := req.GetLimit(); n > 0 {
		r.last = min(r.last, req.GetAfter()+n)
	}
	if len(s.breaks) > 0 {
		r.last, r.end = min(r.last, req.GetAfter()+s.breaks[0]), crawl.Errorf(s.kind, "the server is stopping")
		s.breaks = s.breaks[1:]
	}
	return r, nil
}

// reading is one stream, an item a message.
type reading struct {
	grpc.ClientStream
	next, last uint64
	end        error
}

func (r *reading) Recv() (*storagev1.ListItemsResponse, error) {
	if r.next > r.last {
		return nil, r.end
	}
	r.next++
	return &storagev1.ListItemsResponse{Items: []*storagev1.StoredItem{{Cursor: r.next - 1}}}, nil
}

func TestRemoteGoesOn(t *testing.T) {
	t.Parallel()
	bad := errors.New("disk full")
	tests := []struct {
		name   string
		breaks []uint64
		kind   crawl.Kind
		limit  uint64
		fails  uint64 // the item that cannot be written
		want   uint64 // last cursor
		asked  []uint64
		err    bool
	}{
		{name: "whole", want: 10, asked: []uint64{0}},
		{name: "stopped twice", breaks: []uint64{3, 4}, kind: crawl.Unavailable, want: 10, asked: []uint64{0, 3, 7}},
		{name: "not back at once", breaks: []uint64{3, 0, 0, 2}, kind: crawl.Unavailable, want: 10, asked: []uint64{0, 3, 3, 3, 5}},
		{name: "with a limit", breaks: []uint64{3}, kind: crawl.Unavailable, limit: 5, want: 5, asked: []uint64{0, 3}},
		{name: "never there", breaks: []uint64{0}, kind: crawl.Unavailable, asked: []uint64{0}, err: true},
		{name: "another error", breaks: []uint64{3}, kind: crawl.Internal, want: 3, asked: []uint64{0}, err: true},
		{name: "the reader's error", fails: 4, want: 3, asked: []uint64{0}, err: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stopping{items: 10, breaks: tt.breaks, kind: tt.kind}
				r := Remote{Client: s, Request: &storagev1.ListItemsRequest{CrawlId: "c"}}
				var got []uint64
				last, err := r.Each(t.Context(), 0, tt.limit, func(item *storagev1.StoredItem) error {
					if item.GetCursor() == tt.fails {
						return bad
					}
					got = append(got, item.GetCursor())
					return nil
				})
				if (err != nil) != tt.err || tt.fails > 0 && !errors.Is(err, bad) {
					t.Errorf("got %v", err)
				}
				want := make([]uint64, tt.want)
				for i := range want {
					want[i] = uint64(i + 1)
				}
				if last != tt.want || !cmp.Equal(append([]uint64{}, got...), want) {
					t.Errorf("items %v to %d, want each of %d once", got, last, tt.want)
				}
				if diff := cmp.Diff(tt.asked, s.asked); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
