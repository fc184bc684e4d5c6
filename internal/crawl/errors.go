// Package crawl is the vocabulary that all services share as plain Go: kinds of
// error, classes of failed fetches with their retry rules, URL patterns, scope.
// It is pure: no I/O, no clock, no wire types.
package crawl

import (
	"errors"
	"fmt"
)

// Kind says what an error of ours means for the caller. One table (in the
// packages rpc and bus) turns it into a gRPC code and a message disposition.
// The outcome of a fetch is never an error: see Class.
type Kind uint8

// The kinds, a closed set.
const (
	// Internal is a bug: the message is delivered again, and dead-lettered with
	// its reason when it has used up its deliveries. The default for any error.
	Internal Kind = iota
	// Invalid is a request or message that can never be carried out.
	Invalid
	// NotFound is a crawl, URL or page that does not exist.
	NotFound
	// Conflict is a change made by somebody else meanwhile: a stale lease.
	Conflict
	// Precondition is a request that the state of a crawl does not allow.
	Precondition
	// Throttled asks the caller to come again later.
	Throttled
	// Unavailable is a part that is down (NATS, a store, a peer, the disk): not
	// the message's fault, retried in place.
	Unavailable
)

// Error is an error with a kind.
type Error struct {
	// Kind of the error.
	Kind Kind
	// Err is the cause, never nil.
	Err error
}

// Error returns the cause's text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind; %w wraps.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of the outermost *Error in err's chain, Internal
// without one.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	names := [...]string{"internal", "invalid", "not_found", "conflict", "precondition", "throttled", "unavailable"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}
