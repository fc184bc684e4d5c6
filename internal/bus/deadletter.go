package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// A dead letter is a message in WEIR_DEAD on weir.dead.<stream>. Two ways lead
// there: bury, by the consumer whose handler found a message invalid or failed too
// often, and an advisory of the server about a message that used up its deliveries,
// which the same stream collects. DeadLetters turns the second into the first and
// hands all of them to its handler. Should an advisory be lost, the message itself is
// found by sweeper.

// bury copies a message to the dead letters before it is terminated.
func (s *session) bury(ctx context.Context, d *delivery, reason error) error {
	if d.src.consumer.kind == kindDead {
		return nil // it is there already
	}
	return s.b.bury(ctx, d.sequence, &crawlv1.DeadLetter{
		Stream: d.src.consumer.stream, Subject: d.Subject, Reason: reason.Error(), Data: d.Data,
	})
}

// bury stores a dead letter. Its id is the message's place, so that burying
// twice makes one.
func (b *Bus) bury(ctx context.Context, seq uint64, dl *crawlv1.DeadLetter) error {
	dl.Reason = strings.ToValidUTF8(dl.Reason[:min(len(dl.Reason), 4096)], "")
	dl.At = timestamppb.Now()
	// A message near the server's limit does not fit with what is put around it;
	// its first part says what it was about.
	dl.Data = dl.Data[:min(len(dl.Data), b.MaxPayload()-16*1024)]
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ConnectTimeout)
	defer cancel()
	return b.PublishAll(ctx, Message{
		Subject: subjectDead + dl.Stream, ID: fmt.Sprintf("dead-%s-%d", dl.Stream, seq), Body: dl,
	})
}

// DeadLetters calls h for every dead letter, one at a time, until ctx ends, and
// moves messages that used up their deliveries to them. Several processes may run
// it: each letter goes to one of them. The same letter may come again; what h returns
// is treated as in Consume, and nothing but its success settles a letter that h could
// handle. Letters stay in their stream for ListDead.
func (b *Bus) DeadLetters(ctx context.Context, h func(context.Context, *crawlv1.DeadLetter) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		newSweeper(b).run(ctx)
		return nil
	})
	g.Go(func() error { return b.deadLetters(ctx, h) })
	return g.Wait()
}

func (b *Bus) deadLetters(ctx context.Context, h func(context.Context, *crawlv1.DeadLetter) error) error {
	return b.Consume(ctx, deadConsumer(), Options{Concurrency: 1, Prefetch: 15}, func(ctx context.Context, d Delivery) error {
		if strings.HasPrefix(d.Subject, advisoryMaxDeliver) {
			return b.exhume(ctx, d.Data)
		}
		dl := new(crawlv1.DeadLetter)
		if err := proto.Unmarshal(d.Data, dl); err != nil {
			return crawl.Errorf(crawl.Invalid, "read dead letter: %w", err)
		}
		return h(ctx, dl)
	})
}

// advisory is what the server says of a message that used up its deliveries.
type advisory struct {
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	Sequence   uint64 `json:"stream_seq"`
	Deliveries uint64 `json:"deliveries"`
}

// exhume moves the message of an advisory to the dead letters. The server keeps
// it in its stream until somebody deletes it. Two processes that move the same one
// make one letter of it.
func (b *Bus) exhume(ctx context.Context, data []byte) error {
	var adv advisory
	if err := json.Unmarshal(data, &adv); err != nil {
		return crawl.Errorf(crawl.Invalid, "read advisory: %w", err)
	}
	return b.move(ctx, adv.Stream, adv.Sequence, fmt.Sprintf("not handled after %d deliveries to %s", adv.Deliveries, adv.Consumer))
}

// move makes a dead letter of a message that nobody gets any more.
func (b *Bus) move(ctx context.Context, stream string, seq uint64, reason string) error {
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return unavailable("look at stream "+stream, err)
	}
	msg, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // acked late, or moved before
	}
	if err != nil {
		return unavailable(fmt.Sprintf("read message %d of %s", seq, stream), err)
	}
	if parts, ok := partsOf(msg.Data); ok && msg.Header.Get(headerBundle) != "" {
		// One of them has killed its process, perhaps: alone it will do so again.
		reason = "taken apart: " + reason
		err = b.PublishAll(ctx, apart(msg.Subject, msg.Header.Get(headerLease), parts, seq)...)
	} else {
		err = b.bury(ctx, seq, &crawlv1.DeadLetter{Stream: stream, Subject: msg.Subject, Data: msg.Data, Reason: reason})
	}
	if err != nil {
		return err
	}
	b.log.Warn("message given up", "stream", stream, "subject", msg.Subject, "reason", reason)
	b.m.consumed.WithLabelValues("dead", "moved").Inc()
	err = s.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	// After an error it is looked at again, and not found if it is gone.
	return unavailable(fmt.Sprintf("delete message %d of %s", seq, stream), err)
}

// DeadLetterAt is a dead letter and its place in WEIR_DEAD.
type DeadLetterAt struct {
	Sequence uint64
	*crawlv1.DeadLetter
}

// ListDead returns at most n dead letters, handled or not, from the oldest after a
// place on; 0 stands before all. Fewer are no sign of the end, none are. It reads at
// most a few MiB and a thousand letters.
func (b *Bus) ListDead(ctx context.Context, after uint64, n int) ([]DeadLetterAt, error) {
	var out []DeadLetterAt
	req := readRequest{Seq: after + 1, Batch: max(1, min(n, readMessages)), MaxBytes: readBytes, Filter: subjectDead + ">"}
	_, err := b.read(ctx, StreamDead, req, func(seq uint64, m *nats.Msg) {
		dl := new(crawlv1.DeadLetter)
		if err := proto.Unmarshal(m.Data, dl); err != nil {
			dl = &crawlv1.DeadLetter{Stream: StreamDead, Reason: "cannot be read: " + err.Error(), Data: m.Data}
		}
		out = append(out, DeadLetterAt{seq, dl})
	})
	if err != nil {
		return nil, unavailable("list dead letters", err)
	}
	return out, nil
}

// DeleteDead removes a dead letter for good. An error of kind NotFound says that there
// is none at this place.
func (b *Bus) DeleteDead(ctx context.Context, sequence uint64) error {
	s, err := b.js.Stream(ctx, StreamDead)
	if err != nil {
		return unavailable("look at stream "+StreamDead, err)
	}
	msg, err := s.GetMsg(ctx, sequence)
	if err == nil && !strings.HasPrefix(msg.Subject, subjectDead) {
		err = jetstream.ErrMsgNotFound // an advisory
	}
	if err == nil {
		err = s.DeleteMsg(ctx, sequence)
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return crawl.Errorf(crawl.NotFound, "dead letter %d does not exist", sequence)
	}
	return unavailable(fmt.Sprintf("delete dead letter %d", sequence), err)
}
