package parser

import (
	"context"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// headerRoom is what a message needs beside its body: subject, id and headers.
const headerRoom = 4 << 10

// publish sends a record, with its place in a trace, and waits until it is kept.
func (s *Service) publish(ctx context.Context, rec *crawlv1.Record, place string) error {
	if err := s.fit(ctx, rec, s.deps.Bus.MaxPayload()-headerRoom); err != nil {
		return err
	}
	msg := bus.Record(rec)
	msg.Trace = place
	return s.deps.Bus.PublishBundled(ctx, msg)
}

// fit makes a record fit a message: a page with thousands of links or long items
// may take more than the server allows. The body moves to storage; where that is
// not enough, links are compressed, then dropped from the end of the page, then
// items, with a warning.
func (s *Service) fit(ctx context.Context, rec *crawlv1.Record, limit int) error {
	if bus.RecordSize(rec) <= limit {
		return nil
	}
	if data := rec.GetBody().GetDeflate(); len(data) > 0 && s.deps.Storage != nil {
		ref, err := s.putBody(ctx, rec.GetRef().GetCrawlId(), data)
		if err != nil {
			return err
		}
		old := rec.GetBody()
		rec.Body = &crawlv1.Body{
			Data: &crawlv1.Body_Ref{Ref: ref}, Size: old.GetSize(), Sha256: old.GetSha256(), Crc32: old.GetCrc32(),
		}
		s.m.cut.WithLabelValues("body").Inc()
	}
	p := rec.GetParsed()
	if n := len(p.GetRejects()); proto.Size(rec) > limit && n > 0 {
		p.Rejects = shorten(p.GetRejects(), proto.Size(rec)-limit)
		p.Warning = join(p.GetWarning(), "the page has more rejected items than fit a message")
		s.m.cut.WithLabelValues("rejects").Inc()
	}
	if len(p.GetOutlinks()) > 0 && proto.Size(rec) > limit {
		if err := s.packLinks(rec, limit); err != nil {
			return err
		}
	}
	if n := len(p.GetItems()); proto.Size(rec) > limit && n > 0 {
		p.Items = shorten(p.GetItems(), proto.Size(rec)-limit)
		p.Warning = join(p.GetWarning(), "the page has more items than fit a message")
		s.m.cut.WithLabelValues("items").Inc()
	}
	return nil
}

// packLinks compresses the links of a record, and drops links from the end where
// even that does not make the record fit. Links go before items: other pages may
// have them too, items are nowhere else.
func (s *Service) packLinks(rec *crawlv1.Record, limit int) error {
	p := rec.GetParsed()
	links := p.GetOutlinks()
	p.Outlinks = nil
	// 128 bytes for the warning below.
	room := limit - proto.Size(rec) - 128
	for n := len(links); n > 0; n -= max(n/4, 1) {
		packed, err := bus.PackOutlinks(links[:n])
		if err != nil {
			return err
		}
		if elementSize(packed)+1 > room { // its field number takes two bytes
			continue
		}
		p.PackedOutlinks = packed
		s.m.cut.WithLabelValues("packed").Inc()
		break
	}
	if int(p.GetPackedOutlinks().GetCount()) < len(links) {
		p.Warning = join(p.GetWarning(), "the page has more links than fit a message")
		s.m.cut.WithLabelValues("links").Inc()
	}
	return nil
}

// elementSize is what a message takes as an element of a list.
func elementSize(m proto.Message) int { return 1 + protowire.SizeBytes(proto.Size(m)) }

// shorten drops elements from the end until they made excess bytes less, and 128
// more for the warning.
func shorten[T proto.Message](list []T, excess int) []T {
	for excess += 128; excess > 0 && len(list) > 0; list = list[:len(list)-1] {
		excess -= elementSize(list[len(list)-1])
	}
	return list
}
