package bus_test

import (
	"context"
	"testing"

	"github.com/weircrawl/weir/internal/bus"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestReportsOfAChangingSet(t *testing.T) {
	t.Parallel()
	_, b := start(t, bus.EmbeddedConfig())
	set := bus.NewPartitionSet(1)
	got := make(chan uint64, 1000)
	background(t, func(ctx context.Context) error {
		return b.Reports(ctx, set, func(r *crawlv1.FetchReport) { got <- r.GetLease() })
	})
	// Reports sent before the subscription are lost, so send until what is wanted
	// comes. A lease is its partition's number here.
	sendUntil := func(what string, enough func(seen map[uint64]int) bool) map[uint64]int {
		seen := make(map[uint64]int)
		eventually(t, what, func() bool {
			for p := range uint32(4) {
				if err := b.SendReport(p, &crawlv1.FetchReport{Lease: uint64(p)}); err != nil {
					t.Errorf("send: %v", err)
				}
			}
			for {
				select {
				case l := <-got:
					seen[l]++
				default:
					return enough(seen)
				}
			}
		})
		return seen
	}
	if seen := sendUntil("partition 1 reports", func(s map[uint64]int) bool { return s[1] > 0 }); len(seen) != 1 {
		t.Errorf("seen %v, want only partition 1", seen)
	}
	set.Add(2)
	set.Add(2)
	set.Remove(1)
	set.Remove(3)
	sendUntil("partition 2 reports", func(s map[uint64]int) bool { return s[2] > 0 })
	// What was on its way is through.
	if seen := sendUntil("partition 2 reports alone", func(s map[uint64]int) bool { return s[2] > 2 }); seen[0]+seen[3] > 0 {
		t.Errorf("seen %v", seen)
	}
	eventually(t, "partition 1 is silent", func() bool {
		return sendUntil("2", func(s map[uint64]int) bool { return s[2] > 2 })[1] == 0
	})
}
