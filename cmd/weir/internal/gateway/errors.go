package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
)

var (
	errNoPath      = status.Error(codes.NotFound, "there is nothing at this path: see /openapi.json")
	errCrossOrigin = status.Error(codes.PermissionDenied, "a page of another origin made this request")
)

// statusOf gives an error its status.
func statusOf(err error) *status.Status {
	// The generated code does not wrap it.
	if strings.Contains(err.Error(), (&http.MaxBytesError{}).Error()) {
		return status.New(codes.InvalidArgument, "the request is longer than 16 MiB")
	}
	return status.Convert(rpc.Status(err))
}

// streamStatus is the last line of a stream that failed.
func streamStatus(_ context.Context, err error) *status.Status { return statusOf(err) }

// fail answers with an error.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	s := statusOf(err)
	code := runtime.HTTPStatusFromCode(s.Code())
	if routing, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		code, s = routing.HTTPStatus, status.Convert(routing.Err)
	}
	body, merr := protojson.Marshal(s.Proto())
	if merr != nil { // a detail that nobody knows
		body = []byte(`{"code":` + strconv.Itoa(int(s.Code())) + `,"message":"the error cannot be shown"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	switch s.Code() {
	case codes.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="weir"`)
	case codes.Internal, codes.Unknown:
		g.log.Error("call failed", "method", r.Method, "err", err)
	}
	if wait, ok := access.RetryAfter(s.Err()); ok {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a reader that has gone away
}

// invalid is the error of a request that cannot be read.
func invalid(format string, args ...any) error { return crawl.Errorf(crawl.Invalid, format, args...) }
