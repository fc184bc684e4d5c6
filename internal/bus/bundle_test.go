package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// results of as many visits from one on, of partitions in turn.
func results(from, to uint64, partitions uint32) []bus.Message {
	var out []bus.Message
	for n := from; n <= to; n++ {
		r := &crawlv1.Result{Ref: ref(n)}
		r.Ref.Partition = uint32(n) % partitions
		out = append(out, bus.Result(r))
	}
	return out
}

func TestBundle(t *testing.T) {
	t.Parallel()
	long := results(1, 6, 1)
	for _, m := range long[1:5] {
		m.Body.(*crawlv1.Result).Robots = make([]byte, 50<<10)
	}
	long[5].Body.(*crawlv1.Result).Robots = make([]byte, 500<<10)
	traced := results(1, 4, 1)
	traced[1].Trace, traced[2].Trace = "00-a", "00-b"
	for name, tc := range map[string]struct {
		results  []bus.Message
		messages []string // subjects in order
	}{
		"none":                     {nil, nil},
		"one":                      {results(1, 1, 1), []string{"0"}},
		"of one partition":         {results(1, 64, 1), []string{"0"}},
		"more than go into one":    {results(1, 130, 1), []string{"0", "0", "0"}},
		"of three partitions":      {results(1, 9, 3), []string{"1", "2", "0"}},
		"long ones":                {long, []string{"0", "0", "0"}},
		"traced ones are alone":    {traced, []string{"0", "0", "0"}},
		"each of its own":          {results(1, 5, 64), []string{"1", "2", "3", "4", "5"}},
		"more of many than of one": {results(1, 130, 2), []string{"1", "0", "1", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			ids := map[string]bool{}
			for _, m := range bus.Bundle(tc.results) {
				got = append(got, strings.TrimPrefix(m.Subject, "weir.result."))
				ids[m.ID] = true
			}
			if diff := cmp.Diff(tc.messages, got); diff != "" {
				t.Errorf("subjects (-want +got):\n%s", diff)
			}
			if len(ids) != len(got) {
				t.Errorf("%d ids of %d messages", len(ids), len(got))
			}
		})
	}
}

// TestBundlesArrive: every result of every partition, once, in order, its lease in flight
// until it is acked, whether it came alone or with others.
func TestBundlesArrive(t *testing.T) {
	t.Parallel()
	b := start2(t, 3)
	if err := b.PublishAll(t.Context(), bus.Bundle(results(1, 500, 3))...); err != nil {
		t.Fatal(err)
	}
	if err := b.PublishAll(t.Context(), results(501, 502, 3)...); err != nil {
		t.Fatal(err)
	}
	leases, err := b.InFlight(t.Context())
	if err != nil || len(leases) != 502 {
		t.Fatalf("in flight: %d of 502, %v", len(leases), err)
	}
	got := newSeen(502)
	last := map[uint32]uint64{}
	messages := 0
	set := bus.NewConsumerSet(bus.ResultConsumer(0), bus.ResultConsumer(1), bus.ResultConsumer(2))
	stop := background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 64}, func(_ context.Context, ds []bus.Delivery) error {
			for _, d := range ds {
				messages++
				err := bus.ReadResults(d.Data, func(r *crawlv1.Result, _ bus.Outlinks) error {
					p, n := r.GetRef().GetPartition(), r.GetRef().GetLease()
					if n < last[p] {
						t.Errorf("partition %d: %d after %d", p, n, last[p])
					}
					last[p] = n
					got.add(n)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	got.wait(t)
	eventually(t, "all are acked", func() bool {
		return lag(t, b, "WEIR_RESULTS/result-0")+lag(t, b, "WEIR_RESULTS/result-1")+lag(t, b, "WEIR_RESULTS/result-2") == 0
	})
	stop()
	if got.total() != 502 || messages != 11 { // three bundles of each partition, and two alone
		t.Errorf("%d results in %d messages", got.total(), messages)
	}
	if leases, err := b.InFlight(t.Context()); err != nil || len(leases) != 0 {
		t.Errorf("in flight after all: %v, %v", leases, err)
	}
}

// TestPoisonInABundle: the result that cannot be handled becomes a dead letter, and the
// others come alone.
func TestPoisonInABundle(t *testing.T) {
	t.Parallel()
	b := start2(t, 1)
	if err := b.PublishAll(t.Context(), bus.Bundle(results(1, 10, 1))...); err != nil {
		t.Fatal(err)
	}
	got := newSeen(9)
	background(t, func(ctx context.Context) error {
		return b.ConsumeBatch(ctx, bus.NewConsumerSet(bus.ResultConsumer(0)), bus.BatchOptions{Max: 64, Age: time.Millisecond}, func(_ context.Context, ds []bus.Delivery) error {
			var ns []uint64
			for _, d := range ds {
				err := bus.ReadResults(d.Data, func(r *crawlv1.Result, _ bus.Outlinks) error {
					ns = append(ns, r.GetRef().GetLease())
					return nil
				})
				if err != nil {
					return err
				}
			}
			if slices.Contains(ns, 4) {
				return crawl.Errorf(crawl.Invalid, "nonsense")
			}
			for _, n := range ns {
				got.add(n)
			}
			return nil
		})
	})
	got.wait(t)
	eventually(t, "all are settled", func() bool { return lag(t, b, "WEIR_RESULTS/result-0") == 0 })
	letters, err := b.ListDead(t.Context(), 0, 10)
	if err != nil || len(letters) != 1 || leaseOf(t, bus.Delivery{Data: letters[0].GetData()}) != 4 || got.total() != 9 {
		t.Errorf("%v: %d dead letters %v, %d others", err, len(letters), letters, got.total())
	}
}

func TestReadResultsRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"cut short":              {0xc2, 0x01, 5, 0x20, 200},
		"another field behind":   {0xc2, 0x01, 2, 0x20, 7, 0x20, 7},
		"no result in it":        {0xc2, 0x01, 1, 0xff},
		"a number in its place":  {0xc0, 0x01, 1},
		"no message of anything": {0xff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := bus.ReadResults(data, func(*crawlv1.Result, bus.Outlinks) error { return nil })
			if crawl.KindOf(err) != crawl.Invalid {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := bus.ReadResults(nil, func(r *crawlv1.Result, _ bus.Outlinks) error { return fmt.Errorf("it is %d", r.GetStatus()) }); err == nil || err.Error() != "it is 0" {
		t.Errorf("the error of the caller: %v", err)
	}
}
