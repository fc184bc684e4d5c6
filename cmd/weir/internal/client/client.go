// Package client is the command line's side of the gRPC API: it names crawls,
// streams seeds, follows crawls, and turns errors of the connection into
// sentences that say what to do.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	weirclient "github.com/weircrawl/weir/proto/client"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// Client calls the services of a running Weir. Close it.
type Client struct {
	// Client has Crawls and Storage, and what programs of others do with them.
	*weirclient.Client
	// Fetcher and Parser are further services.
	Fetcher fetcherv1.FetcherServiceClient
	Parser  parserv1.ParserServiceClient

	conns []*grpc.ClientConn
}

// Config says where the services are.
type Config struct {
	// Server is the scheduler, or a server that has all services.
	Server string
	// Services are those whose certificate Server may show. Default: the scheduler.
	Services []string
	// StorageServer is the storage service. Default: Server.
	StorageServer string
	// FetcherServer is a fetcher. Default: Server.
	FetcherServer string
	// ParserServer is a parser. Default: Server.
	ParserServer string
	// Token shows who calls; empty for nobody.
	Token string
	// Certificates are for TLS: what is shown, and whom to believe. Nil for plain text.
	Certificates *certs.Keeper
	// PlainToken lets the token travel over plain text to another machine.
	PlainToken bool
}

// options are how an address is called that is of one of these services.
func (c Config) options(addr string, services ...string) ([]grpc.DialOption, error) {
	opts := []grpc.DialOption{grpc.WithTransportCredentials(rpc.Credentials(c.Certificates, services...))}
	if c.Token == "" {
		return opts, nil
	}
	if c.Certificates == nil && !c.PlainToken && !weirclient.OnThisMachine(addr) {
		return nil, crawl.Errorf(crawl.Invalid, "the token would travel in plain text to %s, and whoever is on the way could use it: give --tls or --tls-ca (WEIR_TLS_CA), or --insecure-token", addr)
	}
	return append(opts, grpc.WithPerRPCCredentials(weirclient.Bearer(c.Token))), nil
}

// Dial returns a client; it connects with the first call.
func Dial(cfg Config) (*Client, error) {
	c := &Client{}
	conns := map[string]*grpc.ClientConn{}
	if len(cfg.Services) == 0 {
		cfg.Services = []string{certs.Scheduler}
	}
	dial := func(addr, flag string, services ...string) (*grpc.ClientConn, error) {
		if addr == "" {
			addr = cfg.Server
		}
		if cc, ok := conns[addr]; ok {
			return cc, nil
		}
		explain := explainer{addr: addr, flag: flag}
		opts, err := cfg.options(addr, services...)
		if err != nil {
			return nil, err
		}
		opts = append(opts, grpc.WithChainUnaryInterceptor(explain.unary), grpc.WithChainStreamInterceptor(explain.stream))
		cc, err := rpc.Dial(addr, opts...)
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "address %q: %w", addr, err)
		}
		conns[addr] = cc
		c.conns = append(c.conns, cc)
		return cc, nil
	}
	scheduler, err := dial(cfg.Server, "--server or WEIR_SERVER", cfg.Services...)
	if err != nil {
		return nil, err
	}
	storage, err := dial(cfg.StorageServer, "--storage-server or WEIR_STORAGE_SERVER", certs.Storage)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	fetcher, err := dial(cfg.FetcherServer, "--fetcher-server or WEIR_FETCHER_SERVER", certs.Fetcher)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	parser, err := dial(cfg.ParserServer, "WEIR_PARSER_SERVER", certs.Parser)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.use(scheduler, storage, fetcher, parser)
	return c, nil
}

// Over returns a client of a server that has all services, over a connection
// that stays the caller's.
func Over(cc grpc.ClientConnInterface) *Client {
	c := &Client{}
	c.use(cc, cc, cc, cc)
	return c
}

func (c *Client) use(scheduler, storage, fetcher, parser grpc.ClientConnInterface) {
	c.Client = weirclient.Over(scheduler, storage)
	c.Fetcher = fetcherv1.NewFetcherServiceClient(fetcher)
	c.Parser = parserv1.NewParserServiceClient(parser)
}

// Close closes the connections that Dial made.
func (c *Client) Close() error {
	var errs []error
	for _, cc := range c.conns {
		errs = append(errs, cc.Close())
	}
	return errors.Join(errs...)
}

// ID turns a crawl's name into its id, which storage wants. What storage has of a crawl
// that has left the frontier, or that the frontier has lost, is found by its id.
func (c *Client) ID(ctx context.Context, name string) (string, error) {
	known, err := c.GetKept(ctx, name)
	return known.GetId(), err
}

// GetKept is Get, also for the id of a crawl that only storage has: then there is
// nothing but the id.
func (c *Client) GetKept(ctx context.Context, name string) (*crawlv1.Crawl, error) {
	known, err := c.Get(ctx, name)
	if crawl.KindOf(err) != crawl.NotFound {
		return known, err
	}
	stats, serr := c.Storage.GetStats(ctx, &storagev1.GetStatsRequest{CrawlId: name})
	if serr != nil || stats.GetAttempts() == 0 {
		return nil, err
	}
	return &crawlv1.Crawl{Id: name}, nil
}

// watchTries is how often in a row a watch that broke is begun anew, a second apart: a
// scheduler that is replaced needs that long at most. One that was never seen is given
// up after firstTries.
const watchTries, firstTries = 30, 5

// Watch calls f with the crawl now and after changes, at most every interval,
// and returns it once it has ended. A stream that breaks is opened again.
func (c *Client) Watch(ctx context.Context, name string, interval time.Duration, f func(*schedulerv1.WatchCrawlResponse)) (*crawlv1.Crawl, error) {
	most := firstTries
	for tries := 0; ; tries++ {
		last, seen, err := c.watch(ctx, name, interval, f)
		if err == nil {
			return last, nil
		}
		if seen {
			tries, most = 0, watchTries
		}
		if ctx.Err() != nil || crawl.KindOf(err) != crawl.Unavailable || tries >= most {
			return last, err
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (c *Client) watch(ctx context.Context, name string, interval time.Duration, f func(*schedulerv1.WatchCrawlResponse)) (last *crawlv1.Crawl, seen bool, err error) {
	stream, err := c.Crawls.WatchCrawl(ctx, &schedulerv1.WatchCrawlRequest{Crawl: name, Interval: durationpb.New(interval)})
	if err != nil {
		return nil, false, err
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if last == nil {
				return nil, false, crawl.Errorf(crawl.Unavailable, "the server ended the watch of %s without an answer", name)
			}
			return last, true, nil
		}
		if err != nil {
			return last, last != nil, err
		}
		last = resp.GetCrawl()
		f(resp)
	}
}

// explainer adds what to do to errors of a connection.
type explainer struct{ addr, flag string }

func (e explainer) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return e.explain(call(ctx, method, req, reply, cc, opts...))
}

func (e explainer) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, e.explain(err)
	}
	return &explained{s, e}, nil
}

// explained explains the errors that a stream meets on its way.
type explained struct {
	grpc.ClientStream
	e explainer
}

// RecvMsg implements grpc.ClientStream.
func (s *explained) RecvMsg(m any) error { return s.e.explain(s.ClientStream.RecvMsg(m)) }

func (e explainer) explain(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	// The text is all that grpc tells of why a connection could not be made.
	text := err.Error()
	if i := strings.Index(text, "dial tcp"); i >= 0 || strings.Contains(text, "name resolver error") {
		why := text[max(i, 0):]
		why = strings.TrimSuffix(why[strings.LastIndex(why, ": ")+1:], `"`)
		return advise(err, crawl.Unavailable, "no weir server at %s (%s): start one with `weir up`, or set %s", e.addr, strings.TrimSpace(why), e.flag)
	}
	if strings.Contains(text, "health check failed") {
		return advise(err, crawl.Unavailable, "the weir server at %s is stopping", e.addr)
	}
	if strings.Contains(text, "unknown service") {
		return advise(err, crawl.Precondition, "the server at %s does not have this service: set %s (%s)", e.addr, e.flag, text)
	}
	return err
}

// advice is an error of a call in words that say what to do. The call's own error is in
// its chain: whoever waits for a server to come back looks at its status.
type advice struct {
	text  string
	cause error
}

func advise(cause error, kind crawl.Kind, format string, args ...any) error {
	return &crawl.Error{Kind: kind, Err: &advice{fmt.Sprintf(format, args...), cause}}
}

// Error returns the words.
func (a *advice) Error() string { return a.text }

// Unwrap returns the call's error.
func (a *advice) Unwrap() error { return a.cause }
