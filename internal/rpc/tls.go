package rpc

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	"github.com/weircrawl/weir/internal/certs"
)

// Certificates opens the files of the configuration, for the server and for calls to
// others; nil without TLS. Of deps it uses Log and Registry.
func (c Config) Certificates(deps Deps) (*certs.Keeper, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	k, err := certs.Open(certs.Files{Cert: c.TLSCert, Key: c.TLSKey, Authority: c.TLSClientCA},
		certs.Deps{Use: "grpc", Log: deps.Log, Registry: deps.Registry})
	if err != nil {
		return nil, fmt.Errorf("grpc: %w", err)
	}
	return k, nil
}

// Credentials are for calls to a service, one of the identities of the package certs: the
// own certificate shows who calls, and the server must show that it is one of them.
// Plain text without certificates.
func Credentials(k *certs.Keeper, services ...string) credentials.TransportCredentials {
	if k == nil {
		return insecure.NewCredentials()
	}
	return &clientCredentials{TransportCredentials: credentials.NewTLS(k.Client(nil, services...)), keeper: k, services: services}
}

// clientCredentials knows the host that each connection is to.
type clientCredentials struct {
	credentials.TransportCredentials // for all but the handshake

	keeper   *certs.Keeper
	services []string
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *clientCredentials) ClientHandshake(ctx context.Context, target string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	return credentials.NewTLS(c.keeper.Client([]string{host}, c.services...)).ClientHandshake(ctx, target, conn)
}

// Clone implements credentials.TransportCredentials.
func (c *clientCredentials) Clone() credentials.TransportCredentials {
	return &clientCredentials{TransportCredentials: c.TransportCredentials.Clone(), keeper: c.keeper, services: c.services}
}

// PeerService returns whose certificate the caller of a method has shown: the identity of
// a service, "" when its certificate names none. shown is false when there was none, or
// none that an authority of ours has signed.
func PeerService(ctx context.Context) (service string, shown bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return "", false
	}
	return certs.Identity(info.State.VerifiedChains[0][0]), true
}
