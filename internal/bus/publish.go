package bus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/crawl"
)

// Pending is a message on its way to the server.
type Pending interface {
	// Wait returns nil once the message is stored (or was already), ErrFull when
	// the stream is at its bound, ErrFenced when the message's fence is not the last
	// one, another error of kind Unavailable when the
	// server did not answer: then the message may be stored all the same, and its
	// ID makes publishing it again harmless. Call it once.
	Wait(ctx context.Context) error
}

// Publish sends a message without waiting for its ack. It blocks only while
// Config.PublishInFlight messages wait for theirs. The message may be changed
// once Publish has returned. Every Pending should be waited for.
func (b *Bus) Publish(ctx context.Context, msg Message) Pending {
	return b.publish(ctx, msg)
}

func (b *Bus) publish(ctx context.Context, msg Message) *pending {
	p := &pending{b: b, subject: msg.Subject, refusal: b.refusals.watch()}
	if !validSubject(msg.Subject) {
		p.err = crawl.Errorf(crawl.Invalid, "publish %q: not a subject", msg.Subject)
		return p
	}
	buf := b.getBuffer(len(msg.parts) > 0)
	data, err := msg.marshal((*buf)[:0])
	if err != nil {
		p.err = crawl.Errorf(crawl.Invalid, "marshal for %s: %w", msg.Subject, err)
		return p
	}
	h := make(nats.Header, 5)
	if msg.ID != "" {
		h[jetstream.MsgIDHeader] = []string{msg.ID}
	}
	if leases := msg.leases(); leases != "" {
		h[headerLease] = []string{leases}
	}
	if n := len(msg.parts); n > 0 {
		h[headerBundle] = []string{strconv.Itoa(n)}
	}
	if msg.failures > 0 {
		h[headerFailures] = []string{strconv.Itoa(msg.failures)}
	}
	if msg.aged {
		h[jetstream.MsgTTLHeader] = []string{b.taskAge}
	}
	if msg.Trace != "" {
		h[headerTrace] = []string{msg.Trace}
	}
	m := &nats.Msg{Subject: msg.Subject, Header: h, Data: data}
	if msg.Fence == 0 {
		p.ack, p.err = b.send(ctx, m)
	} else {
		p.ack, p.err = b.sendFenced(ctx, m, msg.Partition, msg.Fence)
	}
	// nats.go has copied the data to its write buffer, and with retries of its own
	// switched off it never looks at the message again.
	m.Data = nil
	*buf = data
	b.putBuffer(buf, len(msg.parts) > 0)
	return p
}

// publishOptions switch off nats.go's own retries, which would keep the data,
// and have it look for room often enough to notice the end of a context.
var publishOptions = []jetstream.PublishOpt{
	jetstream.WithRetryAttempts(0),
	jetstream.WithStallWait(200 * time.Millisecond),
}

// acked is the part of jetstream.PubAckFuture that is used: one of the two
// channels brings one value.
type acked interface {
	Ok() <-chan *jetstream.PubAck //nolint:revive // as there
	Err() <-chan error
}

// send waits for room among the messages in flight.
func (b *Bus) send(ctx context.Context, m *nats.Msg) (acked, error) {
	for {
		if !b.nc.IsConnected() {
			// It would wait in the connection's buffer, which is for acks.
			return nil, crawl.Errorf(crawl.Unavailable, "publish %s: %w", m.Subject, nats.ErrDisconnected)
		}
		f, err := b.js.PublishMsgAsync(m, publishOptions...)
		if !errors.Is(err, jetstream.ErrTooManyStalledMsgs) {
			return f, publishError(m.Subject, err)
		}
		if ctx.Err() != nil {
			return nil, crawl.Errorf(crawl.Unavailable, "publish %s: %w", m.Subject, context.Cause(ctx))
		}
	}
}

// pending implements Pending.
type pending struct {
	b       *Bus
	subject string
	ack     acked
	err     error    // final, when there is no ack to wait for
	refusal *refusal // the next one at the time of publishing
}

// Wait implements Pending.
func (p *pending) Wait(ctx context.Context) error {
	err := p.err
	if err == nil {
		err = p.wait(ctx)
	}
	p.b.m.publish(p.subject, err)
	return err
}

func (p *pending) wait(ctx context.Context) error {
	for {
		select {
		case <-p.ack.Ok():
			return nil
		case err := <-p.ack.Err():
			return publishError(p.subject, err)
		case <-ctx.Done():
			return crawl.Errorf(crawl.Unavailable, "publish %s: %w", p.subject, context.Cause(ctx))
		case <-p.refusal.happened:
			if p.refusal.subject == p.subject {
				return crawl.Errorf(crawl.Unavailable, "publish %s: %w", p.subject, errForbidden)
			}
			p.refusal = p.refusal.next
		}
	}
}

// PublishAll publishes all messages and waits for all acks. Those that the
// server refused for now or did not answer are sent again with back-off until
// ctx ends; any other error is returned at once. The messages arrive in any order.
func (b *Bus) PublishAll(ctx context.Context, msgs ...Message) error {
	pendings := make([]*pending, len(msgs))
	for n := 0; ; n++ {
		for i, m := range msgs {
			pendings[i] = b.publish(ctx, m)
		}
		left, err := waitAll(ctx, msgs, pendings)
		if err == nil || crawl.KindOf(err) != crawl.Unavailable || !sleep(ctx, publishBackoff.Delay(n, random)) {
			return err
		}
		msgs = left
	}
}

// PublishBundles publishes messages as PublishAll does, those of one subject together
// unless Config.BundleAge is 0. Those of one subject keep their order.
func (b *Bus) PublishBundles(ctx context.Context, msgs ...Message) error {
	if b.cfg.BundleAge > 0 {
		msgs = bundle(msgs)
	}
	return b.PublishAll(ctx, msgs...)
}

// waitAll returns the messages to send again and their first error, or an error
// that sending again does not mend.
func waitAll(ctx context.Context, msgs []Message, pendings []*pending) (left []Message, err error) {
	var final error
	for i, m := range msgs {
		e := pendings[i].Wait(ctx)
		switch {
		case e == nil:
			continue
		case crawl.KindOf(e) != crawl.Unavailable:
			final = e
		case err == nil:
			err = e
		}
		left = append(left, m)
	}
	if final != nil {
		return nil, final
	}
	return left, err
}

const (
	// maxPooled bounds what the pool of buffers keeps: a usual page fits.
	maxPooled = 64 << 10
	// maxSpare bounds the buffers that are kept for bundles, with what the allocator rounds
	// them up to. What is longer is rare.
	maxSpare = maxBundleBytes + 32<<10
	// spares is how many those are: dozens may be in use while the connection is written to,
	// and a pool would keep them all.
	spares = 4
)

// getBuffer returns a buffer to marshal to.
func (b *Bus) getBuffer(bundle bool) *[]byte {
	if bundle {
		select {
		case buf := <-b.spare:
			return buf
		default:
			return new([]byte) // grows to what it takes
		}
	}
	if buf, ok := b.buffers.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, 0, 4096)
	return &buf
}

func (b *Bus) putBuffer(buf *[]byte, bundle bool) {
	switch n := cap(*buf); {
	case bundle && n <= maxSpare:
		select {
		case b.spare <- buf:
		default:
		}
	case !bundle && n <= maxPooled:
		b.buffers.Put(buf)
	}
}
