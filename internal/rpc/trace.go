package rpc

import (
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/weircrawl/weir/internal/trace"
)

// Traced has the calls of a connection make spans with a tracer, and carry their place
// in a trace; nothing for a nil one.
func Traced(t *trace.Tracer) grpc.DialOption {
	if t == nil {
		return grpc.EmptyDialOption{}
	}
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(traceOptions(t)...))
}

// traceServer has a server make spans of the calls that it answers.
func traceServer(t *trace.Tracer) []grpc.ServerOption {
	if t == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(traceOptions(t)...))}
}

// traceOptions pass in what otelgrpc would otherwise take from globals. Its metrics,
// which know every caller's address, stay off: ours are go-grpc-middleware's.
func traceOptions(t *trace.Tracer) []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(t.Provider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool { return strings.HasPrefix(info.FullMethodName, "/weir.") }),
	}
}
