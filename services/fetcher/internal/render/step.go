package render

import (
	"context"
	"errors"
	"fmt"
)

// step does one step. Each waits for its element as long as for the page.
func (t *tab) step(ctx context.Context, s Step) error {
	limited, cancel := context.WithTimeout(ctx, t.patience(ctx))
	defer cancel()
	err := t.act(limited, s)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case limited.Err() != nil && s.element() != "":
		err = fmt.Errorf("%w %q within %s", errNotThere, s.element(), t.page.WaitTimeout)
	}
	if s.Optional && (errors.Is(err, errNotThere) || limited.Err() != nil) {
		return nil
	}
	return err
}

// element is what the step is about; empty for no element.
func (s Step) element() string {
	switch {
	case s.Click != "":
		return s.Click
	case s.Fill != "":
		return s.Fill
	}
	return s.For
}

func (t *tab) act(ctx context.Context, s Step) error {
	if e := s.element(); e != "" {
		if err := t.find(ctx, e); err != nil {
			return err
		}
	}
	switch {
	case s.Click != "":
		if err := t.click(ctx, s.Click); err != nil {
			return err
		}
		return t.rest(ctx)
	case s.Fill != "":
		return t.evaluate(ctx, call(fillScript, s.Fill, s.Text), nil)
	case s.Scroll > 0:
		return t.scroll(ctx, s.Scroll)
	case s.Pause > 0:
		return sleep(ctx, s.Pause)
	}
	return nil
}

// click does what a mouse does, or clicks by a script on what no mouse could hit.
func (t *tab) click(ctx context.Context, selector string) error {
	var at *struct{ X, Y float64 }
	if err := t.evaluate(ctx, call(placeScript, selector), &at); err != nil || at == nil {
		return err
	}
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		err := t.session.Call(ctx, "Input.dispatchMouseEvent", map[string]any{
			"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1,
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// scroll goes to the end of the page, again and again while that makes it longer.
func (t *tab) scroll(ctx context.Context, times int) error {
	last := -1.0
	for range times {
		var height float64
		if err := t.evaluate(ctx, scrollScript, &height); err != nil {
			return err
		}
		t.mu.Lock()
		seq := t.seq
		t.mu.Unlock()
		if err := t.idle(ctx); err != nil {
			return err
		}
		t.mu.Lock()
		still := t.seq == seq
		t.mu.Unlock()
		if still && height == last {
			return nil
		}
		last = height
	}
	return nil
}

// rest waits for what an act has set off. That it takes too long is not its fault.
func (t *tab) rest(ctx context.Context) error {
	err := t.idle(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		t.remark("not at rest after %s", t.page.WaitTimeout)
		return nil
	}
	return err
}
