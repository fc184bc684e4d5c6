package rows

import (
	"encoding/binary"
	"fmt"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// AppendOutbox encodes links for another partition, but for partition and number.
func AppendOutbox(b []byte, r *frontier.OutboxRow) []byte {
	b = binary.AppendUvarint(b, uint64(r.Crawl))
	b = binary.AppendUvarint(b, uint64(r.Dest))
	for i := range r.Links {
		l := &r.Links[i]
		b = appendString(b, l.URL.String())
		b = binary.AppendUvarint(b, uint64(l.Depth))
		b = binary.AppendVarint(b, int64(l.Priority))
		b = binary.AppendUvarint(b, uint64(l.Redirects))
		b = append(b, linkFlags(l))
		b = binary.AppendUvarint(b, Millis(l.NotBefore))
		if l.Hop != nil {
			b = appendHop(b, l.Hop)
		}
	}
	return b
}

// Flags of a link; the mode is above them.
const (
	linkNext = 1 << iota
	linkHop
	linkMode = 2 // its shift
)

func linkFlags(l *frontier.Candidate) byte {
	flags := byte(l.Mode) << linkMode
	if l.Next {
		flags |= linkNext
	}
	if l.Hop != nil {
		flags |= linkHop
	}
	return flags
}

// OutboxCrawl reads the crawl of what AppendOutbox wrote.
func OutboxCrawl(v []byte) (frontier.CrawlNo, error) {
	d := decoder{b: v}
	no := frontier.CrawlNo(d.uint32())
	if d.bad {
		return 0, ErrCorrupt
	}
	return no, nil
}

// DecodeOutbox reads what AppendOutbox wrote.
func DecodeOutbox(v []byte) (frontier.OutboxRow, error) {
	d := decoder{b: v}
	r := frontier.OutboxRow{Crawl: frontier.CrawlNo(d.uint32()), Dest: d.uint32()}
	for len(d.b) > 0 && !d.bad {
		u, err := weburl.FromCanonical(d.string())
		if err != nil {
			return frontier.OutboxRow{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		l := frontier.Candidate{URL: u, Depth: d.int(), Priority: d.int32(), Redirects: d.int()}
		flags := d.byte()
		l.Next, l.Mode = flags&linkNext != 0, frontier.Mode(flags>>linkMode&3)
		l.NotBefore = d.time()
		if flags&linkHop != 0 {
			l.Hop = d.hop()
		}
		d.bad = d.bad || flags > 15
		r.Links = append(r.Links, l)
	}
	if d.bad {
		return frontier.OutboxRow{}, ErrCorrupt
	}
	return r, nil
}
