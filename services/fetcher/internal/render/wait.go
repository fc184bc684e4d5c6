package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/cdp"
)

// errNotThere: what a step or a wait is about is not on the page.
var errNotThere = errors.New("nothing there matches")

// ready waits until the page is ready, or its time for that is over.
func (t *tab) ready(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, t.patience(ctx))
	defer cancel()
	err := t.settle(limited)
	if err == nil && t.page.WaitSelector != "" {
		err = t.find(limited, t.page.WaitSelector)
	}
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		t.remark("not ready after %s", t.page.WaitTimeout)
		return t.calm(ctx)
	}
	return err
}

// patience is how long to wait for the page to be ready, so that there is time left
// to take it.
func (t *tab) patience(ctx context.Context) time.Duration {
	wait := t.page.WaitTimeout
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)*3/4)
	}
	return max(wait, 0)
}

// settle waits by the page's rule.
func (t *tab) settle(ctx context.Context) error {
	switch t.page.Wait {
	case WaitDOM:
		return t.until(ctx, func() bool { return t.tree })
	case WaitLoad:
		return t.until(ctx, func() bool { return t.loaded })
	}
	if err := t.until(ctx, func() bool { return t.loaded }); err != nil {
		return err
	}
	return t.idle(ctx)
}

// until waits for what an event may bring about.
func (t *tab) until(ctx context.Context, so func() bool) error {
	for {
		t.mu.Lock()
		ok := so()
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-t.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// idle waits until no request has been under way for a while, and the page's scripts
// have had their turn without making one: on a busy machine what came last may not
// have been run yet.
func (t *tab) idle(ctx context.Context) error {
	for {
		if err := t.until(ctx, func() bool { return len(t.running) == 0 }); err != nil {
			return err
		}
		t.mu.Lock()
		seq := t.seq
		t.mu.Unlock()
		if err := sleep(ctx, quiet); err != nil {
			return err
		}
		if err := t.evaluate(ctx, `new Promise(done => setTimeout(done, 0))`, nil); err != nil {
			return err
		}
		t.mu.Lock()
		done := t.seq == seq && len(t.running) == 0
		t.mu.Unlock()
		if done {
			return nil
		}
	}
}

// calm makes sure that the page answers: scripts that run on and on are stopped.
func (t *tab) calm(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, stuckTime)
	defer cancel()
	err := t.evaluate(limited, `0`, nil)
	if err == nil || limited.Err() == nil || ctx.Err() != nil {
		return err
	}
	t.remark("scripts that did not end were stopped")
	return t.session.Call(ctx, "Runtime.terminateExecution", nil, nil)
}

// find waits for an element.
func (t *tab) find(ctx context.Context, selector string) error {
	var found bool
	err := t.evaluate(ctx, call(findScript, selector), &found)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w %q", errNotThere, selector)
	}
	return nil
}

// evaluate runs a script of ours, out of reach of the page's own, and waits for the
// promise that it may give.
func (t *tab) evaluate(ctx context.Context, script string, result any) error {
	for try := 1; ; try++ {
		err := t.evaluateOnce(ctx, script, result)
		var refused *cdp.Error
		if err == nil || !errors.As(err, &refused) || try == 3 {
			return err
		}
		t.world = 0 // the page was loaded again, and with that our place was lost
	}
}

func (t *tab) evaluateOnce(ctx context.Context, script string, result any) error {
	if t.world == 0 {
		var made struct {
			ID int64 `json:"executionContextId"`
		}
		if err := t.session.Call(ctx, "Page.createIsolatedWorld", map[string]any{"frameId": t.frame, "worldName": "weir"}, &made); err != nil {
			return err
		}
		t.world = made.ID
	}
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Thrown *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := t.session.Call(ctx, "Runtime.evaluate", map[string]any{
		"expression": script, "contextId": t.world, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &out)
	if err != nil {
		return err
	}
	if out.Thrown != nil {
		return fmt.Errorf("%.200s %.200s", out.Thrown.Text, out.Thrown.Exception.Description)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(out.Result.Value, result)
}

// sleep waits for a while.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
