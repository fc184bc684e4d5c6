package bus

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// A message costs the bus much the same however long it is: its publishing and the ack
// of that, a write to a file, an id that is remembered, its delivery, ack and removal. So
// messages of one subject that are there at the same time go as one, a bundle (ADR-0044).
// Only the bus knows: it takes them apart again before a handler sees them.

const (
	// maxBundle and maxBundleBytes bound a bundle: it is in the hands of one process,
	// which settles it as a whole.
	maxBundle      = 64
	maxBundleBytes = 128 << 10
	// fieldMessages of crawlv1.Bundle.
	fieldMessages = 1
	// partHead is room for the tag and the length of each message, and for what RecordSize
	// is too short. The length is written in four bytes once it is known.
	partHead = 5 + 16
)

// pack is a bundle that is being made. The zero value is empty.
type pack struct {
	msgs  []Message
	bytes int
}

// fits reports whether a message of a size goes in: the first always does.
func (p *pack) fits(size int) bool {
	return len(p.msgs) == 0 || len(p.msgs) < maxBundle && p.bytes+size <= maxBundleBytes
}

func (p *pack) add(m Message, size int) {
	p.msgs = append(p.msgs, m)
	p.bytes += size
}

// message is what is published: one that is alone goes as itself.
func (p *pack) message() Message {
	if len(p.msgs) == 1 {
		return p.msgs[0]
	}
	return Message{
		Subject: p.msgs[0].Subject, parts: p.msgs, room: p.bytes + partHead*len(p.msgs),
		ID: "bundle-" + rand.Text(), // of its own: what is published again may be bundled with others
	}
}

// bundle puts messages of the same subject into one, those of one subject in their order.
// One that is longer than a bundle may be goes alone, and so does one that is traced,
// since a message has one place in a trace.
func bundle(msgs []Message) []Message {
	var packs []*pack
	open := make(map[string]*pack)
	for _, m := range msgs {
		size := m.size()
		p := open[m.Subject]
		if p == nil || m.Trace != "" || !p.fits(size) {
			p = new(pack)
			packs = append(packs, p)
		}
		if p.add(m, size); m.Trace == "" {
			open[m.Subject] = p
		}
	}
	out := make([]Message, len(packs))
	for i, p := range packs {
		out[i] = p.message()
	}
	return out
}

// size is about the length of a message on the wire.
func (m Message) size() int {
	if len(m.wire) > 0 {
		return len(m.wire)
	}
	if r, ok := m.Body.(*crawlv1.Record); ok {
		return RecordSize(r)
	}
	return proto.Size(m.Body) + len(m.Outlinks.fields)
}

// appendBundle appends the wire form of crawlv1.Bundle.
func appendBundle(b []byte, m Message) ([]byte, error) {
	b = slices.Grow(b, m.room)
	for _, m := range m.parts {
		b = protowire.AppendTag(b, fieldMessages, protowire.BytesType)
		at := len(b)
		b = append(b, 0x80, 0x80, 0x80, 0)
		var err error
		if b, err = m.marshal(b); err != nil {
			return b, err
		}
		for i, n := 0, len(b)-at-4; i < 4; i, n = i+1, n>>7 {
			b[at+i] |= byte(n & 0x7f)
		}
	}
	return b, nil
}

// partsOf takes a bundle apart; not ok when it is none.
func partsOf(data []byte) (parts [][]byte, ok bool) {
	for at := 0; at < len(data); {
		num, typ, n := protowire.ConsumeTag(data[at:])
		if n < 0 || num != fieldMessages || typ != protowire.BytesType || len(parts) == maxBundle {
			return nil, false
		}
		at += n
		value, n := protowire.ConsumeBytes(data[at:])
		if n < 0 {
			return nil, false
		}
		at += n
		parts = append(parts, value[:len(value):len(value)])
	}
	return parts, len(parts) > 0
}

// leases is the header that names the visits that a message is about; "" for none.
func (m Message) leases() string {
	if len(m.parts) == 0 {
		if m.Lease == 0 {
			return ""
		}
		return strconv.FormatUint(m.Lease, 16)
	}
	b := make([]byte, 0, 17*len(m.parts))
	for i, p := range m.parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, p.Lease, 16)
	}
	return string(b)
}

// leasesIn reads that header.
func leasesIn(header string) []uint64 {
	if header == "" {
		return nil
	}
	var out []uint64
	for text := range strings.SplitSeq(header, ",") {
		lease, _ := strconv.ParseUint(text, 16, 64) // 0 for none
		out = append(out, lease)
	}
	return out
}

// apart makes messages of the parts of a bundle, to be published one by one.
func apart(subject, header string, parts [][]byte, seq uint64) []Message {
	leases := leasesIn(header)
	out := make([]Message, len(parts))
	for i, data := range parts {
		out[i] = Message{Subject: subject, ID: "apart-" + strconv.FormatUint(seq, 10) + "-" + strconv.Itoa(i), wire: data}
		if i < len(leases) {
			out[i].Lease = leases[i]
		}
	}
	return out
}

// units is how many messages a delivery has.
func (d *delivery) units() int { return max(1, len(d.parts)) }

// each returns a Delivery for every message of a delivery.
func (d *delivery) each() []Delivery {
	if len(d.parts) == 0 {
		return []Delivery{d.Delivery}
	}
	out := make([]Delivery, len(d.parts))
	for i, data := range d.parts {
		out[i] = d.Delivery
		out[i].Data = data
	}
	return out
}

// handleBundle calls h for every message of a bundle, atOnce for all or one after the
// other, and settles the bundle. What is not handled is published again alone, and meets
// what befits its failure there: a bad message costs the others nothing.
func (s *session) handleBundle(ctx context.Context, d *delivery, atOnce bool, h func(context.Context, Delivery) error) {
	all := d.each()
	what, err := s.call(ctx, d.src.consumer.label, func(ctx context.Context) error {
		errs := make([]error, len(all))
		one := func(i int) { errs[i] = guard(func() error { return h(ctx, all[i]) }) }
		var wg sync.WaitGroup
		for i := range all {
			if atOnce {
				wg.Add(1)
				s.crew.Go(func() { defer wg.Done(); one(i) })
			} else {
				one(i)
			}
		}
		wg.Wait()
		if ctx.Err() != nil {
			return crawl.Errorf(crawl.Unavailable, "%w", context.Cause(ctx))
		}
		var left []Message
		for i, m := range apart(d.Subject, d.leases, d.parts, d.sequence) {
			if dispositionOf(errs[i]) != ack {
				s.log.Debug("a message of a bundle goes on alone", "consumer", d.src.consumer.label, "err", errs[i])
				left = append(left, m)
			}
		}
		return s.b.PublishAll(ctx, left...)
	})
	s.settle(ctx, d, what, err)
}
