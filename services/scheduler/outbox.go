package scheduler

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// outboxRows is how many rows may wait for the bus before no more results are
	// applied: a few seconds of what a busy replica finds.
	outboxRows = 2048
	// outboxBatch is how many rows are published, and deleted, together.
	outboxBatch = 128
)

// outgoing is a durable row of the outbox with the epoch of its partition's owner.
type outgoing struct {
	row   frontier.OutboxRow
	epoch uint64
}

// outbox brings the links that were found here for other owners' partitions to
// them. A row is deleted when the bus has it; one that is published twice does no
// harm.
type outbox struct {
	s *session

	mu   sync.Mutex
	rows []outgoing
	wake chan struct{} // capacity 1: there are rows
	free chan struct{} // capacity 1: there is room
	over chan struct{} // closed when nobody publishes any more
}

func newOutbox(s *session) *outbox {
	return &outbox{s: s, wake: make(chan struct{}, 1), free: make(chan struct{}, 1), over: make(chan struct{})}
}

// add takes rows that are durable.
func (o *outbox) add(rows []outgoing) {
	o.mu.Lock()
	o.rows = append(o.rows, rows...)
	o.mu.Unlock()
	signal(o.wake)
}

// room waits until the outbox is not too long. One caller at a time.
func (o *outbox) room(ctx context.Context) error {
	for {
		o.mu.Lock()
		n := len(o.rows)
		o.mu.Unlock()
		if n < outboxRows {
			return nil
		}
		select {
		case <-o.free:
		case <-o.over: // the session ends, and the store keeps them
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take returns the next rows.
func (o *outbox) take() []outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.rows), outboxBatch)
	out := o.rows[:n:n]
	if o.rows = o.rows[n:]; len(o.rows) == 0 {
		o.rows = nil
	}
	return out
}

// run publishes until ctx ends. What is left then is in the store, and published by
// whoever takes the partition up.
func (o *outbox) run(ctx context.Context) error {
	defer close(o.over)
	for {
		rows := o.take()
		if len(rows) == 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-o.wake:
			}
			continue
		}
		signal(o.free)
		msgs := make([]bus.Message, 0, len(rows))
		for _, r := range rows {
			if e := o.s.crawls.number(r.row.Crawl); e != nil {
				msgs = append(msgs, bus.Links(r.row.Dest, linksFromRow(r, e.meta.GetId())))
			}
		}
		// It tries again until ctx ends.
		if err := o.s.deps.Bus.PublishAll(ctx, msgs...); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		o.s.m.links.WithLabelValues("sent").Add(float64(len(rows)))
		err := o.s.do(ctx, func(l *loop, now time.Time) error {
			for _, r := range rows {
				l.f.Sent(now, r.row.Partition, r.row.Seq)
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func linksFromRow(r outgoing, crawlID string) *crawlv1.Links {
	m := &crawlv1.Links{
		CrawlId: crawlID, Source: r.row.Partition, Epoch: r.epoch, Sequence: r.row.Seq,
		Links: make([]*crawlv1.Link, len(r.row.Links)),
	}
	for i := range r.row.Links {
		c := &r.row.Links[i]
		m.Links[i] = &crawlv1.Link{
			Url: c.URL.String(), Depth: uint32(c.Depth), Priority: c.Priority,
			Redirects: uint32(c.Redirects), Next: c.Next, NotBefore: timestamp(c.NotBefore),
			Media: c.Mode == frontier.ModeMedia, Plain: c.Mode == frontier.ModePlain,
		}
		if h := c.Hop; h != nil {
			m.Links[i].Via, m.Links[i].Chain = h.Via, h.Chain
		}
	}
	return m
}

// arrival is links that came from another owner's partition.
type arrival struct {
	no        frontier.CrawlNo
	partition uint32
	links     []frontier.Candidate
}

// readLinks turns a message into candidates; ok is false when its crawl is gone.
func (s *session) readLinks(ctx context.Context, d bus.Delivery) (a arrival, ok bool, err error) {
	m := new(crawlv1.Links)
	if err := proto.Unmarshal(d.Data, m); err != nil {
		return arrival{}, false, crawl.Errorf(crawl.Invalid, "read links: %w", err)
	}
	e, err := s.await(ctx, m.GetCrawlId())
	if err != nil || e == nil {
		return arrival{}, false, err
	}
	a = arrival{no: e.no, links: make([]frontier.Candidate, 0, len(m.GetLinks()))}
	for _, l := range m.GetLinks() {
		u, err := weburl.FromCanonical(l.GetUrl())
		if err != nil {
			continue
		}
		a.partition = s.partition(u)
		c := frontier.Candidate{
			URL: u, Depth: int(l.GetDepth()), Priority: l.GetPriority(), Redirects: int(l.GetRedirects()), Next: l.GetNext(),
		}
		switch {
		case l.GetMedia():
			c.Mode = frontier.ModeMedia
		case l.GetPlain():
			c.Mode = frontier.ModePlain
		}
		if l.GetVia() != "" {
			c.Hop = &frontier.Hop{Via: l.GetVia(), Chain: l.GetChain()}
		}
		if l.GetNotBefore() != nil {
			c.NotBefore = l.GetNotBefore().AsTime()
		}
		a.links = append(a.links, c)
	}
	return a, len(a.links) > 0, nil
}

// arrive adds links from elsewhere; those that came before are known.
func (l *loop) arrive(ctx context.Context, now time.Time, a *arrival) error {
	for i := range a.links {
		a.links[i].Ref = l.f.Ref(a.no, a.links[i].URL)
	}
	n, err := l.addAll(ctx, now, a.no, a.links)
	l.m.links.WithLabelValues("added").Add(float64(n))
	return err
}

// signal leaves a mark, unless one is there.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
