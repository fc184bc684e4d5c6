// Package render shows pages in a headless browser: it runs their scripts and gives
// back what they have made of the page.
//
// The page itself is fetched by the fetcher's own client before, with all that it
// does about limits, redirects, statuses and addresses. The browser is given its
// answer in place of an exchange, and what the page then asks for goes through a
// proxy that dials as the client does (package forward). So one visit is one exchange
// with the page's address, whatever becomes of the browser: when it crashes, the page
// is shown once more in a new one, from the same answer.
//
// One browser runs for all pages, each in a context of its own, which has no more
// than the cookies that it was given. A browser that has shown many pages or has
// grown is replaced: new pages go to a new one, and the old one ends with its last
// page. Without pages for a while there is none.
package render

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/cdp"
	"github.com/weircrawl/weir/services/fetcher/internal/forward"
)

const (
	// tries is how often a page is shown when browsers crash under it.
	tries = 2
	// watchEvery is how often the memory of a browser with pages is looked at.
	watchEvery = 2 * time.Second
	// startTime bounds the start of a browser.
	startTime = 30 * time.Second
)

// ErrCrashed: the browser crashed each time that it was to show the page.
var ErrCrashed = errors.New("the browser crashed while it showed the page")

// errBroken is a crash of the browser or of the page alone.
var errBroken = errors.New("crash")

// errClosed: the pool is closed.
var errClosed = errors.New("the pool of browsers is closed")

// Config of a pool of browsers.
type Config struct {
	// Path of the browser's program; empty to look for it, see Find.
	Path string
	// RecyclePages and RecycleMemory are how many pages a browser shows and how many
	// bytes it may hold before it is replaced; with twice the bytes it is ended at once.
	RecyclePages  int
	RecycleMemory int64
	// Idle is how long a browser without pages is kept.
	Idle time.Duration
	// NoSandbox runs it without its sandbox, as is done anyway for root, for whom
	// there is none.
	NoSandbox bool
	// Log takes what an operator should see.
	Log *slog.Logger
}

// Counts are totals since the pool was made.
type Counts struct {
	// Started, Crashed and Recycled count browsers; Retried pages that were shown again
	// after a crash.
	Started, Crashed, Recycled, Retried atomic.Int64
}

// Pool shows pages. Make it with New; it is safe for concurrent use.
type Pool struct {
	cfg    Config
	counts Counts

	// starting is held by whoever starts a browser: the others wait for that one.
	starting chan struct{}
	wg       sync.WaitGroup

	mu      sync.Mutex
	proxy   *forward.Proxy // made with the first browser
	current *browser       // the one that takes new pages; nil for none
	closed  bool
	crashes int       // in a row, without a page that was shown
	since   time.Time // the last of them
}

// browser is one run of the program. Its fields are the pool's to guard.
type browser struct {
	*process
	proxy   *forward.Proxy
	pages   int // that it has now
	shown   int // that it has had
	retired bool
	idle    *time.Timer
	over    chan struct{} // closed when it may end
	sick    atomic.Bool   // it could not close a page
}

// New makes a pool, which starts a browser with the first page and nothing before.
func New(cfg Config) *Pool { return &Pool{cfg: cfg, starting: make(chan struct{}, 1)} }

// Counts returns the pool's counters.
func (p *Pool) Counts() *Counts { return &p.counts }

// Memory returns what the browser that takes new pages holds, in bytes; 0 without
// one.
func (p *Pool) Memory() int64 {
	p.mu.Lock()
	b := p.current
	p.mu.Unlock()
	if b == nil {
		return 0
	}
	return b.memory()
}

// Close ends all browsers. No page may be shown then or later.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	b := p.current
	if b != nil {
		p.retire(b)
	}
	proxy := p.proxy
	p.mu.Unlock()
	if proxy != nil {
		proxy.Close()
	}
	p.wg.Wait()
}

// Show shows a page until it is ready and returns what it is then. Its error is that
// ctx ended, ErrCrashed, ErrNoBrowser, or what kept the page from being shown.
func (p *Pool) Show(ctx context.Context, page *Page) (*Shown, error) {
	for try := 1; ; try++ {
		b, err := p.acquire(ctx)
		if err != nil {
			return nil, err
		}
		shown, err := p.showIn(ctx, b, page)
		crashed := errors.Is(err, errBroken) || errors.Is(err, cdp.ErrGone)
		if errors.Is(err, cdp.ErrGone) {
			b.sick.Store(true)
		}
		p.release(b, crashed)
		if !crashed || ctx.Err() != nil {
			return shown, err
		}
		if try == tries {
			return nil, ErrCrashed
		}
		p.counts.Retried.Add(1)
	}
}

// acquire returns a browser that may show one page more.
func (p *Pool) acquire(ctx context.Context) (*browser, error) {
	select {
	case p.starting <- struct{}{}:
		defer func() { <-p.starting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if b, err := p.take(); b != nil || err != nil {
		return b, err
	}
	if err := p.pause(ctx); err != nil {
		return nil, err
	}
	proxy, err := p.way()
	if err != nil {
		return nil, err
	}
	b, err := p.launch(ctx, proxy)
	if err != nil {
		p.failed()
		return nil, err
	}
	p.counts.Started.Add(1)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		b.stop()
		return nil, errClosed
	}
	p.current = b
	p.wg.Go(func() { p.attend(b) })
	p.mu.Unlock()
	return p.take()
}

// way returns the proxy of the browsers, which is made when there is none.
func (p *Pool) way() (*forward.Proxy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.proxy == nil {
		proxy, err := forward.Start()
		if err != nil {
			return nil, err
		}
		p.proxy = proxy
	}
	return p.proxy, nil
}

// take counts a page of the current browser; nil without one.
func (p *Pool) take() (*browser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	b := p.current
	if b != nil && b.conn.Over() {
		p.retire(b) // whoever attends it is about to find out
		b = nil
	}
	if b == nil {
		return nil, nil
	}
	if b.idle != nil {
		b.idle.Stop()
	}
	b.pages++
	b.shown++
	return b, nil
}

// release gives a browser back, which is replaced when it is worn.
func (p *Pool) release(b *browser, crashed bool) {
	var held int64
	if p.cfg.RecycleMemory > 0 {
		held = b.memory()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b.pages--
	if !crashed {
		p.crashes = 0
	}
	if b.sick.Load() {
		b.retired = true
	}
	if !b.retired && (b.shown >= p.cfg.RecyclePages || p.cfg.RecycleMemory > 0 && held > p.cfg.RecycleMemory) {
		p.counts.Recycled.Add(1)
		p.cfg.Log.Debug("browser is replaced", "pages", b.shown, "bytes", held)
		p.retire(b)
		return
	}
	if b.retired {
		p.retire(b)
		return
	}
	if b.pages == 0 {
		b.idle = time.AfterFunc(p.cfg.Idle, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if b.pages == 0 {
				p.retire(b)
			}
		})
	}
}

// retire lets a browser have no more pages, and ends it after its last one. The
// caller holds the lock.
func (p *Pool) retire(b *browser) {
	if p.current == b {
		p.current = nil
	}
	b.retired = true
	if b.idle != nil {
		b.idle.Stop()
	}
	if b.pages == 0 || p.closed {
		b.letGo()
	}
}

// attend waits for the end of a browser, and brings it about when it is time.
func (p *Pool) attend(b *browser) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.over:
			if b.conn.Over() { // which is why it may end
				p.lost(b)
				return
			}
			b.stop()
			return
		case <-b.gone:
			p.lost(b)
			return
		case <-tick.C:
			if held := b.memory(); p.cfg.RecycleMemory > 0 && held > 2*p.cfg.RecycleMemory {
				p.cfg.Log.Warn("browser is ended: its pages hold too much memory", "bytes", held)
				b.kill()
			}
		}
	}
}

// lost notes that a browser ended by itself.
func (p *Pool) lost(b *browser) {
	p.counts.Crashed.Add(1)
	p.cfg.Log.Warn("browser crashed", "pages", b.shown, "last", b.last.line())
	p.mu.Lock()
	p.retire(b)
	p.mu.Unlock()
	p.failed()
}

// failed counts a crash or a start that failed.
func (p *Pool) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crashes++
	p.since = time.Now()
}

// pause waits before a start that follows others which came to nothing.
func (p *Pool) pause(ctx context.Context) error {
	p.mu.Lock()
	n, since := p.crashes, p.since
	p.mu.Unlock()
	if n < 2 { // the first crash is the page's
		return nil
	}
	backoff := crawl.Backoff{Base: 250 * time.Millisecond, Max: 30 * time.Second, Factor: 2, Jitter: 0.2}
	timer := time.NewTimer(time.Until(since.Add(backoff.Delay(n-1, rand.Float64))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
