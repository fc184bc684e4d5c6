package bus

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Pull requests are made here and not by jetstream.Consumer.Consume, for three
// reasons. Consume asks for messages ahead of need and keeps them where no
// heart-beat reaches them: behind slow handlers they would be delivered a second
// time. At a stop it cannot give back at once what was pulled and not started.
// And a worker that becomes free should find a message waiting without the
// pool holding more than it needs. What is left is small: ask for n messages,
// count what comes, and ask again when the server says the request is over, or
// says nothing for too long.

const (
	// pullExpiry is how long a pull waits at the server for messages.
	pullExpiry = 5 * time.Second
	// pullHeartbeat is how often the server says that a pull is still known.
	// Without it a lost wake-up would stall a consumer until the expiry.
	pullHeartbeat = time.Second
	// pullSilence is after what silence a pull counts as lost.
	pullSilence = 2*pullHeartbeat + pullHeartbeat/2
)

// source is a consumer that a session pulls from. The session's loop owns it.
type source struct {
	member   *member
	consumer Consumer
	sub      *nats.Subscription
	subject  string // of pull requests

	held    int  // messages in hand
	leaving bool // nothing more is taken
	silent  bool // and nothing more comes

	outstanding int       // messages asked for and not come yet
	heard       time.Time // when the server last said anything
	retryAt     time.Time // no pull before; zero for none
	failures    int       // in a row
}

// pullFrom asks for n messages, at most maxBytes of them when that is not 0.
func (s *session) pullFrom(src *source, n int, maxBytes int, now time.Time) {
	b := make([]byte, 0, 96)
	b = append(b, `{"batch":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	if maxBytes > 0 {
		// One message that is longer than the rest of the room must still fit.
		b = append(b, `,"max_bytes":`...)
		b = strconv.AppendInt(b, int64(max(maxBytes, s.b.MaxPayload()+64*1024)), 10)
	}
	b = append(b, `,"expires":`...)
	b = strconv.AppendInt(b, int64(pullExpiry), 10)
	b = append(b, `,"idle_heartbeat":`...)
	b = strconv.AppendInt(b, int64(pullHeartbeat), 10)
	b = append(b, '}')
	if err := s.nc.PublishRequest(src.subject, src.sub.Subject, b); err != nil {
		s.failed(src, now, err.Error())
		return
	}
	if src.outstanding == 0 {
		src.heard = now
	}
	src.outstanding += n
}

// demand pulls as much as there is room for, and returns when a source that failed is to
// be asked again, zero for never.
func (s *session) demand(now time.Time) (again time.Time) {
	if s.stopping || s.hold.Load() > 0 || !s.nc.IsConnected() || s.bytesLimit > 0 && s.bytes >= s.bytesLimit {
		return again
	}
	room := s.target - (s.workers - s.mayRun()) - s.units
	for _, src := range s.sources {
		n := min(s.share, room) - src.outstanding
		switch {
		case n <= 0 || src.leaving:
			continue
		case now.Before(src.retryAt):
			if again.IsZero() || src.retryAt.Before(again) {
				again = src.retryAt
			}
			continue
		case src.outstanding > 0 && (n < s.share/4 || s.bytesLimit > 0):
			// A pull is open: another one for a few messages more is not worth its
			// cost, and the bytes that the open one may bring are not known.
			continue
		}
		bytes := 0
		if s.bytesLimit > 0 {
			bytes = s.bytesLimit - s.bytes
		}
		s.pullFrom(src, n, bytes, now)
	}
	return again
}

// status handles a message from the server about a pull.
func (s *session) status(src *source, m *nats.Msg, now time.Time) {
	src.heard = now
	if src.leaving {
		return
	}
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch code {
	case "100": // heart-beat
	case "408", "409", "404":
		if left := m.Header.Get("Nats-Pending-Messages"); left != "" {
			n, _ := parseUint(left)
			src.outstanding = max(0, src.outstanding-int(min(n, 1<<20)))
			s.succeeded(src)
			return
		}
		// Consumer Deleted, Leadership Change, Server Shutdown, Exceeded MaxWaiting, …:
		// every open pull is gone.
		s.failed(src, now, text)
	case "503":
		s.failed(src, now, "consumer does not exist")
	default:
		s.failed(src, now, fmt.Sprintf("status %s %s", code, text))
	}
}

// failed forgets the open pulls of a source and comes again later.
func (s *session) failed(src *source, now time.Time, why string) {
	src.outstanding = 0
	src.retryAt = now.Add(bindBackoff.Delay(src.failures, random))
	src.failures++
	// The first failures are the rule when services start in any order.
	if src.failures == 6 {
		s.log.Warn("waiting for a consumer", "consumer", src.consumer.String(), "reason", why)
	}
}

// succeeded notes that a source delivers, or could.
func (s *session) succeeded(src *source) {
	if src.failures >= 6 {
		s.log.Info("consumer is back", "consumer", src.consumer.String())
	}
	src.failures = 0
	src.retryAt = time.Time{}
}

// forget drops all open pulls: they died with the connection.
func (s *session) forget() {
	for _, src := range s.sources {
		src.outstanding = 0
	}
}

// checkSilence finds pulls that the server has lost.
func (s *session) checkSilence(now time.Time) {
	for _, src := range s.sources {
		if src.outstanding > 0 && !src.leaving && now.Sub(src.heard) > pullSilence {
			s.log.Debug("pull lost", "consumer", src.consumer.String())
			src.outstanding = 0
		}
	}
}
