package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// disposition is what becomes of a message after its handler.
type disposition uint8

const (
	// ack: the work is done, or somebody else did it.
	ack disposition = iota
	// dead: the message can never be handled; it goes to WEIR_DEAD.
	dead
	// retry: a part of ours is down; the message stays in hand.
	retry
	// nak: a bug; the server delivers the message again.
	nak
	// release: the process stops; another one gets the message at once.
	release
)

// String returns the outcome as metrics have it.
func (d disposition) String() string {
	return [...]string{"ack", "dead", "retry", "bug", "released"}[d]
}

// dispositionOf is the one table of kinds and dispositions.
func dispositionOf(err error) disposition {
	if err == nil {
		return ack
	}
	if errors.Is(err, ErrFenced) {
		return release // the new owner's, who knows nothing of it yet
	}
	switch crawl.KindOf(err) {
	case crawl.Conflict, crawl.Precondition, crawl.Throttled:
		return ack
	case crawl.Invalid, crawl.NotFound:
		return dead
	case crawl.Unavailable:
		return retry
	default:
		return nak
	}
}

// guard calls a handler and turns a panic into an error of kind Internal, so
// that no message can bring the process down.
func guard(h func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = crawl.Errorf(crawl.Internal, "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h()
}

// nakDelay is the wait before a message that met a bug is delivered again: some
// bugs are races, and a message without a limit of deliveries must not spin.
func nakDelay(number uint64) time.Duration {
	return min(10*time.Second, 100*time.Millisecond<<min(number, 10))
}

// A message is given up when its handler fails at delivery MaxDeliver or later; the
// session buries it then, with the failure as the reason. The server's own limit is
// higher. Its count cannot tell why a delivery ended: a bug, a process that was killed,
// and a message that was given back at a stop all count one. With one limit for all,
// three restarts of a fleet within a short time gave up pages that nothing was wrong
// with. Now what is given back is never given up for that alone, as long as it is not
// in hand at nine stops in a row.
//
// Counting failures by ourselves would be more exact, but there is no place for the
// count: memory knows only this replica's, so that a page which cannot be parsed would
// be fetched three times by each; publishing the message again with a header costs a
// store, loses its place and meets full streams. The price of judging by the number of
// the delivery is small: a message that was given back before has fewer tries left, at
// least one. The server's limit remains for what no handler lives to report: a message
// that kills the process.

// serverDeliveries is the server's limit for a number of tries.
func serverDeliveries(tries int) int {
	if tries < 0 {
		return -1
	}
	return 4 * tries
}

// settle does with one message what its handler's error asks for. ctx ends with
// the handler's.
func (s *session) settle(ctx context.Context, d *delivery, what disposition, err error) {
	if tries := s.b.settings(d.src.consumer).MaxDeliver; what == nak && tries > 0 && d.Number >= uint64(tries) {
		what = dead
		err = fmt.Errorf("not handled after %d deliveries to %s: %w", d.Number, d.src.consumer.name, err)
	}
	if what == dead {
		if e := s.bury(ctx, d, err); e != nil {
			s.log.Warn("dead letter could not be kept", d.about("err", e)...)
			what = nak
		}
	}
	switch what {
	case ack:
		d.reply(s.nc, bodyAck)
	case dead:
		s.log.Warn("message given up", d.about("err", err)...)
		d.reply(s.nc, termBody(err))
	case release, retry:
		d.reply(s.nc, bodyNak)
	case nak:
		s.log.Error("handler failed", d.about("delivery", d.Number, "err", err)...)
		d.reply(s.nc, fmt.Appendf(nil, "-NAK {\"delay\": %d}", nakDelay(d.Number).Nanoseconds()))
	}
	s.b.m.consumed.WithLabelValues(d.src.consumer.label, what.String()).Add(float64(d.units()))
}

// about is what the log says of a message, before more.
func (d *delivery) about(more ...any) []any {
	out := []any{"consumer", d.src.consumer.label, "subject", d.Subject}
	if len(d.Trace) > 35 { // version, trace, span
		out = append(out, "trace_id", d.Trace[3:35])
	}
	return append(out, more...)
}
