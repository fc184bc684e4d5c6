package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/weburl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

const (
	// forwardedKey marks a call that another replica has passed on: whoever gets it
	// answers it or refuses it, and passes it on no further.
	forwardedKey = "weir-forwarded"
	// forwardTime is how long a call waits for a partition that changes hands. One
	// whose owner died is taken over sooner.
	forwardTime = 15 * time.Second
	// forwardPause is between two looks for its owner.
	forwardPause = 100 * time.Millisecond
)

// peers are the connections to other replicas. It is safe for concurrent use.
type peers struct {
	creds credentials.TransportCredentials

	mu     sync.Mutex
	conns  map[string]*grpc.ClientConn // by address
	closed bool
}

func newPeers(creds credentials.TransportCredentials) *peers {
	return &peers{creds: creds, conns: map[string]*grpc.ClientConn{}}
}

// client returns a client of the replica at an address.
func (p *peers) client(address string) (schedulerv1.CrawlServiceClient, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errStopped
	}
	conn := p.conns[address]
	if conn == nil {
		// An owner that is about to stop answers for its partitions until they are given
		// away: there is no other replica to turn to.
		opts := []grpc.DialOption{grpc.WithDisableHealthCheck()}
		if p.creds != nil {
			opts = append(opts, grpc.WithTransportCredentials(p.creds))
		}
		var err error
		if conn, err = rpc.Dial(address, opts...); err != nil {
			return nil, crawl.Errorf(crawl.Unavailable, "call the replica at %q: %w; is its --advertise right?", address, err)
		}
		p.conns[address] = conn
	}
	return schedulerv1.NewCrawlServiceClient(conn), nil
}

// keep closes the connections to all other addresses.
func (p *peers) keep(addresses map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a, conn := range p.conns {
		if !addresses[a] {
			_ = conn.Close()
			delete(p.conns, a)
		}
	}
}

func (p *peers) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, conn := range p.conns {
		errs = append(errs, conn.Close())
	}
	clear(p.conns)
	return errors.Join(errs...)
}

// home returns the partition whose owner alone changes a crawl.
func (s *session) home(crawlID string) uint32 {
	return weburl.Partition(crawlID, uint32(len(s.held)))
}

// partition returns the one that a URL belongs to.
func (s *session) partition(u weburl.URL) uint32 {
	return weburl.Partition(u.Site(), uint32(len(s.held)))
}

// owner returns a client of the replica that owns a partition, nil when that is this
// one. errMoved says that nobody is known to.
func (s *session) owner(p uint32) (schedulerv1.CrawlServiceClient, error) {
	if s.tenure == nil || s.held[p].Load() != nil {
		return nil, nil
	}
	address := s.tenure.address(p)
	if address == "" {
		return nil, errMoved
	}
	return s.peers.client(address)
}

// forwarded reports whether a call came from another replica.
func forwarded(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return len(md.Get(forwardedKey)) > 0
}

// outgoingCall marks a call as passed on, for whoever made it.
func outgoingCall(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(rpc.Forward(ctx), forwardedKey, "1")
}

// remote is a method of the client.
type remote[Req, Resp any] func(schedulerv1.CrawlServiceClient, context.Context, Req, ...grpc.CallOption) (Resp, error)

// route has the owner of a partition answer a call: here, by local, or at another
// replica. While the partition changes hands, or its owner cannot be reached, it
// waits and tries again; so the call must be one that may be done twice. local
// returns errMoved, having done nothing, when the partition turns out not to be
// ours.
func route[Req, Resp any](ctx context.Context, s *Service, partition func(*session) uint32, req Req,
	call remote[Req, Resp], local func(context.Context, Req) (Resp, error),
) (Resp, error) {
	var none Resp
	until := time.Now().Add(forwardTime)
	for {
		resp, err := routeOnce(ctx, s, partition, req, call, local)
		if crawl.KindOf(err) != crawl.Conflict {
			return resp, err
		}
		if forwarded(ctx) {
			return none, err // the replica that passed it on looks again
		}
		if !time.Now().Before(until) || !pause(ctx, forwardPause) {
			return none, errNobody
		}
	}
}

func routeOnce[Req, Resp any](ctx context.Context, s *Service, partition func(*session) uint32, req Req,
	call remote[Req, Resp], local func(context.Context, Req) (Resp, error),
) (Resp, error) {
	var none Resp
	ses, err := s.current()
	if err != nil {
		return none, err
	}
	client, err := ses.owner(partition(ses))
	switch {
	case err != nil:
		return none, err
	case client == nil:
		return local(ctx, req)
	case forwarded(ctx):
		return none, errMoved
	}
	resp, err := call(client, outgoingCall(ctx), req)
	if crawl.KindOf(err) == crawl.Unavailable && ctx.Err() == nil {
		return none, errMoved // it is going, or gone
	}
	return resp, err
}

// atHome is the partition for route of calls that change a crawl.
func atHome(e *entry) func(*session) uint32 {
	return func(s *session) uint32 { return s.home(e.meta.GetId()) }
}

// homeHere is the check of a local method that its crawl's home is owned.
func (l *loop) homeHere(e *entry) error {
	c, _, ok := l.f.Crawl(e.no)
	switch {
	case !ok:
		return crawl.Errorf(crawl.NotFound, "crawl %s is gone", e.meta.GetId())
	case !l.f.Owns(c.Home):
		return errMoved
	}
	return nil
}
