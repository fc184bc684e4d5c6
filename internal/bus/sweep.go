package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sweeper finds messages that used up their deliveries and whose advisory was lost,
// since advisories are sent once and the server may be going down. Such a message is
// still in its stream although its consumer is done with it. So is one whose ack is
// being carried out, but not from one round to the next.
type sweeper struct {
	b    *Bus
	seen map[place]struct{} // in the last round
}

// place is where a message is.
type place struct {
	consumer Consumer
	sequence uint64
}

const (
	// sweepPause is between two rounds.
	sweepPause = 2 * time.Minute
	// sweepMessages bounds what a round finds.
	sweepMessages = 256
)

func newSweeper(b *Bus) *sweeper { return &sweeper{b: b} }

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	for {
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.b.log.Debug("look for messages that were given up", "err", err)
		}
		if !sleep(ctx, sweepPause) {
			return
		}
	}
}

// round moves what the round before has seen, too.
func (s *sweeper) round(ctx context.Context) error {
	consumers := []Consumer{ParseConsumer(), StoreConsumer()}
	for _, pool := range s.b.cfg.Pools {
		consumers = append(consumers, FetchConsumer(pool))
	}
	seen := make(map[place]struct{})
	var failed []error
	for _, c := range consumers {
		if s.b.settings(c).MaxDeliver < 0 {
			continue
		}
		failed = append(failed, s.look(ctx, c, seen))
	}
	for p := range seen {
		if _, again := s.seen[p]; again {
			failed = append(failed, s.b.move(ctx, p.consumer.stream, p.sequence, "not handled by "+p.consumer.name+", and delivered for the last time"))
		}
	}
	s.seen = seen
	return errors.Join(failed...)
}

// look notes the messages that a consumer is done with.
func (s *sweeper) look(ctx context.Context, c Consumer, seen map[place]struct{}) error {
	h, err := s.b.js.Consumer(ctx, c.stream, c.name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return unavailable("look at consumer "+c.String(), err)
	}
	info := h.CachedInfo()
	filter := info.Config.FilterSubject
	if len(info.Config.FilterSubjects) > 0 {
		filter = info.Config.FilterSubjects[0]
	}
	// All up to here are done with. The floor moves with the acks; a consumer that waits
	// for none is done with all that it has delivered.
	floor := info.AckFloor.Stream
	if info.NumAckPending == 0 {
		floor = info.Delivered.Stream
	}
	// One by one: as a rule the first is beyond.
	for next := uint64(1); next <= floor && len(seen) < sweepMessages; {
		seq, err := s.b.read(ctx, c.stream, readRequest{Seq: next, Batch: 1, Filter: filter}, func(uint64, *nats.Msg) {})
		if err != nil {
			return unavailable("read "+c.stream, err)
		}
		if seq == 0 || seq > floor {
			return nil
		}
		seen[place{c, seq}] = struct{}{}
		next = seq + 1
	}
	return nil
}
