package bus

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// someResults are those of as many visits from one on, of partitions in turn.
func someResults(to uint64, partitions uint32) []Message {
	var out []Message
	for n := uint64(1); n <= to; n++ {
		out = append(out, Result(&crawlv1.Result{Ref: &crawlv1.TaskRef{
			CrawlId: "c", UrlKey: []byte(strconv.FormatUint(n, 10)), Lease: n, Partition: uint32(n) % partitions,
		}, Outlinks: someLinks(3)}))
	}
	return out
}

func TestBundle(t *testing.T) {
	t.Parallel()
	long := someResults(6, 1)
	for _, m := range long[1:5] {
		m.Body.(*crawlv1.Result).Robots = make([]byte, 50<<10)
	}
	long[5].Body.(*crawlv1.Result).Robots = make([]byte, 500<<10)
	traced := someResults(4, 1)
	traced[1].Trace, traced[2].Trace = "00-a", "00-b"
	for name, tc := range map[string]struct {
		results  []Message
		messages []string // subjects in order
	}{
		"none":                     {nil, nil},
		"one":                      {someResults(1, 1), []string{"0"}},
		"of one partition":         {someResults(64, 1), []string{"0"}},
		"more than go into one":    {someResults(130, 1), []string{"0", "0", "0"}},
		"of three partitions":      {someResults(9, 3), []string{"1", "2", "0"}},
		"long ones":                {long, []string{"0", "0", "0"}},
		"traced ones are alone":    {traced, []string{"0", "0", "0"}},
		"each of its own":          {someResults(5, 64), []string{"1", "2", "3", "4", "5"}},
		"more of many than of one": {someResults(130, 2), []string{"1", "0", "1", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			ids := map[string]bool{}
			for _, m := range bundle(tc.results) {
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

// TestBundleOnTheWire: a bundle holds each message as it would be alone, for any reader,
// and says whose visits it is about.
func TestBundleOnTheWire(t *testing.T) {
	t.Parallel()
	msgs := []Message{
		Record(someRecord(someLinks(30), []byte("deflated"))), Record(someRecord(nil, bytes.Repeat([]byte("x"), 3<<10))),
		Record(&crawlv1.Record{Ref: &crawlv1.TaskRef{CrawlId: "c", Lease: 9}, Reparse: true}),
	}
	var want [][]byte
	for _, m := range msgs {
		data, err := m.marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, data)
	}
	all := bundle(msgs)
	if len(all) != 1 {
		t.Fatalf("%d messages", len(all))
	}
	buf := make([]byte, 0, 1)
	data, err := all[0].marshal(buf)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > all[0].room {
		t.Errorf("%d bytes, and there was room for %d", len(data), all[0].room)
	}
	var other crawlv1.Bundle
	if err := proto.Unmarshal(data, &other); err != nil || !slices.EqualFunc(other.GetMessages(), want, bytes.Equal) {
		t.Errorf("any other reader: %v, %d messages", err, len(other.GetMessages()))
	}
	parts, ok := partsOf(data)
	if !ok || !slices.EqualFunc(parts, want, bytes.Equal) {
		t.Errorf("%d parts, %v", len(parts), ok)
	}
	if diff := cmp.Diff([]uint64{7, 7, 0}, leasesIn(all[0].leases())); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	for i, m := range apart("weir.record.c", all[0].leases(), parts, 3) {
		alone, err := m.marshal(nil)
		if err != nil || !bytes.Equal(alone, want[i]) || m.Lease != []uint64{7, 7, 0}[i] || m.ID != "apart-3-"+strconv.Itoa(i) {
			t.Errorf("apart %d: %v, %v", i, m, err)
		}
	}
}

// FuzzPartsOf: what is taken apart reads as any other reader reads it.
func FuzzPartsOf(f *testing.F) {
	for _, data := range [][]byte{{}, {0x0a, 0}, {0x0a, 1, 7, 0x0a, 0}, {0x0a, 0x81, 0x80, 0x80, 0, 7}, {0x0a, 9, 1}, {0x10, 1}} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, ok := partsOf(data)
		var other crawlv1.Bundle
		err := proto.Unmarshal(data, &other)
		if ok && (err != nil || !slices.EqualFunc(other.GetMessages(), parts, bytes.Equal)) {
			t.Errorf("%d parts, and %d for any other reader: %v", len(parts), len(other.GetMessages()), err)
		}
		if n := len(other.GetMessages()); !ok && err == nil && n > 0 && n <= maxBundle && len(other.ProtoReflect().GetUnknown()) == 0 {
			t.Errorf("no bundle, and %d messages for any other reader", n)
		}
	})
}
