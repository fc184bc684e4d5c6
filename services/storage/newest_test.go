package storage

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// TestNewest: the last rows of a list in its own order, also where another crawl has
// written much since.
func TestNewest(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var recs []*crawlv1.Record
	for n := range 900 {
		r := record(n, "x")
		if n%100 == 50 {
			r.Fetch.Status, r.Fetch.Error, r.Parsed.Items = 404, crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX, nil
		}
		recs = append(recs, r)
	}
	b.publish(t, recs...)
	pages := func(req *storagev1.ListPagesRequest) (got []*storagev1.PageInfo, err error) {
		req.CrawlId, req.Newest = crawlID, true
		s, err := b.client.ListPages(t.Context(), req)
		for err == nil {
			var m *storagev1.ListPagesResponse
			if m, err = s.Recv(); err == nil {
				got = append(got, m.GetPages()...)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return got, err
	}
	everything, err := pages(&storagev1.ListPagesRequest{Limit: 1000})
	if err != nil || len(everything) != len(recs) {
		t.Fatalf("%d pages, %v", len(everything), err)
	}
	ordered := slices.IsSortedFunc(everything, func(a, b *storagev1.PageInfo) int { return int(a.GetCursor()) - int(b.GetCursor()) })
	got, err := pages(&storagev1.ListPagesRequest{Limit: 7})
	if err != nil || !ordered || len(got) != 7 || got[0].GetUrl() != everything[len(everything)-7].GetUrl() || got[6].GetUrl() != everything[len(everything)-1].GetUrl() {
		t.Errorf("the last 7: %v, %v, all in order %v", got, err, ordered)
	}
	failed := &storagev1.PageFilter{Statuses: []uint32{404}}
	if got, err = pages(&storagev1.ListPagesRequest{Limit: 5, Filter: failed}); err != nil || len(got) != 5 {
		t.Errorf("the last 5 of 9 that failed: %v, %v", got, err)
	}
	if got, err = pages(&storagev1.ListPagesRequest{Limit: 50, Filter: failed, After: everything[800].GetCursor()}); err != nil || len(got) != 1 {
		t.Errorf("those that failed behind a cursor: %v, %v", got, err)
	}
	for _, limit := range []uint64{0, 1001} {
		if _, err := pages(&storagev1.ListPagesRequest{Limit: limit}); crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), "want 1 to 1000") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	items := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID, Newest: true, Limit: 20})
	all := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID})
	if len(items) != 20 || len(all) != 891 || items[0].GetCursor() != all[len(all)-20].GetCursor() || items[19].GetCursor() != all[len(all)-1].GetCursor() {
		t.Errorf("the last 20 of %d items: %v", len(all), items)
	}
	if none := b.items(t, &storagev1.ListItemsRequest{CrawlId: "unknown", Newest: true, Limit: 20}); len(none) != 0 {
		t.Errorf("items of nothing: %v", none)
	}
}

// TestNearEnd: the end of a list is found in few looks, wherever it is.
func TestNearEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ last, end uint64 }{{0, 0}, {10, 0}, {10, 10}, {1e6, 1e6}, {1e6, 1}, {1e6, 499_999}, {1 << 40, 12345}, {1 << 40, 0}} {
		t.Run(fmt.Sprintf("%d of %d", tt.end, tt.last), func(t *testing.T) {
			t.Parallel()
			looks := 0
			got, err := nearEnd(tt.last, func(after uint64) (bool, error) { looks++; return tt.end > after, nil })
			if err != nil || looks > 80 || tt.end > 0 && (got >= tt.end || tt.end-got > newestStep) || tt.end == 0 && got != 0 {
				t.Errorf("%d after %d looks, %v", got, looks, err)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := nearEnd(1000, func(uint64) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}
