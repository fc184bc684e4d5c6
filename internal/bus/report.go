package bus

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// SendReport tells the owner of a partition that an exchange is over. It does not
// wait, and the report may be lost; the error says only that it could not be sent.
func (b *Bus) SendReport(partition uint32, r *crawlv1.FetchReport) error {
	if !b.nc.IsConnected() {
		return crawl.Errorf(crawl.Unavailable, "send report: %w", nats.ErrDisconnected)
	}
	buf := b.getBuffer(false)
	defer b.putBuffer(buf, false)
	data, err := proto.MarshalOptions{}.MarshalAppend((*buf)[:0], r)
	if err != nil {
		return crawl.Errorf(crawl.Invalid, "marshal report: %w", err)
	}
	*buf = data
	return unavailable("send report", b.nc.Publish(reportSubject(partition), data))
}

// FlushReports returns when the server has the reports that were sent before, or
// says within timeout that it may not. Whether anybody hears them it cannot say.
func (b *Bus) FlushReports(timeout time.Duration) error {
	return unavailable("flush reports", b.nc.FlushTimeout(timeout))
}

func reportSubject(partition uint32) string {
	return subjectReport + strconv.FormatUint(uint64(partition), 10)
}

// PartitionSet is a set of partitions that may change while Reports works on it. It
// is safe for concurrent use; make it with NewPartitionSet.
type PartitionSet struct {
	mu   sync.Mutex
	in   map[uint32]struct{}
	wake chan struct{} // something changed
}

// NewPartitionSet makes a set, which may be empty.
func NewPartitionSet(partitions ...uint32) *PartitionSet {
	s := &PartitionSet{in: make(map[uint32]struct{}, len(partitions)), wake: make(chan struct{}, 1)}
	for _, p := range partitions {
		s.in[p] = struct{}{}
	}
	return s
}

// Add puts a partition into the set, if it is not there.
func (s *PartitionSet) Add(partition uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in[partition] = struct{}{}
	wakeUp(s.wake)
}

// Remove takes a partition out of the set. What has come for it may still be
// handled.
func (s *PartitionSet) Remove(partition uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.in, partition)
	wakeUp(s.wake)
}

// wakeUp leaves a signal, unless one is there.
func wakeUp(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// subscribe makes subs those of the set.
func (s *PartitionSet) subscribe(nc *nats.Conn, subs map[uint32]*nats.Subscription, ch chan *nats.Msg) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, sub := range subs {
		if _, ok := s.in[p]; !ok {
			_ = sub.Unsubscribe()
			delete(subs, p)
		}
	}
	for p := range s.in {
		if subs[p] != nil {
			continue
		}
		sub, err := nc.ChanSubscribe(reportSubject(p), ch)
		if err != nil {
			return unavailable("subscribe to reports", err)
		}
		subs[p] = sub
	}
	return nil
}

// Reports calls handle with the reports of the set's partitions, one after the
// other, until ctx ends; then it returns nil. What cannot be read is counted and
// dropped. One call at a time works on a set.
func (b *Bus) Reports(ctx context.Context, set *PartitionSet, handle func(*crawlv1.FetchReport)) error {
	// Room for the reports of a second at a high rate; more are lost, which costs
	// only time.
	ch := make(chan *nats.Msg, 8192)
	subs := make(map[uint32]*nats.Subscription)
	defer func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe()
		}
	}()
	closed := b.nc.StatusChanged(nats.CLOSED)
	defer b.nc.RemoveStatusListener(closed)
	if err := set.subscribe(b.nc, subs, ch); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-closed:
			return crawl.Errorf(crawl.Unavailable, "reports: the connection was closed")
		case <-set.wake:
			if err := set.subscribe(b.nc, subs, ch); err != nil {
				return err
			}
		case m := <-ch:
			b.report(m, handle)
		}
	}
}

// report hands over one report.
func (b *Bus) report(m *nats.Msg, handle func(*crawlv1.FetchReport)) {
	r := new(crawlv1.FetchReport)
	if err := proto.Unmarshal(m.Data, r); err != nil {
		b.m.consumed.WithLabelValues("report", "invalid").Inc()
		return
	}
	b.m.consumed.WithLabelValues("report", "ack").Inc()
	handle(r)
}
