package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets round_robin pass over replicas that say NOT_SERVING
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// codeOf returns the code of a status error.
func codeOf(err error) codes.Code { return status.Code(err) }

// readers begin the names of methods that only read, the only ones that are
// called again by themselves: another one may have acted before it answered
// Unavailable, and its caller must decide.
var readers = []string{"Get", "List", "Explain", "Watch", "Wait"}

// serviceConfig spreads calls over replicas, and repeats reading ones. Which
// methods there are is known from the generated code that is linked in.
func serviceConfig() (string, error) {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	type policy struct {
		MaxAttempts          int      `json:"maxAttempts"`
		InitialBackoff       string   `json:"initialBackoff"`
		MaxBackoff           string   `json:"maxBackoff"`
		BackoffMultiplier    float64  `json:"backoffMultiplier"`
		RetryableStatusCodes []string `json:"retryableStatusCodes"`
	}
	type method struct {
		Name        []name `json:"name"`
		RetryPolicy policy `json:"retryPolicy"`
	}
	var reading []name
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			svc := f.Services().Get(i)
			for k := range svc.Methods().Len() {
				m := string(svc.Methods().Get(k).Name())
				if slices.ContainsFunc(readers, func(p string) bool { return strings.HasPrefix(m, p) }) {
					reading = append(reading, name{string(svc.FullName()), m})
				}
			}
		}
		return true
	})
	cfg := map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": struct{}{}}},
		// A replica that is about to stop says so here before it takes no more calls.
		"healthCheckConfig": map[string]any{"serviceName": ""},
	}
	if len(reading) > 0 {
		cfg["methodConfig"] = []method{{Name: reading, RetryPolicy: policy{4, "0.1s", "2s", 2, []string{"UNAVAILABLE"}}}}
	}
	data, err := json.Marshal(cfg)
	return string(data), err
}

// Dial returns a connection to target (host:port, or dns:///name:port for all
// replicas of a service). It connects in the background. Errors of calls are of
// our kinds. Without options the connection is plain text; a
// grpc.WithTransportCredentials among them replaces that. The caller closes it.
func Dial(target string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	retries, err := serviceConfig()
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WithChainUnaryInterceptor(unaryErrors),
		grpc.WithChainStreamInterceptor(streamErrors),
	}, opts...)
	cc, err := grpc.NewClient(target, all...)
	if err != nil {
		return nil, FromStatus(err)
	}
	return cc, nil
}

// unaryErrors gives errors of calls their kinds.
func unaryErrors(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return FromStatus(call(ctx, method, req, reply, cc, opts...))
}

// streamErrors gives errors of streams their kinds.
func streamErrors(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, FromStatus(err)
	}
	return &clientStream{s}, nil
}

// clientStream wraps the methods that return errors of the call.
type clientStream struct{ grpc.ClientStream }

// SendMsg keeps io.EOF, which tells the caller to ask RecvMsg for the error.
func (s *clientStream) SendMsg(m any) error { return streamError(s.ClientStream.SendMsg(m)) }

// RecvMsg keeps io.EOF, the regular end.
func (s *clientStream) RecvMsg(m any) error { return streamError(s.ClientStream.RecvMsg(m)) }

func streamError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return FromStatus(err)
}

// InProcess is a server that only this process can call: no port, no network.
type InProcess struct {
	*Server
	lis *bufconn.Listener
}

// NewInProcess makes the server; register services, then Serve.
func NewInProcess(deps Deps) *InProcess {
	// Room for a few messages, so that a stream does not stop at every one.
	lis := bufconn.Listen(128 << 10)
	cfg := DefaultConfig()
	return &InProcess{Server: newServer(cfg, deps, lis), lis: lis}
}

// Dial returns a connection to the server. The caller closes it.
func (p *InProcess) Dial(opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return Dial("passthrough:///in-process", append(opts, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return p.lis.DialContext(ctx)
	}))...)
}
