package scheduler

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weircrawl/weir/internal/resolve"
)

const (
	// lookupsAtOnce bounds the questions to the DNS server at a time.
	lookupsAtOnce = 32
	// lookupsWaiting is how many names wait for one of them; more stay with the loop.
	lookupsWaiting = 1024
)

// lookUp hands the names that the frontier needs addresses of to the resolver. What
// it has no room for is tried again in the turn of its next answer.
func (l *loop) lookUp() {
	l.lookups = append(l.lookups, l.f.Lookups()...)
	for len(l.lookups) > 0 {
		select {
		case l.names <- l.lookups[0]:
			l.lookups = l.lookups[1:]
		default:
			return
		}
	}
}

// resolver answers the loop's questions for addresses until ctx ends.
func (s *session) resolver(ctx context.Context) error {
	cache := resolve.New(resolve.DefaultConfig(), s.deps.Lookup)
	defer cache.Close()
	var g errgroup.Group
	for range lookupsAtOnce {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case name := <-s.loop.names:
					s.resolved(ctx, cache, name)
				}
			}
		})
	}
	return g.Wait()
}

// resolved looks one name up. The first address counts: fetchers try it first.
func (s *session) resolved(ctx context.Context, cache *resolve.Cache, name string) {
	addrs, err := cache.Addrs(ctx, name)
	if ctx.Err() != nil {
		return
	}
	var addr netip.Addr
	if err == nil {
		addr = addrs[0]
	}
	// Nobody waits for it to be durable: an address that is forgotten is asked for
	// again. When the loop has stopped, nobody wants to know.
	_ = s.read(ctx, func(l *loop, now time.Time) error {
		l.f.Resolved(now, name, addr, err)
		return nil
	})
}
