package bus

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/crawl"
)

// A fence is the one message on weir.fence.<partition> in the stream of the tasks.
// A task that names its sequence is stored only while no other fence has followed,
// and the server decides that in the order in which it stores: an owner that was
// replaced, however late it learns of it, dispatches nothing more.

// Fence makes the caller the only one who can publish the tasks of a partition:
// messages with any other fence are refused from here on. It returns what to set as
// Message.Fence. While the stream is full or the server away it tries again until
// ctx ends. The owner is only for people who look at the stream.
func (b *Bus) Fence(ctx context.Context, partition uint32, owner string) (uint64, error) {
	subject := fenceSubject(partition)
	for n := 0; ; n++ {
		// A fence that was stored while its answer was lost is replaced by the next.
		seq, err := b.fence(ctx, subject, owner)
		if crawl.KindOf(err) != crawl.Unavailable || !sleep(ctx, publishBackoff.Delay(n, random)) {
			return seq, err
		}
	}
}

func (b *Bus) fence(ctx context.Context, subject, owner string) (uint64, error) {
	if !b.nc.IsConnected() {
		// It would wait in the connection's buffer, and come when another has taken
		// the partition.
		return 0, crawl.Errorf(crawl.Unavailable, "publish %s: %w", subject, nats.ErrDisconnected)
	}
	// Asked again soon when the connection breaks and the answer is lost.
	ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	var ack *jetstream.PubAck
	err := b.unlessRefused(ctx, subject, func(ctx context.Context) (err error) {
		ack, err = b.js.PublishMsg(ctx, &nats.Msg{
			Subject: subject,
			Header: nats.Header{
				jetstream.MsgRollup: {jetstream.MsgRollupSubject},
			},
			Data: []byte(owner),
		}, jetstream.WithRetryAttempts(0))
		return err
	})
	if err != nil {
		return 0, publishError(subject, err)
	}
	return ack.Sequence, nil
}

// fenceTimeout bounds one try.
const fenceTimeout = 3 * time.Second

func fenceSubject(partition uint32) string {
	return subjectFence + strconv.FormatUint(uint64(partition), 10)
}

// sendFenced sends a message that names a fence.
func (b *Bus) sendFenced(ctx context.Context, m *nats.Msg, partition uint32, fence uint64) (acked, error) {
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(fence, 10)}
	m.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{fenceSubject(partition)}
	if b.cfg.Replicas == 1 {
		return b.send(ctx, m)
	}
	// A stream with replicas refuses a message while another one with the same fence
	// is being agreed upon, and for a moment after its ack. So each partition has one
	// in flight, which is sent again when it came too soon.
	turn := b.turns.of(partition)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, crawl.Errorf(crawl.Unavailable, "publish %s: %w", m.Subject, context.Cause(ctx))
	}
	ack, err := b.send(ctx, m)
	if err != nil {
		<-turn
		return nil, err
	}
	a := answer{ok: make(chan *jetstream.PubAck, 1), err: make(chan error, 1)}
	again := nats.Msg{Subject: m.Subject, Header: m.Header, Data: bytes.Clone(m.Data)}
	go func() { // ends with PublishTimeout
		ok, err := b.insist(ack, again)
		<-turn
		if err != nil {
			a.err <- err
		} else {
			a.ok <- ok
		}
	}()
	return a, nil
}

// insist waits for the ack of a message, which it sends again while the stream is busy
// with the one before.
func (b *Bus) insist(ack acked, m nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.PublishTimeout)
	defer cancel()
	for n := 0; ; n++ {
		var err error
		select {
		case ok := <-ack.Ok():
			return ok, nil
		case err = <-ack.Err():
		}
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != codeFenceBusy || !sleep(ctx, busyBackoff.Delay(n, random)) {
			return nil, err
		}
		next := m // nats.go writes into it
		if ack, err = b.send(ctx, &next); err != nil {
			return nil, err
		}
	}
}

// answer is an acked that was looked at by somebody else first.
type answer struct {
	ok  chan *jetstream.PubAck
	err chan error
}

// Ok implements acked.
func (a answer) Ok() <-chan *jetstream.PubAck { return a.ok }

// Err implements acked.
func (a answer) Err() <-chan error { return a.err }

// turns lets the fenced messages of each partition go one after the other.
type turns struct {
	mu sync.Mutex
	by map[uint32]chan struct{}
}

func (t *turns) of(partition uint32) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[uint32]chan struct{})
	}
	c := t.by[partition]
	if c == nil {
		c = make(chan struct{}, 1)
		t.by[partition] = c
	}
	return c
}
