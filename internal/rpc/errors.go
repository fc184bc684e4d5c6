package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/crawl"
)

// The one table of kinds and gRPC codes.
var kindCodes = [...]codes.Code{
	crawl.Internal:     codes.Internal,
	crawl.Invalid:      codes.InvalidArgument,
	crawl.NotFound:     codes.NotFound,
	crawl.Conflict:     codes.Aborted,
	crawl.Precondition: codes.FailedPrecondition,
	crawl.Throttled:    codes.ResourceExhausted,
	crawl.Unavailable:  codes.Unavailable,
}

// Code returns the gRPC code of a kind.
func Code(k crawl.Kind) codes.Code {
	if int(k) < len(kindCodes) {
		return kindCodes[k]
	}
	return codes.Internal
}

// Status turns an error of ours into one of gRPC, for the server side. Errors
// that carry a status already, and the ends of contexts, keep their own code.
func Status(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if _, ok := errors.AsType[*crawl.Error](err); !ok {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return status.Error(codes.DeadlineExceeded, err.Error())
		case errors.Is(err, context.Canceled):
			return status.Error(codes.Canceled, err.Error())
		}
	}
	return status.Error(Code(crawl.KindOf(err)), err.Error())
}

// FromStatus turns an error of a call into one of ours, for the client side. The
// text is the server's alone, and status.FromError still finds the status.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	return &crawl.Error{Kind: kindOf(s.Code()), Err: &remoteError{s}}
}

// kindOf is the table backwards; what only the transport makes is a part that is down.
func kindOf(c codes.Code) crawl.Kind {
	for k, kc := range kindCodes {
		if kc == c {
			return crawl.Kind(k)
		}
	}
	switch c {
	case codes.DeadlineExceeded, codes.Canceled:
		return crawl.Unavailable
	case codes.OutOfRange, codes.Unimplemented, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated:
		return crawl.Precondition
	default:
		return crawl.Internal
	}
}

// remoteError shows the message without gRPC's "rpc error: code = …".
type remoteError struct{ s *status.Status }

// Error returns the server's text, without what a client that gave up repeating
// the call puts before it.
func (e *remoteError) Error() string {
	text := e.s.Message()
	if strings.HasPrefix(text, "max retries exhausted: ") {
		if _, desc, ok := strings.Cut(text, " desc = "); ok {
			return desc
		}
	}
	return text
}

// GRPCStatus lets status.FromError find the status.
func (e *remoteError) GRPCStatus() *status.Status { return e.s }

// Is finds the ends of contexts.
func (e *remoteError) Is(target error) bool {
	return target == context.DeadlineExceeded && e.s.Code() == codes.DeadlineExceeded ||
		target == context.Canceled && e.s.Code() == codes.Canceled
}
