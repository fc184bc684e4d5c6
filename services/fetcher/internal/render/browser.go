package render

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/cdp"
	"github.com/weircrawl/weir/services/fetcher/internal/forward"
)

// closePageTime bounds the closing of a page, after which its browser gets no more.
const closePageTime = 15 * time.Second

// launch starts a browser and waits until it answers.
func (p *Pool) launch(ctx context.Context, proxy *forward.Proxy) (*browser, error) {
	path, err := Find(p.cfg.Path)
	if err != nil {
		return nil, err
	}
	proc, err := start(path, proxy.Addr(), p.cfg.NoSandbox || os.Geteuid() == 0)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	b := &browser{process: proc, proxy: proxy, over: make(chan struct{})}
	if err := b.begin(ctx); err != nil {
		proc.kill()
		<-proc.gone
		return nil, fmt.Errorf("browser %s does not start: %w: %s", path, err, proc.last.line())
	}
	proc.strays = strays(proc.cmd.Process.Pid, proc.profile)
	p.cfg.Log.Debug("browser started", "path", path)
	return b, nil
}

// begin waits until the browser answers, and has it tell of windows that pages open.
func (b *browser) begin(ctx context.Context) error {
	root := b.conn.Session("")
	if err := root.Call(ctx, "Browser.getVersion", nil, nil); err != nil {
		return err
	}
	root.Listen(func(e cdp.Event) {
		if e.Method != "Target.targetCreated" {
			return
		}
		var created struct {
			Info struct {
				ID     string `json:"targetId"`
				Type   string `json:"type"`
				Opener string `json:"openerId"`
			} `json:"targetInfo"`
		}
		if json.Unmarshal(e.Params, &created) == nil && created.Info.Type == "page" && created.Info.Opener != "" {
			// A popup is no part of the page. This goroutine reads the answers and must
			// not wait for the browser to read.
			go root.Post("Target.closeTarget", map[string]string{"targetId": created.Info.ID})
		}
	})
	return root.Call(ctx, "Target.setDiscoverTargets", map[string]bool{"discover": true}, nil)
}

// letGo lets the browser end. The caller holds the pool's lock.
func (b *browser) letGo() {
	select {
	case <-b.over:
	default:
		close(b.over)
	}
}

// showIn shows a page in a browser, in a context of its own.
func (p *Pool) showIn(ctx context.Context, b *browser, page *Page) (*Shown, error) {
	pass := b.proxy.Open(page.Dial, page.MaxBytes)
	defer pass.Close()
	root := b.conn.Session("")
	var made struct {
		ID string `json:"browserContextId"`
	}
	if err := root.Call(ctx, "Target.createBrowserContext", map[string]any{"disposeOnDetach": true}, &made); err != nil {
		return nil, err
	}
	defer b.dispose(made.ID)
	t := &tab{
		page: page, pass: pass, root: root, context: made.ID, changed: make(chan struct{}, 1), queue: make(chan event, maxEvents), running: make(map[string]bool),
	}
	var target struct {
		ID string `json:"targetId"`
	}
	err := root.Call(ctx, "Target.createTarget", map[string]any{
		"url": "about:blank", "browserContextId": made.ID, "width": page.Width, "height": page.Height,
	}, &target)
	if err != nil {
		return nil, err
	}
	var attached struct {
		ID string `json:"sessionId"`
	}
	if err := root.Call(ctx, "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	t.frame, t.session = target.ID, b.conn.Session(attached.ID)
	flow, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t.stop = stop
	t.listen(t.session)
	var pump sync.WaitGroup
	pumping, end := context.WithCancel(flow)
	defer func() {
		end()
		pump.Wait()
		for _, f := range t.unhear {
			f()
		}
	}()
	pump.Go(func() { t.pump(pumping, b.conn.Done()) })
	return t.show(flow)
}

// dispose ends a context with all that is in it. It does so also when the page's time
// is over.
func (b *browser) dispose(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), closePageTime)
	defer cancel()
	if b.conn.Session("").Call(ctx, "Target.disposeBrowserContext", map[string]string{"browserContextId": id}, nil) != nil {
		b.sick.Store(true)
	}
}
