package bus

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// InFlight returns the leases of all messages in the ring: of every visit that
// will be heard of again without anything being done. Messages that move while
// it looks are found: it reads the streams in the order of the flow, and a
// message is in the next stream before it leaves the one before. A result that
// is acked meanwhile may be missing or not.
//
// The work queues take no second consumer, so it reads the messages themselves,
// a few MiB at a time: call it at start, not in a loop.
func (b *Bus) InFlight(ctx context.Context) (map[uint64]struct{}, error) {
	leases := make(map[uint64]struct{})
	for _, name := range []string{StreamTasks, StreamPages, StreamRecords, StreamResults} {
		s, err := b.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, unavailable("look at stream "+name, err)
		}
		if err := b.scan(ctx, s.CachedInfo(), leases); err != nil {
			return nil, err
		}
	}
	return leases, nil
}

// scan reads the leases of what a stream held when info was taken. What came
// since was, at that time, in the stream before, which has been read.
func (b *Bus) scan(ctx context.Context, info *jetstream.StreamInfo, leases map[uint64]struct{}) error {
	ch := make(chan *nats.Msg, scanMessages+16)
	sub, err := b.nc.ChanSubscribe(b.nc.NewInbox(), ch)
	if err != nil {
		return unavailable("scan "+info.Config.Name, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	next := max(1, info.State.FirstSeq)
	for failures := 0; next <= info.State.LastSeq; {
		last, err := b.scanSome(ctx, info.Config.Name, sub.Subject, ch, next, leases)
		switch {
		case err == nil && last < next:
			return nil // nothing from next on
		case err == nil:
			next, failures = last+1, 0
		case failures >= scanTries || !sleep(ctx, retryBackoff.Delay(failures, random)):
			return unavailable("scan "+info.Config.Name, err)
		default:
			failures++
		}
	}
	return nil
}

const (
	// scanMessages and scanBytes bound one request, so that its answer fits the
	// channel and the memory.
	scanMessages = 1024
	scanBytes    = 4 * mib
	// scanSilence is after what silence a request is repeated.
	scanSilence = 5 * time.Second
	// scanTries bounds repetition.
	scanTries = 5
)

// scanRequest is a direct get of several messages.
type scanRequest struct {
	Seq      uint64 `json:"seq"`
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes"`
}

// scanSome reads messages from sequence first on and returns the sequence of the
// last one read, 0 when there is none.
func (b *Bus) scanSome(ctx context.Context, stream, reply string, ch <-chan *nats.Msg, first uint64, leases map[uint64]struct{}) (uint64, error) {
	req, err := json.Marshal(scanRequest{Seq: first, Batch: scanMessages, MaxBytes: scanBytes})
	if err != nil {
		return 0, err
	}
	if err := b.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, reply, req); err != nil {
		return 0, err
	}
	last := uint64(0)
	silence := time.NewTimer(scanSilence)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-silence.C:
			return 0, errors.New("no answer")
		case m := <-ch:
			silence.Reset(scanSilence)
			switch status := m.Header.Get("Status"); status {
			case "":
			case "204", "404": // end of the batch, nothing there
				return last, nil
			default:
				return 0, errors.New("status " + status + " " + m.Header.Get("Description"))
			}
			last, _ = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			if l, err := strconv.ParseUint(m.Header.Get(headerLease), 16, 64); err == nil {
				leases[l] = struct{}{}
			}
		}
	}
}
