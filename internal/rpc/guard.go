package rpc

import (
	"context"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/weircrawl/weir/internal/access"
)

// guardUnary asks a guard about calls.
func guardUnary(g *access.Guard) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		call, err := g.Begin(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		if err := call.Message(req); err != nil {
			return nil, err
		}
		ended := false
		defer func() {
			if !ended { // a panic
				call.End(nil, codes.Internal)
			}
		}()
		resp, err := h(call.Context(), req)
		ended = true
		call.End(resp, codeOf(Status(err)))
		return resp, err
	}
}

// guardStream asks a guard about streams, and about each message that comes.
func guardStream(g *access.Guard) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		call, err := g.Begin(ss.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		ended := false
		defer func() {
			if !ended {
				call.End(nil, codes.Internal)
			}
		}()
		s := &guardedStream{ServerStream: ss, call: call}
		err = h(srv, s)
		ended = true
		if s.refused != nil {
			return s.refused // whatever the handler made of it
		}
		call.End(nil, codeOf(Status(err)))
		return err
	}
}

// guardedStream judges what it receives. RecvMsg is called by one goroutine, which ends
// before the handler returns.
type guardedStream struct {
	grpc.ServerStream
	call    *access.Call
	refused error
}

// Context has the caller.
func (s *guardedStream) Context() context.Context { return s.call.Context() }

// RecvMsg implements grpc.ServerStream.
func (s *guardedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	s.refused = s.call.Message(m)
	return s.refused
}

// warnOpen says once that a server which other machines can reach lets everybody do
// everything, or takes tokens that anybody on the way can read.
func warnOpen(log *slog.Logger, g *access.Guard, addr net.Addr, tls bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return
	}
	switch {
	case g == nil || g.Open():
		log.Warn("everybody who reaches this address may do everything: set access.tokens-file, access.oidc.issuer or grpc.tls-client-ca", "addr", addr.String())
	case g.Users() && !tls:
		log.Warn("tokens come in plain text, and whoever is on the way can read them: set grpc.tls-cert", "addr", addr.String())
	}
}

// Forward returns the context of a call that is passed on for who called: to a server
// that trusts the certificate of this one it tells the user, and the user's token goes
// along for one that does not.
func Forward(ctx context.Context) context.Context {
	if text := access.From(ctx).Forward(); text != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, access.ForwardedKey, text)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, token := range md.Get("authorization") {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token)
	}
	return ctx
}
