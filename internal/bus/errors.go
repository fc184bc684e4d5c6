package bus

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/crawl"
)

// ErrFull: the stream holds as much as it may, since the next stage is slow or
// away. Its kind is Unavailable. Keep the message and come again with back-off:
// a refused publish costs more than an accepted one.
var ErrFull = crawl.Errorf(crawl.Unavailable, "stream is full")

// ErrTaken: another holder has the key.
var ErrTaken = crawl.Errorf(crawl.Conflict, "the key is taken")

// ErrLost: the key ran out, or was released or taken by another holder. What it stood
// for is no longer the caller's.
var ErrLost = crawl.Errorf(crawl.Conflict, "the lease is lost")

// ErrFenced: another owner has taken the partition since the message's fence was
// set. What is published for it from here on would be refused too.
var ErrFenced = crawl.Errorf(crawl.Conflict, "the partition's tasks have another publisher")

const (
	// codeFenced is what a stream answers to a message whose fence is not the last one.
	codeFenced = 10071
	// codeFenceBusy is no verdict: a message with the same fence, or a new fence, is
	// still being agreed upon by the replicas.
	codeFenceBusy = 10164
)

// codeStoreFailed is what a stream answers at any of its bounds: messages,
// bytes, messages of a subject.
const codeStoreFailed = 10077

// codeNoStorage is what the server answers to a stream whose bound it could not keep.
const codeNoStorage = 10047

// publishError gives an error of publishing its kind.
func publishError(subject string, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api) && api.ErrorCode == codeStoreFailed:
		return fmt.Errorf("publish %s: %w", subject, ErrFull)
	case errors.As(err, &api) && api.ErrorCode == codeFenced:
		return fmt.Errorf("publish %s: %w", subject, ErrFenced)
	case errors.Is(err, nats.ErrMaxPayload):
		return crawl.Errorf(crawl.Invalid, "publish %s: %w", subject, err)
	default:
		return crawl.Errorf(crawl.Unavailable, "publish %s: %w", subject, err)
	}
}

// unavailable gives an error of a call to the server its kind.
func unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return crawl.Errorf(crawl.Unavailable, "%s: %w; start nats-server with -js", what, err)
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == codeNoStorage {
		return crawl.Errorf(crawl.Unavailable, "%s: %w: the bounds of the streams are more than the server may store (its max_file_store, else three quarters of the free disk); lower nats.pages.max-bytes and the others, or make room", what, err)
	}
	return crawl.Errorf(crawl.Unavailable, "%s: %w", what, err)
}
