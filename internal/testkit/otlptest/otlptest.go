// Package otlptest is a trace collector for tests: a gRPC server that takes spans over
// OTLP as a real one does, and keeps them.
package otlptest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Span is one that has come.
type Span struct {
	// Service is the resource's service.name.
	Service string
	// Name of the span, Kind as OTLP has it, without its prefix.
	Name, Kind string
	// Trace, ID and Parent are ids in hex; Parent is empty for a root.
	Trace, ID, Parent string
	// Start and End of the span.
	Start, End time.Time
	// Attrs are its attributes, as text.
	Attrs map[string]string
	// Links are the ids of the spans that it is linked with, trace and span with a slash
	// between.
	Links []string
	// Error is the status of a span that failed, "" for others.
	Error string
}

// Collector takes spans. Safe for concurrent use.
type Collector struct {
	collectorv1.UnimplementedTraceServiceServer

	addr string

	mu    sync.Mutex
	spans []Span
	down  bool
}

// Start serves on a loopback port until the test ends.
func Start(tb testing.TB) *Collector {
	tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("otlptest: %v", err)
	}
	c := &Collector{addr: lis.Addr().String()}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(lis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			tb.Errorf("otlptest: %v", err)
		}
	}()
	tb.Cleanup(func() { server.Stop(); <-done })
	return c
}

// Addr is the endpoint, host:port.
func (c *Collector) Addr() string { return c.addr }

// Refuse has the collector answer Unavailable from now on, or take spans again.
func (c *Collector) Refuse(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// Spans are those that have come, in the order of their coming.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Export implements collectorv1.TraceServiceServer.
func (c *Collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, status.Error(codes.Unavailable, "refused by the test")
	}
	for _, rs := range r.GetResourceSpans() {
		service := attrs(rs.GetResource().GetAttributes())["service.name"]
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, spanOf(service, s))
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func spanOf(service string, s *tracev1.Span) Span {
	out := Span{
		Service: service, Name: s.GetName(), Kind: s.GetKind().String()[len("SPAN_KIND_"):],
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Attrs: attrs(s.GetAttributes()),
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetTraceId())+"/"+hex.EncodeToString(l.GetSpanId()))
	}
	if s.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR {
		out.Error = s.GetStatus().GetMessage()
	}
	return out
}

func attrs(kvs []*commonv1.KeyValue) map[string]string {
	out := make(map[string]string, len(kvs))
	for _, kv := range kvs {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonv1.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *commonv1.AnyValue_IntValue:
			out[kv.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		default:
			out[kv.GetKey()] = fmt.Sprint(kv.GetValue())
		}
	}
	return out
}
