package bus

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// someLinks are n links of all kinds.
func someLinks(n int) []*crawlv1.Outlink {
	var out []*crawlv1.Outlink
	for i := range n {
		out = append(out, &crawlv1.Outlink{
			Url: fmt.Sprintf("http://a.example/p/%d", i*i), Depth: uint32(i % 300), Priority: int32(i%5-2) * 1_000_000, Media: i%7 == 3,
		})
	}
	return append(out, &crawlv1.Outlink{})
}

// read makes messages of wire links.
func read(l Outlinks) []*crawlv1.Outlink {
	var out []*crawlv1.Outlink
	l.Each(func(url string, depth uint32, priority int32, media bool) {
		out = append(out, &crawlv1.Outlink{Url: url, Depth: depth, Priority: priority, Media: media})
	})
	return out
}

func someRecord(links []*crawlv1.Outlink, deflate []byte) *crawlv1.Record {
	r := &crawlv1.Record{
		Ref:         &crawlv1.TaskRef{CrawlId: "c", Url: "http://a.example/", Lease: 7},
		Fetch:       &crawlv1.FetchResult{Status: 200},
		Parsed:      &crawlv1.ParseResult{Title: "a title", Outlinks: links, Items: []*crawlv1.Item{{Rule: "page", Json: []byte(`{}`)}}},
		Attachments: []*crawlv1.Attachment{{Data: []byte("more")}},
	}
	if deflate != nil {
		r.Body = &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: deflate}, Size: 12, Sha256: []byte("sum")}
	}
	return r
}

// TestRecordOnTheWire: a record reads as it was, by its own reader and by any other, and
// its result has its links.
func TestRecordOnTheWire(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]*crawlv1.Record{
		"all":        someRecord(someLinks(300), []byte("deflated")),
		"no links":   someRecord(nil, []byte("deflated")),
		"no body":    someRecord(someLinks(3), nil),
		"empty body": someRecord(someLinks(3), []byte{}),
		"by ref":     {Body: &crawlv1.Body{Data: &crawlv1.Body_Ref{Ref: "there"}}},
		"unparsed":   {Ref: &crawlv1.TaskRef{CrawlId: "c"}},
		"bare links": {Parsed: &crawlv1.ParseResult{Outlinks: someLinks(1)}},
		"bare body":  {Body: &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: []byte{1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := proto.CloneOf(want)
			data, err := Record(want).marshal([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			data = data[len("before"):]
			if !proto.Equal(want, before) {
				t.Fatal("the record was changed")
			}
			if n := RecordSize(want); n > len(data)+8 || n < len(data)-16 {
				t.Errorf("%d bytes, and RecordSize says %d", len(data), n)
			}
			var other crawlv1.Record
			if err := proto.Unmarshal(data, &other); err != nil || !proto.Equal(&other, want) {
				t.Fatalf("any other reader: %v\n%v\n%v", err, &other, want)
			}
			got, links, err := ReadRecord(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(want.GetParsed().GetOutlinks()) > 0 && (links.Count() == 0 || len(got.GetParsed().GetOutlinks()) > 0) {
				t.Error("the links are not on the wire")
			}
			r := Result(&crawlv1.Result{Ref: got.GetRef(), Status: 200})
			r.Outlinks = links
			checkResult(t, r, want.GetParsed().GetOutlinks())
			if links.Count() > 0 {
				got.Parsed.Outlinks = read(links)
			}
			if !proto.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// checkResult: the result of a record has its links, for any reader.
func checkResult(t *testing.T, m Message, want []*crawlv1.Outlink) {
	t.Helper()
	data, err := m.marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	var other crawlv1.Result
	if err := proto.Unmarshal(data, &other); err != nil || !proto.Equal(&crawlv1.Result{Outlinks: other.GetOutlinks()}, &crawlv1.Result{Outlinks: want}) {
		t.Fatalf("any other reader: %v, %d links of %d", err, len(other.GetOutlinks()), len(want))
	}
	got, links, err := ReadResult(data)
	if err != nil || got.GetStatus() != 200 || links.Count() != len(want) || len(got.GetOutlinks()) > 0 {
		t.Fatalf("result: %v, %v with %d links of %d", err, got, links.Count(), len(want))
	}
	if !proto.Equal(&crawlv1.Result{Outlinks: read(links)}, &crawlv1.Result{Outlinks: want}) {
		t.Error("other links")
	}
}

func TestPageOnTheWire(t *testing.T) {
	t.Parallel()
	want := &crawlv1.Page{
		Ref: &crawlv1.TaskRef{CrawlId: "c", Url: "http://a.example/"}, Fetch: &crawlv1.FetchResult{Status: 200},
		Body:        &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: []byte("deflated")}, Size: 12},
		Attachments: []*crawlv1.Attachment{{}, {Data: []byte{0x22, 0}}},
	}
	data, err := Page(want).marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadPage(data)
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("%v: got %v, want %v", err, got, want)
	}
	if body := got.GetBody().GetDeflate(); cap(body) != len(body) || !bytes.Contains(data, body) || &data[len(data)-1] != &body[len(body)-1] {
		t.Error("the body is not the message's memory, alone")
	}
	if _, err := ReadPage(data[:len(data)-1]); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("a page cut short: %v", err)
	}
}

// TestOtherOrders: what others write in another order reads as well.
func TestOtherOrders(t *testing.T) {
	t.Parallel()
	want := someRecord(someLinks(5), []byte("deflated"))
	plain, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := Record(want).marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	reparse, err := proto.Marshal(&crawlv1.Record{Reparse: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"plain": plain, "something behind": append(bytes.Clone(wire), reparse...), "something before": append(bytes.Clone(reparse), wire...)} {
		var other crawlv1.Record
		if err := proto.Unmarshal(data, &other); err != nil {
			t.Fatal(err)
		}
		got, links, err := ReadRecord(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if links.Count() > 0 {
			got.Parsed.Outlinks = read(links)
		}
		if !proto.Equal(got, &other) {
			t.Errorf("%s: got %v, want %v", name, got, &other)
		}
	}
}

// FuzzRead: whatever comes reads as any other reader reads it, or both refuse it.
func FuzzRead(f *testing.F) {
	for _, m := range []Message{
		Record(someRecord(someLinks(3), []byte("deflated"))), Record(someRecord(nil, nil)),
		Result(&crawlv1.Result{Ref: &crawlv1.TaskRef{Url: "u"}, Outlinks: someLinks(2), Status: 3}),
		Page(&crawlv1.Page{Body: &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: []byte("deflated")}}}),
	} {
		data, err := m.marshal(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		same := func(what string, got, want proto.Message, err, wantErr error) {
			// Strings that are no UTF-8 are refused by the other reader only where it reads them.
			if wantErr == nil && (err != nil || !proto.Equal(got, want)) {
				t.Errorf("%s: %v\ngot  %v\nwant %v", what, err, got, want)
			}
		}
		var record crawlv1.Record
		wantErr := proto.Unmarshal(data, &record)
		gotRecord, links, err := ReadRecord(data)
		if err == nil && links.Count() > 0 {
			gotRecord.Parsed.Outlinks = append(gotRecord.GetParsed().GetOutlinks(), read(links)...)
		}
		same("record", gotRecord, &record, err, wantErr)
		var result crawlv1.Result
		wantErr = proto.Unmarshal(data, &result)
		gotResult, links, err := ReadResult(data)
		if err == nil && links.Count() > 0 {
			gotResult.Outlinks = append(gotResult.GetOutlinks(), read(links)...)
		}
		same("result", gotResult, &result, err, wantErr)
		var page crawlv1.Page
		wantErr = proto.Unmarshal(data, &page)
		gotPage, err := ReadPage(data)
		same("page", gotPage, &page, err, wantErr)
	})
}
