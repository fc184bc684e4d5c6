package fetcher

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// outgoing is the request of one task: the crawl's options with what is the task's
// own, and its header as the archive gets it. Most tasks have nothing of their own and
// share the crawl's.
type outgoing struct {
	opts *client.Options
	sent []*crawlv1.Header
	own  bool // both are copies
}

// outgoing composes the request of a task; the error says what is missing for it.
func (p *prepared) outgoing(t *crawlv1.FetchTask, u weburl.URL, now time.Time) (outgoing, error) {
	o := outgoing{opts: p.options(t.GetRef().GetKind()), sent: p.sent}
	if p.fault != nil {
		return o, p.fault
	}
	for i := range p.grants {
		if g := &p.grants[i]; g.covers(u) {
			if g.err != nil {
				return o, g.err
			}
			o.set(g.name, g.value, g.shown)
		}
	}
	if r, ok := u.Request(); ok {
		if err := o.request(r, p.secrets); err != nil {
			return o, err
		}
	}
	if o.opts.Method == "" { // nothing but a GET asks for a page if it has changed
		o.validate("If-Modified-Since", t.GetLastModified())
		o.validate("If-None-Match", t.GetEtag())
	}
	if p.cookies && len(t.GetCookies()) > 0 {
		if v := cookie.Header(bus.Cookies(t.GetCookies()), u, now); v != "" {
			o.cookies(v)
		}
	}
	return o, nil
}

// copies makes the options and the list the request's own.
func (o *outgoing) copies() {
	if o.own {
		return
	}
	opts := *o.opts
	opts.Header = o.opts.Header.Clone()
	o.opts, o.sent, o.own = &opts, slices.Clone(o.sent), true
}

// set gives the request a header; the archive is shown another value of it.
func (o *outgoing) set(name, value, shown string) {
	o.copies()
	o.opts.Header[name] = []string{value}
	h := &crawlv1.Header{Name: name, Value: []byte(shown)}
	if i := slices.IndexFunc(o.sent, func(h *crawlv1.Header) bool { return h.GetName() == name }); i >= 0 {
		o.sent[i] = h
		return
	}
	o.sent = append(o.sent, h)
}

// request takes over the request in the URL's fragment and puts the secrets in.
func (o *outgoing) request(r weburl.Request, secrets secret.Lookup) error {
	o.copies()
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		text := r.Header[name]
		value, err := secrets.Fill(text, nil)
		if err != nil {
			return err
		}
		if !usableSecret(value) {
			return fmt.Errorf("header %s of the request: the secret in it has more than one line", name)
		}
		o.set(http.CanonicalHeaderKey(name), value, shown(name, text))
	}
	if r.Method != http.MethodPost {
		return nil
	}
	if r.ContentType != "" {
		o.set("Content-Type", r.ContentType, r.ContentType)
	}
	body, err := secrets.Fill(r.Body, secret.EscapeFor(r.ContentType))
	if err != nil {
		return err
	}
	o.opts.Method, o.opts.Body = http.MethodPost, []byte(body)
	return nil
}

// validate asks for the page only if it is another one than the last visit's; a header
// that the crawl has of its own wins.
func (o *outgoing) validate(name, value string) {
	if usable(value) && o.opts.Header.Get(name) == "" {
		o.set(name, value, value)
		o.opts.Conditional = true
	}
}

// cookies adds those of the crawl to those that the spec gives.
func (o *outgoing) cookies(v string) {
	own := o.opts.Header.Get("Cookie")
	if own == "" {
		o.set("Cookie", v, v)
		return
	}
	shown := v
	for _, h := range o.sent {
		if h.GetName() == "Cookie" {
			shown = string(h.GetValue()) + "; " + v
		}
	}
	o.set("Cookie", own+"; "+v, shown)
}
