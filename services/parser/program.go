package parser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/crawl"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
	"github.com/weircrawl/weir/services/parser/internal/breaker"
	"github.com/weircrawl/weir/services/parser/internal/seats"
)

// Bounds of programs. A crawl has one, and crawls share it where the address is the
// same.
const (
	// maxPrograms bounds the connections; the ones that nobody uses make room.
	maxPrograms = 256
	// programIdle is after what time without a page a connection is closed.
	programIdle = 5 * time.Minute
	// maxAnswer bounds one message of a program: an item and its surroundings.
	maxAnswer = 1 << 20
)

// usualPatience opens after as many failures as no single page makes.
func usualPatience() breaker.Config {
	return breaker.Config{Failures: 5, First: 500 * time.Millisecond, Longest: 10 * time.Second, Probe: 30 * time.Second}
}

// errAside: the page cannot be read now, for a reason of its own crawl. It is put aside,
// and pages of other crawls go on.
var errAside = crawl.Errorf(crawl.Unavailable, "the page waits for its crawl's extractor")

// errFailed: the same of a page for which the extractor was called and failed, while it
// fails for others too.
var errFailed = fmt.Errorf("%w, which failed", errAside)

// target names a program.
type target struct {
	address string
	tls     bool
}

// program is a user's program and how it is doing.
type program struct {
	target
	conn    *grpc.ClientConn
	client  extractorv1.ExtractorServiceClient
	breaker *breaker.Breaker
	seats   seats.Seats
	busy    atomic.Int32 // pages that wait for it or are with it

	users int       // under programs.mu
	used  time.Time // when the last user left
}

// programs has one connection for each program.
type programs struct {
	log      *slog.Logger
	m        *metrics
	patience breaker.Config
	allow    []string // patterns of addresses, see Config.ExtractorAllow

	mu    sync.Mutex
	known map[target]*program
	busy  atomic.Int32
}

// get returns a program; the caller calls put when it is done with it.
func (ps *programs) get(t target) (*program, error) {
	if !access.Allowed(ps.allow, t.address) {
		return nil, crawl.Errorf(crawl.Invalid, "extractor %s: the operator of this parser does not allow it (parser.extractor-allow)", t.address)
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.known[t]
	if p == nil {
		if len(ps.known) >= maxPrograms {
			ps.sweep(time.Now(), 0)
		}
		if len(ps.known) >= maxPrograms {
			return nil, crawl.Errorf(crawl.Unavailable, "extractor %s: this parser speaks to %d others already", t.address, maxPrograms)
		}
		var err error
		if p, err = dial(t, ps.patience); err != nil {
			return nil, err
		}
		if ps.known == nil {
			ps.known = map[target]*program{}
		}
		ps.known[t] = p
	}
	p.users++
	return p, nil
}

func (ps *programs) put(p *program) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.users--
	p.used = time.Now()
}

// close closes the connections that nobody has used for a time.
func (ps *programs) close(idle time.Duration) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.sweep(time.Now(), idle)
}

func (ps *programs) sweep(now time.Time, idle time.Duration) {
	for t, p := range ps.known {
		if p.users == 0 && now.Sub(p.used) >= idle {
			_ = p.conn.Close() // nobody is there to hear of it
			delete(ps.known, t)
		}
	}
}

// dial makes a program; it connects when the first page comes. Tests have more options.
func dial(t target, patience breaker.Config, more ...grpc.DialOption) (*program, error) {
	creds := insecure.NewCredentials()
	if t.tls {
		creds = credentials.NewTLS(nil)
	}
	conn, err := grpc.NewClient(t.address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableServiceConfig(), // a DNS server does not say how often is tried
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// A program that was started again is found soon; the breaker has the patience.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}, MinConnectTimeout: 5 * time.Second,
		}),
	}, more...)...)
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "extractor %s: %w", t.address, err)
	}
	return &program{
		target: t, conn: conn, client: extractorv1.NewExtractorServiceClient(conn),
		breaker: breaker.New(patience),
	}, nil
}

// effort says how a program is called for a page.
type effort struct {
	timeout time.Duration // all tries together
	retries int
	seats   int // of all pages
}

// call gives a page to a program and hands what comes back to take. begin is called
// before each try: what came before it counts for nothing. The kind of the error says what
// becomes of the page: errAside waits, Internal is tried again a few times, Invalid is
// not.
func (ps *programs) call(ctx context.Context, p *program, e effort, req *extractorv1.ExtractRequest, begin func(), take func(*extractorv1.ExtractResponse) error) error {
	if err := p.seats.Take(ctx, e.seats); err != nil {
		return err
	}
	defer p.seats.Leave()
	start := time.Now()
	defer func() { ps.m.extractorSeconds.Observe(time.Since(start).Seconds()) }()
	end := start.Add(e.timeout)
	for n := 0; ; n++ {
		if !p.breaker.Allow(time.Now()) {
			return errAside
		}
		begin()
		limit := end
		if n < e.retries { // one that hangs leaves time for another
			limit = time.Now().Add(time.Until(end) / 2)
		}
		reached, err := p.try(ctx, limit, req, take)
		switch {
		case err == nil:
			p.breaker.Success()
			ps.m.extractorCalls.WithLabelValues("ok").Inc()
			return nil
		case ctx.Err() != nil: // the parser stops, or the caller went away
			p.breaker.Cancel()
			return context.Cause(ctx)
		case !passing(err):
			p.breaker.Success() // it lives
			ps.m.extractorCalls.WithLabelValues("refused").Inc()
			return crawl.Errorf(crawl.Invalid, "extractor %s: %s", p.address, saying(err))
		}
		ps.m.extractorCalls.WithLabelValues("failed").Inc()
		if p.breaker.Failure(time.Now()) {
			ps.log.Warn("an extractor fails: its pages wait until it is back", "extractor", p.address, "err", err)
		}
		fails := p.breaker.State(time.Now()) != breaker.Closed
		if !fails && n < e.retries && pause(ctx, n, end) {
			continue
		}
		switch {
		case !reached:
			return fmt.Errorf("%w: %s", errAside, saying(err))
		case fails:
			return fmt.Errorf("%w: %s", errFailed, saying(err))
		}
		return fmt.Errorf("extractor %s, after %d tries: %s", p.address, n+1, saying(err))
	}
}

// try calls a program once, and reports whether it was reached.
func (p *program) try(ctx context.Context, limit time.Time, req *extractorv1.ExtractRequest, take func(*extractorv1.ExtractResponse) error) (reached bool, err error) {
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel() // also ends a stream that is left early
	var at peer.Peer
	stream, err := p.client.Extract(ctx, req, grpc.Peer(&at))
	if err != nil {
		return at.Addr != nil, err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return at.Addr != nil, err
		}
		if err := take(r); err != nil {
			return true, err
		}
	}
}

// saying is an error of a call as its program meant it, for dead letters.
func saying(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Code().String() + ": " + s.Message()
	}
	return err.Error()
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	s, ok := status.FromError(err)
	if !ok {
		return false // what came back cannot be used
	}
	switch s.Code() {
	case codes.ResourceExhausted:
		// Both sides say so of a message over their limit, which no try makes shorter.
		return !strings.Contains(s.Message(), "larger than max")
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded:
		return true
	}
	return false
}

// pause waits before another try, and reports whether there is time for one.
func pause(ctx context.Context, n int, end time.Time) bool {
	d := rand.N(100 * time.Millisecond << min(n, 5)) // full jitter, so that pages do not come together
	if time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
