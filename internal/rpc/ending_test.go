package rpc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
)

// A stop that has only been announced changes nothing but the health; calls that last
// end when they are told to, and all others are finished.
func TestStopInSteps(t *testing.T) {
	t.Parallel()
	cfg := rpc.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	srv, err := rpc.NewServer(cfg, rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan string, 3), make(chan struct{})
	srv.RegisterService(describe("WaitForIt", "Watch"), service(func(ctx context.Context, in string) (string, error) {
		begun <- in
		select {
		case <-finish:
			return "finished " + in, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}))
	stop := serve(t, srv.Serve)
	cc, err := rpc.Dial(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	// The health, by a connection that does not look at it.
	plain, err := rpc.Dial(srv.Addr(), grpc.WithDisableHealthCheck())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })

	answers := make(map[string]chan error)
	for in, method := range map[string]string{"short": unaryMethod, "wait": "/weir.test.Test/WaitForIt"} {
		answers[in] = make(chan error, 1)
		go func() {
			answers[in] <- cc.Invoke(t.Context(), method, wrapperspb.String(in), new(wrapperspb.StringValue))
		}()
		<-begun
	}
	watch, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/weir.test.Test/Watch")
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.SendMsg(wrapperspb.String("watch")); err != nil {
		t.Fatal(err)
	}
	<-begun

	srv.NotServing()
	h, err := healthv1.NewHealthClient(plain).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health %v, %v", h.GetStatus(), err)
	}
	for in, a := range answers {
		select {
		case err := <-a:
			t.Errorf("%s ended with the announcement: %v", in, err)
		default:
		}
	}
	srv.EndStreams()
	if err := <-answers["wait"]; crawl.KindOf(err) != crawl.Unavailable || status.Code(err) != codes.Unavailable {
		t.Errorf("wait ended with %v, want Unavailable", err)
	}
	if err := watch.RecvMsg(new(wrapperspb.StringValue)); crawl.KindOf(err) != crawl.Unavailable {
		t.Errorf("watch ended with %v, want Unavailable", err)
	}
	close(finish)
	if err := <-answers["short"]; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
	stop()
}

// Clients pass over a replica that says that it is about to stop.
func TestClientsLeaveWhatIsNotServing(t *testing.T) {
	t.Parallel()
	cfg := rpc.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	srv, err := rpc.NewServer(cfg, rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	srv.RegisterService(describe(), service(func(context.Context, string) (string, error) { return "", nil }))
	serve(t, srv.Serve)
	cc, err := rpc.Dial(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	if _, err := call(t.Context(), cc, ""); err != nil {
		t.Fatal(err)
	}
	srv.NotServing()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, err := call(ctx, cc, ""); err != nil {
			if crawl.KindOf(err) != crawl.Unavailable || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want Unavailable", err)
			}
			return
		}
	}
}
