// Package client queues crawls on a running Weir and reads what they keep, for programs
// of others. In the terms of a pool of workers:
//
//	submit   Client.Submit returns at once, with a Crawl
//	add      Crawl.Add, until Crawl.Close
//	join     Crawl.Wait
//	map      Crawl.Results: all items, when the crawl has ended
//	imap     Crawl.Items: the items as they come
//	stop     Crawl.Cancel
//
// Everything else is in the generated clients, Client.Crawls and Client.Storage. Errors are
// those of gRPC: see the package status.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// maxMessage bounds a message, as servers do.
const maxMessage = 16 << 20

// Config says where a Weir is and who calls.
type Config struct {
	// Server is the scheduler, or a `weir up`: host:port, or dns:///name:port for all
	// replicas of a service. Required.
	Server string
	// StorageServer is the storage service of a cluster. Default: Server.
	StorageServer string
	// Token shows who calls. Default: none, for a server where everybody may.
	Token string
	// TLS is for servers with certificates. Default: plain text.
	TLS *tls.Config
	// PlainToken lets the token travel over plain text to another machine, where
	// whoever is on the way can read it. Default: false, and Dial refuses.
	PlainToken bool
	// Options are for more, after those that Dial makes itself.
	Options []grpc.DialOption
}

// Client calls a Weir. It is safe for concurrent use.
type Client struct {
	// Crawls and Storage are the generated clients.
	Crawls  schedulerv1.CrawlServiceClient
	Storage storagev1.StorageServiceClient

	conns []*grpc.ClientConn
}

// Dial returns a client; it connects with the first call. Close it.
func Dial(cfg Config) (*Client, error) {
	if cfg.Server == "" {
		return nil, errors.New("weir client: Config.Server is missing")
	}
	if cfg.StorageServer == "" {
		cfg.StorageServer = cfg.Server
	}
	var conns []*grpc.ClientConn
	for _, addr := range []string{cfg.Server, cfg.StorageServer} {
		if len(conns) == 1 && addr == cfg.Server {
			continue
		}
		cc, err := dial(cfg, addr)
		if err != nil {
			for _, cc := range conns {
				err = errors.Join(err, cc.Close())
			}
			return nil, err
		}
		conns = append(conns, cc)
	}
	c := Over(conns[0], conns[len(conns)-1])
	c.conns = conns
	return c, nil
}

func dial(cfg Config, addr string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
	}
	if cfg.Token != "" {
		if cfg.TLS == nil && !cfg.PlainToken && !OnThisMachine(addr) {
			return nil, fmt.Errorf("weir client: the token would travel in plain text to %s: set Config.TLS, or PlainToken", addr)
		}
		opts = append(opts, grpc.WithPerRPCCredentials(Bearer(cfg.Token)))
	}
	cc, err := grpc.NewClient(addr, append(opts, cfg.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("weir client: dial %s: %w", addr, err)
	}
	return cc, nil
}

// Over returns a client over connections that stay the caller's.
func Over(scheduler, storage grpc.ClientConnInterface) *Client {
	return &Client{Crawls: schedulerv1.NewCrawlServiceClient(scheduler), Storage: storagev1.NewStorageServiceClient(storage)}
}

// Close closes the connections that Dial made.
func (c *Client) Close() error {
	var errs []error
	for _, cc := range c.conns {
		errs = append(errs, cc.Close())
	}
	return errors.Join(errs...)
}

// Bearer is a token as gRPC takes it: with grpc.WithPerRPCCredentials, it is shown with
// every call. Whoever dials must see to it that the connection keeps it secret.
type Bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b Bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: no.
func (b Bearer) RequireTransportSecurity() bool { return false }

// String hides the token from whoever prints the credentials.
func (b Bearer) String() string { return "(hidden)" }

// GoString hides it from %#v.
func (b Bearer) GoString() string { return b.String() }

// OnThisMachine reports whether what is sent to a gRPC address stays on this machine.
func OnThisMachine(addr string) bool {
	if strings.HasPrefix(addr, "unix:") || strings.HasPrefix(addr, "unix-abstract:") {
		return true
	}
	addr = strings.TrimPrefix(strings.TrimPrefix(addr, "dns:///"), "passthrough:///")
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
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

// Get reads a crawl by id or name.
func (c *Client) Get(ctx context.Context, name string) (*crawlv1.Crawl, error) {
	resp, err := c.Crawls.GetCrawl(ctx, &schedulerv1.GetCrawlRequest{Crawl: name})
	if err != nil {
		return nil, err
	}
	return resp.GetCrawl(), nil
}

// List reads all crawls, newest first.
func (c *Client) List(ctx context.Context) ([]*crawlv1.Crawl, error) {
	var all []*crawlv1.Crawl
	for token := ""; ; {
		resp, err := c.Crawls.ListCrawls(ctx, &schedulerv1.ListCrawlsRequest{PageToken: token})
		if err != nil {
			return nil, err
		}
		all = append(all, resp.GetCrawls()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}
