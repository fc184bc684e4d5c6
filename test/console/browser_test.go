package console

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/weircrawl/weir/test/driver"
)

// widths of the pictures: a desk and a telephone.
const (
	desk  = 1280
	phone = 390
)

// patience bounds a wait for the page; far above what it takes.
const patience = 60 * time.Second

// visit bounds all of a visit.
const visit = 9 * time.Minute

// browser is a tab of a Chromium, and what it did.
type browser struct {
	ctx  context.Context
	base string

	mu       sync.Mutex
	requests []string
	messages []string
}

// open starts a browser that ends with the test.
func open(t *testing.T, base string) *browser {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*patience))
	actx, stopBrowser := chromedp.NewExecAllocator(driver.Limit(t, visit), opts...)
	ctx, closeTab := chromedp.NewContext(actx)
	b := &browser{ctx: ctx, base: base}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	requests, messages := chromedp.Events(ctx, network.RequestWillBeSent), chromedp.Console(ctx)
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		for e, err := range requests {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.requests = append(b.requests, e.Request.URL)
			b.mu.Unlock()
		}
	})
	readers.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning || m.IsException() {
				b.mu.Lock()
				b.messages = append(b.messages, fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL))
				b.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		closeTab()
		stopBrowser()
		readers.Wait()
	})
	return b
}

// do runs steps, and fails the test where one cannot be done.
func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// visit opens a page of the console.
func (b *browser) visit(t *testing.T, path string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.base+path))
}

// ask evaluates an expression.
func ask[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true, whatever pages come and go meanwhile.
func (b *browser) until(t *testing.T, what, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var last error
	err := driver.Await(ctx, what, func() (bool, error) {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		last = err // of a page that is being left, mostly
		return ok && err == nil, nil
	})
	if err != nil {
		t.Fatalf("%v (%v)\n%s", err, last, ask[string](t, b, "document.body.innerText.slice(0, 3000)"))
	}
}

// scripts switches them on or off.
func (b *browser) scripts(t *testing.T, on bool) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		t.Fatal(err)
	}
}

// dark asks for the dark scheme.
func (b *browser) dark(t *testing.T, on bool) {
	t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call[emulation.SetEmulatedMediaParams, cdp.Empty](b.ctx, emulation.SetEmulatedMedia, params); err != nil {
		t.Fatal(err)
	}
}

// picture keeps a picture of the page at both widths, and checks that it fits.
func (b *browser) picture(t *testing.T, name, path string) {
	t.Helper()
	for _, width := range []int64{desk, phone} {
		b.do(t, chromedp.EmulateViewport(width, 800))
		b.visit(t, path)
		b.until(t, name, `document.readyState === "complete"`)
		if wide := ask[int](t, b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
			t.Errorf("%s: %d pixels too wide at %d: %s", name, wide, width, ask[string](t, b, widest))
		}
		height := ask[int64](t, b, `document.documentElement.scrollHeight`)
		b.do(t, chromedp.EmulateViewport(width, min(max(height, 600), 2400)))
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		keep(t, fmt.Sprintf("%s-%d.png", name, width), png)
	}
}

// widest names the element that sticks out most.
const widest = `[...document.body.querySelectorAll("*")].map(e => [e.getBoundingClientRect().right, e.outerHTML.slice(0, 120)]).sort((a, b) => b[0] - a[0])[0].join(" ")`

// keep writes a picture for people to look at.
func keep(t *testing.T, name string, png []byte) {
	t.Helper()
	root, err := driver.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "bin", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// home checks that nothing but the console was asked for anything, and that the browser
// had nothing to complain of.
func (b *browser) home(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	base, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range b.requests {
		if u, err := url.Parse(r); err != nil || u.Scheme != "about" && (u.Scheme != base.Scheme || u.Host != base.Host) {
			t.Errorf("a request to %s", r)
		}
	}
	if len(b.requests) < 50 {
		t.Errorf("only %d requests were seen", len(b.requests))
	}
	for _, m := range b.messages {
		// The form with a mistake was refused, and the browser says so.
		if !strings.Contains(m, "status of 422") || !strings.HasSuffix(m, "/submit)") {
			t.Errorf("the browser complains: %s", m)
		}
	}
}
