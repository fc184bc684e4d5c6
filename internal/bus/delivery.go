package bus

import (
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// delivery is a message in hand.
type delivery struct {
	Delivery
	src      *source
	sequence uint64    // in its stream
	replyTo  string    // where its ack goes
	arrived  time.Time // when it came
	parts    [][]byte  // of a bundle; nil for any other message
	leases   string    // the header
	index    int       // in session.inHand

	mu      sync.Mutex
	beat    time.Time // of the last heart-beat
	settled bool
}

// Bodies of acks. Plain ones: a confirmed ack costs ten times as much, and
// messages are delivered again after a crash all the same.
var (
	bodyAck      = []byte("+ACK")
	bodyNak      = []byte("-NAK")
	bodyProgress = []byte("+WPI")
)

// termBody carries the reason into the server's advisory, in one short line.
func termBody(err error) []byte {
	reason, _, _ := strings.Cut(err.Error(), "\n")
	return append([]byte("+TERM "), reason[:min(len(reason), 200)]...)
}

// reply settles the message; the first call wins. While the connection is down
// the ack waits in the connection's buffer, and when it is lost the message
// comes again.
func (d *delivery) reply(nc *nats.Conn, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settled {
		return
	}
	d.settled = true
	_ = nc.Publish(d.replyTo, body)
}

// renew takes over a later delivery of the same message; false when this one is
// settled.
func (d *delivery) renew(replyTo string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settled {
		return false
	}
	d.replyTo = replyTo
	return true
}

// progress sends a heart-beat when one is due. It cannot follow the ack: a
// heart-beat after a nak would delay the next delivery.
func (d *delivery) progress(nc *nats.Conn, now time.Time, every time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settled || now.Sub(d.beat) < every {
		return
	}
	d.beat = now
	_ = nc.Publish(d.replyTo, bodyProgress)
}

// ackTokens reads number of deliveries and stream sequence out of the subject
// that a message is acked on:
//
//	$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>.<stream seq>.….<token>
func ackTokens(reply string) (number, sequence uint64, ok bool) {
	if !strings.HasPrefix(reply, "$JS.ACK.") {
		return 0, 0, false
	}
	first := 4
	switch n := strings.Count(reply, ".") + 1; {
	case n >= 11:
		first = 6
	case n != 9:
		return 0, 0, false
	}
	for range first {
		_, reply, _ = strings.Cut(reply, ".")
	}
	num, rest, _ := strings.Cut(reply, ".")
	seq, _, _ := strings.Cut(rest, ".")
	number, ok1 := parseUint(num)
	sequence, ok2 := parseUint(seq)
	return number, sequence, ok1 && ok2
}

// storedAt reads out of the same subject when the stream got the message, zero when it
// does not say so.
func storedAt(reply string) time.Time {
	tokens := strings.Split(reply, ".")
	at := 7
	if len(tokens) >= 11 {
		at = 9
	}
	if len(tokens) <= at {
		return time.Time{}
	}
	ns, ok := parseUint(tokens[at])
	if !ok || ns > 1<<63-1 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

// parseUint reads decimal digits only.
func parseUint(s string) (uint64, bool) {
	var n uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > (1<<64-1)/10-1 {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n, s != ""
}
