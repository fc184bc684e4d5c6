package render

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// piece is how much of a document comes in one message, in UTF-16 units.
	piece = 1 << 20
	// unitBytes is the most that a unit takes in UTF-8.
	unitBytes = 3
)

// capture takes what there is to be taken of the page.
func (t *tab) capture(ctx context.Context, out *Shown) error {
	if err := t.html(ctx, out); err != nil {
		return fmt.Errorf("take the document: %w", err)
	}
	if t.page.Screenshot > 0 {
		if err := t.screenshot(ctx, out); err != nil {
			return fmt.Errorf("screenshot: %w", err)
		}
	}
	return t.cookies(ctx, out)
}

// html takes the document piece by piece, so that no message is very long.
func (t *tab) html(ctx context.Context, out *Shown) error {
	var length int64
	if err := t.evaluate(ctx, htmlScript, &length); err != nil {
		return err
	}
	if want := min(length*unitBytes, t.page.MaxHTML); t.page.Reserve != nil {
		if err := t.page.Reserve(want); err != nil {
			return err
		}
	}
	var b strings.Builder
	for at := int64(0); at < length; {
		var text string
		if err := t.evaluate(ctx, call(pieceScript, at, piece), &text); err != nil {
			return err
		}
		if text == "" {
			break
		}
		at += units(text)
		if room := t.page.MaxHTML - int64(b.Len()); int64(len(text)) > room {
			b.WriteString(strings.ToValidUTF8(text[:room], ""))
			out.Cut = true
			break
		}
		b.WriteString(text)
	}
	out.HTML = []byte(b.String())
	return nil
}

// units counts a text as scripts do.
func units(s string) int64 {
	n := int64(0)
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// screenshot takes a picture of the window that fits.
func (t *tab) screenshot(ctx context.Context, out *Shown) error {
	shot := func(quality int, scale float64) ([]byte, error) {
		params := map[string]any{"format": "jpeg", "quality": quality, "optimizeForSpeed": false}
		if scale < 1 {
			params["clip"] = map[string]any{"x": 0, "y": 0, "width": t.page.Width, "height": t.page.Height, "scale": scale}
		}
		var taken struct {
			Data []byte `json:"data"`
		}
		err := t.session.Call(ctx, "Page.captureScreenshot", params, &taken)
		return taken.Data, err
	}
	for _, try := range []struct {
		quality int
		scale   float64
	}{{80, 1}, {60, 1}, {40, 1}, {20, 1}, {40, 0.5}, {20, 0.25}} {
		data, err := shot(try.quality, try.scale)
		if err != nil {
			return err
		}
		if len(data) <= t.page.Screenshot {
			out.Screenshot = data
			return nil
		}
	}
	t.remark("no screenshot: it is too large at the lowest quality")
	return nil
}

// cookie is one in the protocol's form.
type cookie struct {
	Name     string  `json:"name"`
	Value    string  `json:"value"`
	URL      string  `json:"url,omitempty"`
	Domain   string  `json:"domain,omitempty"`
	Path     string  `json:"path,omitempty"`
	Secure   bool    `json:"secure,omitempty"`
	HTTPOnly bool    `json:"httpOnly,omitempty"`
	Expires  float64 `json:"expires,omitempty"` // seconds since 1970, -1 for none
}

// setCookies puts the page's cookies into its context. One that the browser does not
// like is left out.
func (t *tab) setCookies(ctx context.Context) error {
	for _, c := range t.page.Cookies {
		scheme := "http"
		if c.Secure {
			scheme = "https"
		}
		set := cookie{Name: c.Name, Value: c.Value, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly, URL: scheme + "://" + c.Domain + c.Path}
		if !c.HostOnly {
			set.Domain = "." + c.Domain
		}
		if !c.Expires.IsZero() {
			set.Expires = float64(c.Expires.Unix())
		}
		err := t.root.Call(ctx, "Storage.setCookies", map[string]any{"cookies": []cookie{set}, "browserContextId": t.context}, nil)
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// cookies takes the cookies that the context has.
func (t *tab) cookies(ctx context.Context, out *Shown) error {
	var have struct {
		Cookies []cookie `json:"cookies"`
	}
	if err := t.root.Call(ctx, "Storage.getCookies", map[string]any{"browserContextId": t.context}, &have); err != nil {
		return err
	}
	for _, c := range have.Cookies {
		domain, shared := strings.CutPrefix(c.Domain, ".")
		one := Cookie{Name: c.Name, Value: c.Value, Domain: domain, HostOnly: !shared, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly}
		if c.Expires > 0 {
			s, frac := math.Modf(min(c.Expires, 1<<40))
			one.Expires = time.Unix(int64(s), int64(frac*1e9)).UTC()
		}
		out.Cookies = append(out.Cookies, one)
	}
	return nil
}
