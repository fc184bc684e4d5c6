package access

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// unauthenticated is the error of a caller that nobody knows. Its text never has what
// the caller sent.
func unauthenticated(format string, args ...any) error {
	return status.Errorf(codes.Unauthenticated, format, args...)
}

// denied is the error of a caller that may not do this.
func denied(format string, args ...any) error {
	return status.Errorf(codes.PermissionDenied, format, args...)
}

// exhausted is the error of a caller that has used up a quota; wait says when to come
// again, in the text and as a RetryInfo. 0 is unknown.
func exhausted(wait time.Duration, format string, args ...any) error {
	s := status.Newf(codes.ResourceExhausted, format, args...)
	if wait <= 0 {
		return s.Err()
	}
	if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		s = with
	}
	return s.Err()
}

// RetryAfter returns when a call that used up a quota may be made again, if err says so.
func RetryAfter(err error) (time.Duration, bool) {
	s, ok := status.FromError(err)
	if !ok {
		return 0, false
	}
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
