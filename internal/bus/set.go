package bus

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/weircrawl/weir/internal/crawl"
)

// ConsumerSet is a set of consumers that may change while ConsumeBatch works on it.
// It is safe for concurrent use; make it with NewConsumerSet.
type ConsumerSet struct {
	mu      sync.Mutex
	members map[Consumer]*member
	leaving map[Consumer]*member // the last one removed of each, gone or not
	inUse   bool
	wake    chan struct{} // something changed
}

// member is a consumer from its Add to its Remove.
type member struct {
	consumer Consumer
	opened   bool          // a session has opened it, and closes gone
	gone     chan struct{} // closed when nothing of it is in hand any more
}

// NewConsumerSet makes a set, which may be empty.
func NewConsumerSet(cs ...Consumer) *ConsumerSet {
	set := &ConsumerSet{
		members: make(map[Consumer]*member, len(cs)),
		leaving: make(map[Consumer]*member),
		wake:    make(chan struct{}, 1),
	}
	for _, c := range cs {
		set.Add(c)
	}
	return set
}

// Add puts a consumer into the set, if it is not there. It need not exist yet.
func (set *ConsumerSet) Add(c Consumer) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.members[c] == nil {
		set.members[c] = &member{consumer: c, gone: make(chan struct{})}
		wakeUp(set.wake)
	}
}

// Remove takes a consumer out of the set, and returns when none of its messages is
// in hand any more: those that waited were given back, those in a handler are
// settled. The other consumers go on meanwhile. It is no error when the consumer is
// not in the set. After an error, which is ctx's, the removal goes on, and another
// Remove waits for it.
func (set *ConsumerSet) Remove(ctx context.Context, c Consumer) error {
	set.mu.Lock()
	if m := set.members[c]; m != nil && m.opened {
		set.leaving[c] = m
	}
	delete(set.members, c)
	m := set.leaving[c]
	wakeUp(set.wake)
	set.mu.Unlock()
	if m == nil {
		return nil
	}
	select {
	case <-m.gone:
		return nil
	case <-ctx.Done():
		return crawl.Errorf(crawl.Unavailable, "stop taking from %s: %w", c, context.Cause(ctx))
	}
}

// use gives the set to a session and returns its size; false when another session
// has it.
func (set *ConsumerSet) use() (members int, ok bool) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.inUse {
		return 0, false
	}
	set.inUse = true
	return len(set.members), true
}

// release takes it back.
func (set *ConsumerSet) release() {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.inUse = false
	for c, m := range set.members {
		if m.opened { // for the next session
			set.members[c] = &member{consumer: c, gone: make(chan struct{})}
		}
	}
}

// open returns the members in order and marks them as a session's.
func (set *ConsumerSet) open() []*member {
	set.mu.Lock()
	defer set.mu.Unlock()
	for _, m := range set.members {
		m.opened = true
	}
	return slices.SortedFunc(maps.Values(set.members), func(a, b *member) int {
		return strings.Compare(a.consumer.String(), b.consumer.String())
	})
}

// follow makes the session's sources those of its set.
func (s *session) follow() error {
	members := s.set.open()
	var failed error
	for _, src := range s.sources {
		if !src.leaving && !slices.Contains(members, src.member) {
			s.leave(src)
		}
	}
	for _, m := range members {
		if slices.ContainsFunc(s.sources, func(src *source) bool { return src.member == m }) {
			continue
		}
		if err := s.subscribe(m); err != nil {
			close(m.gone)
			failed = err // the connection is closed: nothing of the others is in hand either
		}
	}
	if failed != nil {
		return failed
	}
	s.share = (s.target + len(members) - 1) / max(1, len(members))
	return nil
}

// subscribe opens the inbox of a consumer.
func (s *session) subscribe(m *member) error {
	sub, err := s.nc.ChanSubscribe(s.nc.NewInbox(), s.ch)
	if err != nil {
		return unavailable("subscribe for "+m.consumer.String(), err)
	}
	src := &source{
		member: m, consumer: m.consumer, sub: sub,
		subject: "$JS.API.CONSUMER.MSG.NEXT." + m.consumer.stream + "." + m.consumer.name,
	}
	s.sources = append(s.sources, src)
	s.bySub[sub] = src
	if wait := s.b.settings(m.consumer).AckWait / 3; wait < s.every {
		s.every = wait
		s.tick.Reset(s.period())
	}
	s.gauges[m.consumer.label] += 0
	return nil
}

// leave stops taking from a source. What the server sent before it knew has arrived
// when the flush is over; the loop does not wait for it.
func (s *session) leave(src *source) {
	src.leaving = true
	s.giveBack(func(d *delivery) bool { return d.src == src })
	_ = src.sub.Drain()
	s.flushing.Go(func() {
		if s.nc.IsConnected() {
			_ = s.nc.FlushTimeout(2 * time.Second)
		}
		select {
		case s.flushed <- src:
		case <-s.over:
		}
	})
}

// left takes note that nothing more comes from a source.
func (s *session) left(src *source) {
	s.receiveMore(len(s.ch)) // came before the flush was over
	src.silent = true
	s.part()
}

// part lets the sources go that nothing is in hand of any more.
func (s *session) part() {
	if !slices.ContainsFunc(s.sources, func(src *source) bool { return src.silent }) {
		return
	}
	// One that left and came back may have two: the second is not gone before the first.
	held := make(map[Consumer]int)
	for _, src := range s.sources {
		if src.leaving {
			held[src.consumer] += src.held
		}
	}
	s.sources = slices.DeleteFunc(s.sources, func(src *source) bool {
		if !src.silent || held[src.consumer] > 0 {
			return false
		}
		_ = src.sub.Unsubscribe()
		delete(s.bySub, src.sub)
		close(src.member.gone)
		return true
	})
}

// stray gives back a message of a source that has gone.
func (s *session) stray(m *nats.Msg) {
	if _, _, ok := ackTokens(m.Reply); ok {
		_ = s.nc.Publish(m.Reply, bodyNak)
	}
}
