package bus

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Two parts of a page pass through services that do not look into them: its body
// through the parser, its links through storage. They are written by hand behind the
// rest of their message, in the wire form that everybody knows: a reader puts fields of
// one message together wherever they are. Who knows it finds them there and takes them
// as they are, without a copy of the body and without an object for each link; anything
// that is written in another order is read in the usual way. Forty links cost a page a
// tenth of its processor time otherwise (docs/performance.md).

// Numbers of the fields; the names say where.
const (
	fieldPageBody       = 3 // of Page and Record
	fieldRecordParsed   = 4
	fieldBodyDeflate    = 1
	fieldParsedOutlinks = 4
	fieldResultOutlinks = 9

	fieldOutlinkURL      = 1
	fieldOutlinkDepth    = 2
	fieldOutlinkPriority = 3
	fieldOutlinkMedia    = 4
)

// Outlinks are the outlinks of a page in wire form, checked. The zero value has none.
type Outlinks struct {
	fields []byte // one after the other, with their tags
	count  int
}

// Count is the number of links.
func (l Outlinks) Count() int { return l.count }

// Each calls f with every link in order. The URLs share one block of memory, which one
// that is kept keeps whole.
func (l Outlinks) Each(f func(url string, depth uint32, priority int32, media bool)) {
	all := string(l.fields)
	for at := 0; at < len(all); {
		_, _, n := protowire.ConsumeTag(l.fields[at:])
		at += n
		size, n := protowire.ConsumeVarint(l.fields[at:])
		at += n
		end := at + int(size)
		o := readLink(l.fields[at:end])
		f(all[at+o.from:at+o.to], o.depth, o.priority, o.media)
		at = end
	}
}

// link is an Outlink whose URL is from one byte to another of it.
type link struct {
	from, to int
	depth    uint32
	priority int32
	media    bool
	ok       bool
}

// readLink reads an Outlink; not ok with a field that is not known here.
func readLink(b []byte) (o link) {
	for at := 0; at < len(b); {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return link{}
		}
		at += n
		switch {
		case num == fieldOutlinkURL && typ == protowire.BytesType:
			v, n := protowire.ConsumeBytes(b[at:])
			if n < 0 {
				return link{}
			}
			at += n
			o.from, o.to = at-len(v), at
		case typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(b[at:])
			if n < 0 {
				return link{}
			}
			at += n
			switch num {
			case fieldOutlinkDepth:
				o.depth = uint32(v)
			case fieldOutlinkPriority:
				o.priority = int32(protowire.DecodeZigZag(v & 0xffffffff))
			case fieldOutlinkMedia:
				o.media = v != 0
			default:
				return link{}
			}
		default:
			return link{}
		}
	}
	o.ok = true
	return o
}

// linksIn checks that b holds links and nothing else, as fields of a number.
func linksIn(b []byte, field protowire.Number) (Outlinks, bool) {
	l := Outlinks{fields: b}
	for at := 0; at < len(b); l.count++ {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 || num != field || typ != protowire.BytesType {
			return Outlinks{}, false
		}
		at += n
		v, n := protowire.ConsumeBytes(b[at:])
		if n < 0 || !readLink(v).ok {
			return Outlinks{}, false
		}
		at += n
	}
	return l, l.count > 0
}

// appendLinks writes links as fields of a number.
func appendLinks(b []byte, field protowire.Number, links []*crawlv1.Outlink) []byte {
	for _, o := range links {
		b = protowire.AppendTag(b, field, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(linkSize(o)))
		if u := o.GetUrl(); u != "" {
			b = protowire.AppendTag(b, fieldOutlinkURL, protowire.BytesType)
			b = protowire.AppendString(b, u)
		}
		if d := o.GetDepth(); d != 0 {
			b = protowire.AppendTag(b, fieldOutlinkDepth, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(d))
		}
		if p := o.GetPriority(); p != 0 {
			b = protowire.AppendTag(b, fieldOutlinkPriority, protowire.VarintType)
			b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(p)))
		}
		if o.GetMedia() {
			b = protowire.AppendTag(b, fieldOutlinkMedia, protowire.VarintType)
			b = protowire.AppendVarint(b, 1)
		}
	}
	return b
}

// linkSize is the length of an Outlink; every tag is one byte.
func linkSize(o *crawlv1.Outlink) int {
	n := 0
	if u := o.GetUrl(); u != "" {
		n += 1 + protowire.SizeBytes(len(u))
	}
	if d := o.GetDepth(); d != 0 {
		n += 1 + protowire.SizeVarint(uint64(d))
	}
	if p := o.GetPriority(); p != 0 {
		n += 1 + protowire.SizeVarint(protowire.EncodeZigZag(int64(p)))
	}
	if o.GetMedia() {
		n += 2
	}
	return n
}

// linksSize is the length of links as fields.
func linksSize(links []*crawlv1.Outlink) int {
	n := 0
	for _, o := range links {
		n += 1 + protowire.SizeBytes(linkSize(o))
	}
	return n
}

// RecordSize is the length of a record's message. It costs a page with many links far
// less than proto.Size does.
func RecordSize(r *crawlv1.Record) int {
	links := r.GetParsed().GetOutlinks()
	if len(links) == 0 {
		return proto.Size(r)
	}
	r.Parsed.Outlinks = nil
	n := proto.Size(r)
	r.Parsed.Outlinks = links
	return n + 1 + protowire.SizeBytes(linksSize(links))
}

// marshal appends the wire form of a message. Pages and records lack their body and
// their links while it runs.
func (m Message) marshal(b []byte) ([]byte, error) {
	switch {
	case len(m.parts) > 0:
		return appendBundle(b, m)
	case m.wire != nil:
		return append(b, m.wire...), nil
	}
	var body *crawlv1.Body
	var parsed *crawlv1.ParseResult
	switch msg := m.Body.(type) {
	case *crawlv1.Page:
		body = msg.GetBody()
	case *crawlv1.Record:
		body, parsed = msg.GetBody(), msg.GetParsed()
	}
	deflate, inline := body.GetData().(*crawlv1.Body_Deflate)
	links := parsed.GetOutlinks()
	if inline {
		body.Data = nil
	}
	if len(links) > 0 {
		parsed.Outlinks = nil
	}
	b, err := proto.MarshalOptions{}.MarshalAppend(b, m.Body)
	if inline {
		body.Data = deflate
	}
	if len(links) > 0 {
		parsed.Outlinks = links
	}
	if err != nil {
		return b, err
	}
	if inline {
		b = protowire.AppendTag(b, fieldPageBody, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(deflate.Deflate))))
		b = protowire.AppendTag(b, fieldBodyDeflate, protowire.BytesType)
		b = protowire.AppendBytes(b, deflate.Deflate)
	}
	if len(links) > 0 {
		b = protowire.AppendTag(b, fieldRecordParsed, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(linksSize(links)))
		b = appendLinks(b, fieldParsedOutlinks, links)
	}
	return m.Outlinks.append(b), nil
}

// append writes the links as those of a result.
func (l Outlinks) append(b []byte) []byte {
	for rest := l.fields; len(rest) > 0; {
		_, _, n := protowire.ConsumeTag(rest)
		_, size := protowire.ConsumeBytes(rest[n:])
		b = protowire.AppendTag(b, fieldResultOutlinks, protowire.BytesType)
		b = append(b, rest[n:n+size]...)
		rest = rest[n+size:]
	}
	return b
}

// tail is what a message has behind its rest.
type tail struct {
	rest    []byte
	deflate []byte // nil for none
	links   Outlinks
}

// split finds the parts behind a page or a record; in any other order, all is the rest.
func split(data []byte) tail {
	whole := tail{rest: data}
	t := whole
	found := false
	for at := 0; at < len(data); {
		begin := at
		num, typ, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return whole
		}
		at += n
		n = protowire.ConsumeFieldValue(num, typ, data[at:])
		if n < 0 {
			return whole
		}
		field := data[at : at+n]
		at += n
		part := false
		if typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(field)
			part = t.take(num, value)
		}
		switch {
		case part && !found:
			t.rest, found = data[:begin], true
		case !part && found:
			return whole
		}
	}
	return t
}

// take takes a field of a page or a record when it is one of the parts, and the first.
func (t *tail) take(num protowire.Number, value []byte) bool {
	switch {
	case num == fieldPageBody && t.deflate == nil:
		inner, typ, n := protowire.ConsumeTag(value)
		if n < 0 || inner != fieldBodyDeflate || typ != protowire.BytesType {
			return false
		}
		data, size := protowire.ConsumeBytes(value[n:])
		if size < 0 || n+size != len(value) || len(data) == 0 {
			return false
		}
		t.deflate = data[:len(data):len(data)]
		return true
	case num == fieldRecordParsed && t.links.count == 0:
		l, ok := linksIn(value, fieldParsedOutlinks)
		t.links = l
		return ok
	}
	return false
}

// body puts the deflated body into its place.
func (t *tail) body(b *crawlv1.Body) *crawlv1.Body {
	if t.deflate == nil {
		return b
	}
	if b == nil {
		b = &crawlv1.Body{}
	}
	b.Data = &crawlv1.Body_Deflate{Deflate: t.deflate}
	return b
}

// ReadPage reads a page. Its body is the message's memory. The error is of kind
// crawl.Invalid.
func ReadPage(data []byte) (*crawlv1.Page, error) {
	t := split(data)
	if t.links.count > 0 { // a page has no links: field 4 is something else there
		t = tail{rest: data}
	}
	p := new(crawlv1.Page)
	if err := proto.Unmarshal(t.rest, p); err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "decode page: %w", err)
	}
	p.Body = t.body(p.GetBody())
	return p, nil
}

// ReadRecord reads a record. Its body is the message's memory, and so are the links that
// stand behind it; others are in the record. The error is of kind crawl.Invalid.
func ReadRecord(data []byte) (*crawlv1.Record, Outlinks, error) {
	t := split(data)
	r := new(crawlv1.Record)
	if err := proto.Unmarshal(t.rest, r); err != nil {
		return nil, Outlinks{}, crawl.Errorf(crawl.Invalid, "decode record: %w", err)
	}
	r.Body = t.body(r.GetBody())
	if t.links.count > 0 && r.Parsed == nil {
		r.Parsed = &crawlv1.ParseResult{}
	}
	return r, t.links, nil
}

// ReadResult reads a result. The links at its end are the message's memory; others are in
// the result. The error is of kind crawl.Invalid.
func ReadResult(data []byte) (*crawlv1.Result, Outlinks, error) {
	rest, at := len(data), 0
	for at < len(data) {
		num, typ, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			break
		}
		size := protowire.ConsumeFieldValue(num, typ, data[at+n:])
		if size < 0 {
			break
		}
		if num != fieldResultOutlinks {
			rest = len(data)
		} else if rest == len(data) {
			rest = at
		}
		at += n + size
	}
	links, ok := linksIn(data[rest:], fieldResultOutlinks)
	if at < len(data) || !ok {
		rest, links = len(data), Outlinks{}
	}
	r := new(crawlv1.Result)
	if err := proto.Unmarshal(data[:rest], r); err != nil {
		return nil, Outlinks{}, crawl.Errorf(crawl.Invalid, "read result: %w", err)
	}
	return r, links, nil
}
