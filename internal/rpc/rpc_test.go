package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// service answers every call with what its function returns.
type service func(ctx context.Context, in string) (string, error)

type anything any

const unaryMethod, streamMethod = "/weir.test.Test/Unary", "/weir.test.Test/Stream"

// describe is what generated code would say; more are names of further methods, which
// are as Unary, and of streams when they begin with Watch.
func describe(more ...string) *grpc.ServiceDesc {
	d := &grpc.ServiceDesc{
		ServiceName: "weir.test.Test",
		HandlerType: (*anything)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, ctx context.Context, dec func(any) error, ic grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			h := func(ctx context.Context, req any) (any, error) {
				out, err := srv.(service)(ctx, req.(*wrapperspb.StringValue).GetValue())
				return wrapperspb.String(out), err
			}
			return ic(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: unaryMethod}, h)
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Stream", ServerStreams: true, ClientStreams: true, Handler: func(srv any, ss grpc.ServerStream) error {
			for {
				in := new(wrapperspb.StringValue)
				if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				out, err := srv.(service)(ss.Context(), in.GetValue())
				if err != nil {
					return err
				}
				if err := ss.SendMsg(wrapperspb.String(out)); err != nil {
					return err
				}
			}
		}}},
	}
	for _, name := range more {
		if strings.HasPrefix(name, "Watch") {
			stream := d.Streams[0]
			stream.StreamName = name
			d.Streams = append(d.Streams, stream)
			continue
		}
		unary := d.Methods[0].Handler
		d.Methods = append(d.Methods, grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, ic grpc.UnaryServerInterceptor) (any, error) {
			return unary(srv, ctx, dec, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				info.FullMethod = "/weir.test.Test/" + name
				return ic(ctx, req, info, h)
			})
		}})
	}
	return d
}

// serve runs s until the test ends or stop is called.
func serve(tb testing.TB, f func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	}
	tb.Cleanup(stop)
	return stop
}

func inProcess(tb testing.TB, deps rpc.Deps, s service) *grpc.ClientConn {
	tb.Helper()
	p := rpc.NewInProcess(deps)
	p.RegisterService(describe(), s)
	serve(tb, p.Serve)
	cc, err := p.Dial()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

func call(ctx context.Context, cc *grpc.ClientConn, in string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := cc.Invoke(ctx, unaryMethod, wrapperspb.String(in), out)
	return out.GetValue(), err
}

func open(ctx context.Context, tb testing.TB, cc *grpc.ClientConn) grpc.ClientStream {
	tb.Helper()
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, streamMethod)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestKindsCrossTheWire(t *testing.T) {
	t.Parallel()
	kinds := []crawl.Kind{crawl.Internal, crawl.Invalid, crawl.NotFound, crawl.Conflict, crawl.Precondition, crawl.Throttled, crawl.Unavailable}
	cc := inProcess(t, rpc.Deps{}, func(_ context.Context, in string) (string, error) {
		for _, k := range kinds {
			if k.String() == in {
				return "", fmt.Errorf("look up: %w", crawl.Errorf(k, "it is %s", in))
			}
		}
		return in, nil
	})
	if out, err := call(t.Context(), cc, "fine"); out != "fine" || err != nil {
		t.Fatalf("got %q, %v", out, err)
	}
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			_, err := call(t.Context(), cc, k.String())
			check := func(err error) {
				t.Helper()
				if got := crawl.KindOf(err); got != k {
					t.Errorf("kind %s, want %s", got, k)
				}
				if want := "look up: it is " + k.String(); err == nil || err.Error() != want {
					t.Errorf("text %q, want %q", err, want)
				}
				if s, ok := status.FromError(err); !ok || s.Code() != rpc.Code(k) {
					t.Errorf("status %v", s)
				}
			}
			check(err)
			s := open(t.Context(), t, cc)
			if err := s.SendMsg(wrapperspb.String(k.String())); err != nil {
				t.Fatal(err)
			}
			check(s.RecvMsg(new(wrapperspb.StringValue)))
		})
	}
}

func TestStreamEnd(t *testing.T) {
	t.Parallel()
	cc := inProcess(t, rpc.Deps{}, func(_ context.Context, in string) (string, error) { return in + in, nil })
	s := open(t.Context(), t, cc)
	for _, in := range []string{"a", "b"} {
		if err := s.SendMsg(wrapperspb.String(in)); err != nil {
			t.Fatal(err)
		}
		out := new(wrapperspb.StringValue)
		if err := s.RecvMsg(out); err != nil || out.GetValue() != in+in {
			t.Fatalf("got %q, %v", out.GetValue(), err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(new(wrapperspb.StringValue)); err != io.EOF { //nolint:errorlint // the bare value is the contract
		t.Errorf("got %v, want io.EOF", err)
	}
}

func TestPanicIsAnErrorOfTheCall(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cc := inProcess(t, rpc.Deps{Log: slog.New(slog.NewTextHandler(&log, nil))}, func(context.Context, string) (string, error) { panic("ouch") })
	_, err := call(t.Context(), cc, "x")
	if crawl.KindOf(err) != crawl.Internal || !strings.Contains(err.Error(), "panic: ouch") {
		t.Errorf("got %v", err)
	}
	if strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("want one line:\n%s", log.String())
	}
}

func TestContextsEndCalls(t *testing.T) {
	t.Parallel()
	cc := inProcess(t, rpc.Deps{}, func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := call(ctx, cc, "x")
	if !errors.Is(err, context.DeadlineExceeded) || crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("got %v of kind %s", err, crawl.KindOf(err))
	}
}

func TestStatusKeepsForeignCodes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK},
		{errors.New("x"), codes.Internal},
		{context.Canceled, codes.Canceled},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{crawl.Errorf(crawl.Unavailable, "store: %w", context.DeadlineExceeded), codes.Unavailable},
		{status.Error(codes.Unimplemented, "x"), codes.Unimplemented},
	} {
		if got := status.Code(rpc.Status(tc.err)); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
	gaveUp := rpc.FromStatus(status.Error(codes.Unavailable, "max retries exhausted: failed after 4 attempts: rpc error: code = Unavailable desc = disk: full"))
	if gaveUp.Error() != "disk: full" {
		t.Errorf("got %q", gaveUp)
	}
	if rpc.FromStatus(nil) != nil {
		t.Error("nil is an error")
	}
}

func TestServerOverTCP(t *testing.T) {
	t.Parallel()
	cfg := rpc.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	reg := prometheus.NewRegistry()
	s, err := rpc.NewServer(cfg, rpc.Deps{Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	s.RegisterService(describe(), service(func(_ context.Context, in string) (string, error) { return in, nil }))
	serve(t, s.Serve)
	taken := cfg
	taken.Listen = s.Addr()
	if _, err := rpc.NewServer(taken, rpc.Deps{}); err == nil || !strings.Contains(err.Error(), "choose another address") {
		t.Errorf("port in use: %v", err)
	}
	cc, err := rpc.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	if out, err := call(t.Context(), cc, "x"); err != nil || out != "x" {
		t.Fatalf("got %q, %v", out, err)
	}
	h, err := healthv1.NewHealthClient(cc).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "weir.test.Test"})
	if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", h, err)
	}
	if fams, err := reg.Gather(); err != nil || len(fams) == 0 {
		t.Errorf("no metrics, %v", err)
	}
	// A second server of the process shares the metrics.
	rpc.NewInProcess(rpc.Deps{Registry: reg})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	cc, err := rpc.Dial("127.0.0.1:1") // no system gives this port to anybody
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	if _, err := call(t.Context(), cc, "x"); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("got %v", err)
	}
}

// flakyStorage fails until it has been asked often enough.
type flakyStorage struct {
	storagev1.UnimplementedStorageServiceServer
	gets, puts atomic.Int32
}

func (f *flakyStorage) GetStats(context.Context, *storagev1.GetStatsRequest) (*storagev1.GetStatsResponse, error) {
	if f.gets.Add(1) < 3 {
		return nil, crawl.Errorf(crawl.Unavailable, "starting")
	}
	return &storagev1.GetStatsResponse{}, nil
}

func (f *flakyStorage) PutBody(grpc.ClientStreamingServer[storagev1.PutBodyRequest, storagev1.PutBodyResponse]) error {
	f.puts.Add(1)
	return crawl.Errorf(crawl.Unavailable, "starting")
}

func TestOnlyReadingCallsAreRepeated(t *testing.T) {
	t.Parallel()
	var f flakyStorage
	p := rpc.NewInProcess(rpc.Deps{})
	storagev1.RegisterStorageServiceServer(p, &f)
	serve(t, p.Serve)
	cc, err := p.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	c := storagev1.NewStorageServiceClient(cc)
	if _, err := c.GetStats(t.Context(), &storagev1.GetStatsRequest{}); err != nil || f.gets.Load() != 3 {
		t.Errorf("%v after %d calls, want 3", err, f.gets.Load())
	}
	s, err := c.PutBody(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CloseAndRecv(); crawl.KindOf(err) != crawl.Unavailable || f.puts.Load() != 1 {
		t.Errorf("%v after %d calls, want 1", err, f.puts.Load())
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	cfg := rpc.DefaultConfig()
	cfg.Listen, cfg.SoftStop = "127.0.0.1:0", 50*time.Millisecond
	s, err := rpc.NewServer(cfg, rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{}, 1)
	s.RegisterService(describe(), service(func(ctx context.Context, _ string) (string, error) {
		entered <- struct{}{}
		<-ctx.Done() // only a hard stop ends it
		return "", ctx.Err()
	}))
	stop := serve(t, s.Serve)
	cc, err := rpc.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	result := make(chan error, 1)
	go func() { _, err := call(t.Context(), cc, "x"); result <- err }()
	<-entered
	stop()
	if err := <-result; err == nil {
		t.Error("the call succeeded")
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := rpc.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	bad := rpc.Config{Listen: "nonsense", TLSCert: "x", TLSClientCA: "y"}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three mistakes, got %v", err)
	}
}
