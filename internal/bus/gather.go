package bus

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// PublishBundled publishes a message as PublishAll does, in one bundle with those of its
// subject that others publish within Config.BundleAge.
func (b *Bus) PublishBundled(ctx context.Context, m Message) error {
	if b.cfg.BundleAge <= 0 || m.Trace != "" {
		return b.PublishAll(ctx, m)
	}
	for {
		g, first := b.gatherings.join(m)
		if first {
			g.publish(ctx, b, m.Subject)
		}
		select {
		case <-g.done:
		case <-ctx.Done():
			return crawl.Errorf(crawl.Unavailable, "publish %s: %w", m.Subject, context.Cause(ctx))
		}
		switch {
		case g.err == nil:
			return nil
		case ctx.Err() != nil:
			return g.err
		case g.over:
			continue // the time of whom it was up to is over, and ours is not
		}
		return b.PublishAll(ctx, m) // it may be about another of the bundle
	}
}

// gatherings are the bundles that are being made, by subject.
type gatherings struct {
	mu   sync.Mutex
	open map[string]*gathering
}

// gathering is a bundle on its way. Whoever came first publishes it for all.
type gathering struct {
	pack
	full chan struct{} // closed when nothing more goes in
	done chan struct{} // closed when it is published, or err is set
	err  error
	over bool // the context of the first ended
}

// join adds a message to the bundle of its subject, and reports whether it is the first.
func (gs *gatherings) join(m Message) (g *gathering, first bool) {
	size := m.size()
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g = gs.open[m.Subject]
	if g != nil && !g.fits(size) {
		gs.close(g, m.Subject)
		g = nil
	}
	if g == nil {
		g, first = &gathering{full: make(chan struct{}), done: make(chan struct{})}, true
		if gs.open == nil {
			gs.open = make(map[string]*gathering)
		}
		gs.open[m.Subject] = g
	}
	if g.add(m, size); !g.fits(1) {
		gs.close(g, m.Subject)
	}
	return g, first
}

// close ends a gathering, once.
func (gs *gatherings) close(g *gathering, subject string) {
	if gs.open[subject] == g {
		delete(gs.open, subject)
		close(g.full)
	}
}

// publish waits for others, then publishes all.
func (g *gathering) publish(ctx context.Context, b *Bus, subject string) {
	wait := time.NewTimer(bundleAge(b.cfg, subject))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-g.full:
	case <-ctx.Done():
	}
	b.gatherings.mu.Lock()
	b.gatherings.close(g, subject)
	b.gatherings.mu.Unlock()
	g.err = b.PublishAll(ctx, g.message())
	g.over = g.err != nil && ctx.Err() != nil
	close(g.done)
}

// bundleAge is how long a message waits for others. What a fetcher has not handed on when
// it is killed is fetched again; what a parser has not is only parsed again.
func bundleAge(cfg Config, subject string) time.Duration {
	if strings.HasPrefix(subject, subjectPage) {
		return cfg.BundleAge / 2
	}
	return cfg.BundleAge
}
