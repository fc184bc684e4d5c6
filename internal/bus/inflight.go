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

// Replicated reports whether streams have replicas: then what is read of them, by
// InFlight for example, may come from one that is a moment behind.
func (b *Bus) Replicated() bool { return b.cfg.Replicas > 1 }

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
		info := s.CachedInfo()
		if err := b.scan(ctx, info, 1, leases); err != nil {
			return nil, err
		}
		if name != StreamPages {
			continue
		}
		// What was put aside or came back meanwhile moved to the end of this stream.
		end := info.State.LastSeq + 1
		if info, err = s.Info(ctx); err != nil {
			return nil, unavailable("look at stream "+name, err)
		}
		if err := b.scan(ctx, info, end, leases); err != nil {
			return nil, err
		}
	}
	return leases, nil
}

// scan reads the leases of what a stream held, from a sequence on, when info was taken. What came
// since was, at that time, in the stream before, which has been read.
func (b *Bus) scan(ctx context.Context, info *jetstream.StreamInfo, from uint64, leases map[uint64]struct{}) error {
	next := max(from, info.State.FirstSeq)
	for failures := 0; next <= info.State.LastSeq; {
		req := readRequest{Seq: next, Batch: readMessages, MaxBytes: readBytes}
		last, err := b.read(ctx, info.Config.Name, req, func(_ uint64, m *nats.Msg) {
			for _, l := range leasesIn(m.Header.Get(headerLease)) {
				leases[l] = struct{}{}
			}
		})
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

// scanTries bounds how often a request is repeated.
const scanTries = 5

const (
	// readMessages and readBytes bound one request, so that its answer fits the
	// channel and the memory.
	readMessages = 1024
	readBytes    = 4 * mib
	// readSilence is after what silence a request has failed.
	readSilence = 5 * time.Second
)

// readRequest is a direct get of several messages.
type readRequest struct {
	Seq      uint64 `json:"seq"` // of the first, or the next after it
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes,omitempty"`
	Filter   string `json:"next_by_subj,omitempty"`
}

// read calls take with messages of a stream in order and returns the sequence of the
// last one, 0 when there is none. After an error take may have been called.
func (b *Bus) read(ctx context.Context, stream string, req readRequest, take func(seq uint64, m *nats.Msg)) (uint64, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return 0, err
	}
	// An inbox for this request alone: a late answer to one that was given up must not
	// be taken for this one's.
	ch := make(chan *nats.Msg, readMessages+16)
	sub, err := b.nc.ChanSubscribe(b.nc.NewInbox(), ch)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, sub.Subject, body); err != nil {
		return 0, err
	}
	last := uint64(0)
	silence := time.NewTimer(readSilence)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-silence.C:
			return 0, errors.New("no answer")
		case m := <-ch:
			silence.Reset(readSilence)
			switch status := m.Header.Get("Status"); status {
			case "":
			case "204", "404": // end of the batch, nothing there
				return last, nil
			default:
				return 0, errors.New("status " + status + " " + m.Header.Get("Description"))
			}
			last, _ = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			take(last, m)
		}
	}
}
