package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// A dead letter is a message in WEIR_DEAD on weir.dead.<stream>. Two ways lead
// there: bury, by the consumer whose handler found a message invalid, and an
// advisory of the server about a message that used up its deliveries, which the
// same stream collects. DeadLetters turns the second into the first and hands
// all of them to its handler.

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
// moves messages that used up their deliveries to them. Only one process runs
// it. The same letter may come again; what h returns is treated as in Consume,
// and nothing but its success settles a letter that h could handle.
func (b *Bus) DeadLetters(ctx context.Context, h func(context.Context, *crawlv1.DeadLetter) error) error {
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
// it in its stream until somebody deletes it.
func (b *Bus) exhume(ctx context.Context, data []byte) error {
	var adv advisory
	if err := json.Unmarshal(data, &adv); err != nil {
		return crawl.Errorf(crawl.Invalid, "read advisory: %w", err)
	}
	s, err := b.js.Stream(ctx, adv.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return unavailable("look at stream "+adv.Stream, err)
	}
	msg, err := s.GetMsg(ctx, adv.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // acked late, or moved before
	}
	if err != nil {
		return unavailable(fmt.Sprintf("read message %d of %s", adv.Sequence, adv.Stream), err)
	}
	err = b.bury(ctx, adv.Sequence, &crawlv1.DeadLetter{
		Stream: adv.Stream, Subject: msg.Subject, Data: msg.Data,
		Reason: fmt.Sprintf("not handled after %d deliveries to %s", adv.Deliveries, adv.Consumer),
	})
	if err != nil {
		return err
	}
	b.log.Warn("message given up", "stream", adv.Stream, "subject", msg.Subject, "deliveries", adv.Deliveries)
	b.m.consumed.WithLabelValues("dead", "moved").Inc()
	// After an error the advisory is looked at again, and finds nothing if the
	// message is gone.
	return unavailable(fmt.Sprintf("delete message %d of %s", adv.Sequence, adv.Stream), s.DeleteMsg(ctx, adv.Sequence))
}
