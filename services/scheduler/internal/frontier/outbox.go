package frontier

import (
	"slices"
	"time"
)

// outKey says which row of the next batch takes a link for another owner.
type outKey struct {
	source, dest uint32
	crawl        CrawlNo
}

// sentSize is the number of links to other owners that are remembered, so that one
// that many pages have in common is sent once, mostly.
const sentSize = 1 << 14

// sentMark is a link that was sent.
type sentMark struct {
	crawl CrawlNo
	key   Key
}

// send puts a candidate whose partition somebody else owns into the outbox of a
// partition of ours.
func (f *Frontier) send(p *partition, c *crawlState, cand *Candidate) {
	mark := sentMark{c.No, cand.Ref.Key}
	slot := (uint32(mark.key[0]) | uint32(mark.key[1])<<8) % sentSize
	if f.sent == nil {
		f.sent = make([]sentMark, sentSize)
	}
	if f.sent[slot] == mark && cand.Was == nil { // one that is to be visited again was sent before
		return
	}
	f.sent[slot] = mark
	k := outKey{p.id, cand.Ref.Partition, c.No}
	i, ok := f.outRows[k]
	if !ok || len(f.out.Outbox[i].Links) >= MaxOutboxLinks {
		p.outSeq++
		i = len(f.out.Outbox)
		f.out.Outbox = append(f.out.Outbox, OutboxRow{Partition: p.id, Seq: p.outSeq, Dest: cand.Ref.Partition, Crawl: c.No})
		f.outRows[k] = i
	}
	row := &f.out.Outbox[i]
	link := *cand
	link.Ref, link.Was = Ref{}, nil
	row.Links = append(row.Links, link)
	p.outbox[row.Seq] = len(row.Links)
}

// Sent takes a row out of the outbox: the bus has its links.
func (f *Frontier) Sent(now time.Time, source uint32, seq uint64) {
	f.at(now)
	if !f.Owns(source) {
		return
	}
	p := f.parts[source]
	if _, ok := p.outbox[seq]; ok {
		delete(p.outbox, seq)
		f.out.Outbox = append(f.out.Outbox, OutboxRow{Partition: source, Seq: seq, Delete: true})
	}
}

// sender returns the partition from whose outbox links go that come from none of
// ours, nil when there is none.
func (f *Frontier) sender() *partition {
	if i := slices.IndexFunc(f.parts, func(p *partition) bool { return p != nil }); i >= 0 {
		return f.parts[i]
	}
	return nil
}
