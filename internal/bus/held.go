package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// A page that waits for something of its own crawl, a program of a user that is down, is
// put aside: it moves from weir.page.<crawl> to weir.held.<crawl>, in the same stream,
// where no consumer takes it. So it uses up no delivery, and the pages of other crawls
// go on, which they would not if parsers held it in hand: those pages would fill their
// hands, and then what may be in hand over all replicas. Later it moves back.
//
// Both moves store the new copy before the old one goes, so that a page may come twice
// and never not at all. It stays in one stream because InFlight, which reads a stream in
// the order of its sequence, finds what moves to its end.

// heldShare is the share of the stream's bytes from which on nothing more is put aside:
// the rest is for the pages of all others.
const heldShare = 2

// HoldPage puts a page that is in hand aside; the caller acknowledges it then. An error
// of kind Unavailable says that there is no room, or no server. The page comes back with
// failures and trace in its Delivery: its number of deliveries begins anew.
func (b *Bus) HoldPage(ctx context.Context, p *crawlv1.Page, failures int, trace string) error {
	s, err := b.js.Stream(ctx, StreamPages) // brings its state with it
	if err != nil {
		return unavailable("look at stream "+StreamPages, err)
	}
	info := s.CachedInfo()
	if used, most := info.State.Bytes, uint64(max(info.Config.MaxBytes, 0)); most > 0 && used > most/heldShare {
		return crawl.Errorf(crawl.Unavailable, "put a page aside: %s is filled by half", StreamPages)
	}
	// Without an id: the same page may be put aside again within the duplicate window.
	return b.PublishAll(ctx, Message{Subject: subjectHeld + p.GetRef().GetCrawlId(), Lease: p.GetRef().GetLease(), failures: failures, Trace: trace, Body: p})
}

// HeldPages counts the pages that are put aside, by crawl.
func (b *Bus) HeldPages(ctx context.Context) (map[string]uint64, error) {
	s, err := b.js.Stream(ctx, StreamPages)
	if err != nil {
		return nil, unavailable("look at stream "+StreamPages, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subjectHeld+"*"))
	if err != nil {
		return nil, unavailable("count the pages put aside", err)
	}
	held := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		held[strings.TrimPrefix(subject, subjectHeld)] = n
	}
	return held, nil
}

// ReleasePages moves at most n pages of a crawl that are put aside, the oldest first,
// back to the parsers, and returns how many it moved. Several processes may do so at
// once: a page then comes once, or twice at worst.
func (b *Bus) ReleasePages(ctx context.Context, crawlID string, n int) (int, error) {
	s, err := b.js.Stream(ctx, StreamPages)
	if err != nil {
		return 0, unavailable("look at stream "+StreamPages, err)
	}
	type letter struct {
		seq      uint64
		data     []byte
		failures int
		trace    string
	}
	var found []letter
	req := readRequest{Seq: 1, Batch: max(1, min(n, readMessages)), MaxBytes: readBytes, Filter: subjectHeld + token(crawlID)}
	_, err = b.read(ctx, StreamPages, req, func(seq uint64, m *nats.Msg) {
		l := letter{seq: seq, data: m.Data, failures: failuresOf(m.Header)}
		if place := m.Header[headerTrace]; len(place) > 0 {
			l.trace = place[0]
		}
		found = append(found, l)
	})
	if err != nil {
		return 0, unavailable("read the pages put aside of crawl "+crawlID, err)
	}
	for i, l := range found {
		p := new(crawlv1.Page)
		if err := proto.Unmarshal(l.data, p); err != nil {
			return i, crawl.Errorf(crawl.Internal, "read a page put aside: %w", err)
		}
		m := Page(p)
		m.ID = "released-" + strconv.FormatUint(l.seq, 10)
		m.failures, m.Trace = l.failures, l.trace
		if err := b.PublishAll(ctx, m); err != nil {
			return i, err
		}
		if err := s.DeleteMsg(ctx, l.seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return i, unavailable(fmt.Sprintf("delete message %d of %s", l.seq, StreamPages), err)
		}
	}
	return len(found), nil
}

// dropHeld removes the pages of a crawl that are put aside.
func (b *Bus) dropHeld(ctx context.Context, crawlID string) error {
	s, err := b.js.Stream(ctx, StreamPages)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subjectHeld+token(crawlID)))
	}
	return unavailable("drop the pages put aside of crawl "+crawlID, err)
}

// failuresOf reads the header of a message that was put aside before; 0 without.
func failuresOf(h nats.Header) int {
	values := h[headerFailures]
	if len(values) == 0 {
		return 0
	}
	n, _ := parseUint(values[0])
	return int(min(n, 1<<30))
}
