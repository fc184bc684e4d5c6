package bus

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Storage commits a batch of records and then has as many results to tell, of which most
// go to few partitions. A message costs the bus much the same however long it is, so the
// results of one partition go in one (ADR-0044).
const (
	// fieldResults of Results, which no field of Result has: so a reader tells the two.
	fieldResults = 24
	// maxBundle and maxBundleBytes bound what goes into one message: the scheduler takes
	// it as a whole, in one commit.
	maxBundle      = 64
	maxBundleBytes = 128 << 10
	// resultHead is for the tag and the length of each.
	resultHead = 6
)

// Bundle puts results that go to the same partition into one message, at most 64 of them
// or 128 KiB; one that is longer goes alone, and so does one that is traced, since a
// message has one place in a trace. Those of one partition keep their order. The messages
// are the caller's; they must not be changed before those returned are published.
func Bundle(results []Message) []Message {
	out := make([]Message, 0, len(results))
	open := make(map[string]*bundle)
	for _, m := range results {
		if m.Trace != "" {
			out = append(out, m)
			continue
		}
		size := proto.Size(m.Body) + len(m.Outlinks.fields)
		b := open[m.Subject]
		if b == nil || len(out[b.at].bundled) == maxBundle || b.bytes+size > maxBundleBytes {
			b = &bundle{at: len(out)}
			open[m.Subject] = b
			out = append(out, m)
		}
		out[b.at].bundled = append(out[b.at].bundled, m)
		b.bytes += size
		out[b.at].size = b.bytes
	}
	for i := range out {
		if len(out[i].bundled) > 1 {
			// Of its own: a result that comes again may be bundled with others.
			out[i].ID = "results-" + rand.Text()
			out[i].Body, out[i].Outlinks, out[i].Lease = nil, Outlinks{}, 0
		} else {
			out[i].bundled, out[i].size = nil, 0
		}
	}
	return out
}

// bundle is one that has room left.
type bundle struct {
	at    int // in the messages
	bytes int
}

// appendBundle appends the wire form of Results.
func appendBundle(b []byte, results []Message, size int) ([]byte, error) {
	b = slices.Grow(b, size+len(results)*resultHead)
	for _, m := range results {
		b = protowire.AppendTag(b, fieldResults, protowire.BytesType)
		// The length is written in four bytes once it is known: no need to measure first.
		at := len(b)
		b = append(b, 0x80, 0x80, 0x80, 0)
		var err error
		if b, err = m.marshal(b); err != nil {
			return b, err
		}
		n := len(b) - at - 4
		b[at] |= byte(n & 0x7f)
		b[at+1] |= byte(n >> 7 & 0x7f)
		b[at+2] |= byte(n >> 14 & 0x7f)
		b[at+3] |= byte(n >> 21 & 0x7f)
	}
	return b, nil
}

// ReadResults calls take with each result of a message, which has one or several, in
// order; the links that stand at its end are the message's memory, others are in the
// result. The error is take's, or one of kind crawl.Invalid.
func ReadResults(data []byte, take func(*crawlv1.Result, Outlinks) error) error {
	if num, _, n := protowire.ConsumeTag(data); n < 0 || num != fieldResults {
		return readOne(data, take)
	}
	for at := 0; at < len(data); {
		num, typ, n := protowire.ConsumeTag(data[at:])
		if n < 0 || num != fieldResults || typ != protowire.BytesType {
			return crawl.Errorf(crawl.Invalid, "read results: byte %d begins none", at)
		}
		at += n
		value, n := protowire.ConsumeBytes(data[at:])
		if n < 0 {
			return crawl.Errorf(crawl.Invalid, "read results: %w", protowire.ParseError(n))
		}
		at += n
		if err := readOne(value, take); err != nil {
			return err
		}
	}
	return nil
}

func readOne(data []byte, take func(*crawlv1.Result, Outlinks) error) error {
	r, links, err := readResult(data)
	if err != nil {
		return err
	}
	return take(r, links)
}

// apart makes a message of each result of one that has several; none of anything else.
func apart(dl *crawlv1.DeadLetter) []Message {
	var several crawlv1.Results
	if dl.GetStream() != StreamResults || proto.Unmarshal(dl.GetData(), &several) != nil {
		return nil
	}
	out := make([]Message, len(several.GetResults()))
	for i, r := range several.GetResults() {
		out[i] = Result(r)
		out[i].ID = "apart-" + out[i].ID // of another message than the one it may have been in before
	}
	return out
}

// leases is the header that names the visits that a message is about; "" for none.
func (m Message) leases() string {
	if len(m.bundled) == 0 {
		if m.Lease == 0 {
			return ""
		}
		return strconv.FormatUint(m.Lease, 16)
	}
	b := make([]byte, 0, 17*len(m.bundled))
	for _, r := range m.bundled {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, r.Lease, 16)
	}
	return string(b)
}

// addLeases adds those that a header names.
func addLeases(header string, leases map[uint64]struct{}) {
	for l := range strings.SplitSeq(header, ",") {
		if lease, err := strconv.ParseUint(l, 16, 64); err == nil {
			leases[lease] = struct{}{}
		}
	}
}
