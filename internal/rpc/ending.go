package rpc

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/crawl"
)

// lasting begin the names of methods whose calls last as long as their callers like,
// so that a stop cannot wait for them. All others are finished, within SoftStop.
var lasting = []string{"Watch", "Wait", "Tail", "Export", "Reparse"}

// errEnding ends them.
var errEnding = crawl.Errorf(crawl.Unavailable, "the server is stopping: call again, at another replica if there is one")

// ending ends the calls that last when it begins.
type ending struct {
	ctx   context.Context //nolint:containedctx // a signal that context.AfterFunc understands
	begin context.CancelFunc
}

func newEnding() *ending {
	e := &ending{}
	e.ctx, e.begin = context.WithCancel(context.Background())
	return e
}

// end calls h with a context that ends with the ending, if the method is one that lasts.
func (e *ending) end(ctx context.Context, method string, h func(context.Context) error) error {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	// Health is watched to the last: that is how clients learn of the stop.
	if strings.HasPrefix(service, "grpc.") || !slices.ContainsFunc(lasting, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return h(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(e.ctx, func() { cancel(errEnding) })
	defer stop()
	err := h(inner)
	if err != nil && ctx.Err() == nil && context.Cause(inner) == errEnding { //nolint:errorlint // set above
		return errEnding
	}
	return err
}

// serverStream has a context of its own.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // the interface wants one
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }
