package client

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
)

// redirect makes the target of a redirect the outcome. One to itself is a loop, unless
// it sets cookies: then the next answer may be another, and who keeps the cookies
// knows whether these are new.
func (ex *exchange) redirect(status int, h http.Header) {
	ex.fail(crawl.ClassNone, "")
	location := octets(h.Get("Location"))
	if location == "" || status == http.StatusNotModified {
		ex.fail(crawl.ClassBadResponse, statusLine(status)+" without a Location to go to")
		return
	}
	base, err := ex.opts.Canon.Base(ex.url.WithoutRequest().String())
	if err != nil {
		ex.fail(crawl.ClassOther, fmt.Sprintf("base %s: %v", ex.url, err))
		return
	}
	target, err := base.Resolve(location)
	if err == nil {
		target, err = replay(ex.url, target, status)
	}
	if err != nil {
		ex.fail(crawl.ClassBadResponse, fmt.Sprintf("redirect to %q: %v", shorten(location), err))
		return
	}
	ex.res.Redirect = target.String()
	if target.String() == ex.url.String() && len(h["Set-Cookie"]) == 0 {
		ex.fail(crawl.ClassRedirectLoop, "redirect to itself")
	}
}

// octets escapes what is not ASCII in a Location that is not UTF-8, so that the octets
// stay what they are, as browsers have it: nobody knows which characters were meant.
func octets(location string) string {
	if utf8.ValidString(location) {
		return location
	}
	var b strings.Builder
	for i := range len(location) {
		if c := location[i]; c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// replay gives the target of a redirect the request that it is asked with: the same
// one, but for a POST after 301, 302 and 303, which is followed by a plain GET as
// browsers have it. What is meant for one site does not go to another.
func replay(from, target weburl.URL, status int) (weburl.URL, error) {
	r, ok := from.Request()
	if !ok || r.Method == http.MethodPost && status < http.StatusTemporaryRedirect {
		return target, nil
	}
	if !sameSide(from, target) {
		if secret.Has(r.Body) {
			return weburl.URL{}, fmt.Errorf("another site must not get the secret in the body")
		}
		own := make(map[string]string, len(r.Header))
		for name, value := range r.Header {
			if !credential(name) && !secret.Has(value) {
				own[name] = value
			}
		}
		r.Header = own
	}
	return target.WithRequest(r)
}

// sameSide: the same host and port, and not from https to where all can read it. From
// http to https of the same host is as good as staying.
func sameSide(from, to weburl.URL) bool {
	if from.Origin() == to.Origin() {
		return true
	}
	return from.Host() == to.Host() && from.Scheme() == "http" && to.Scheme() == "https" && from.Port() == "" && to.Port() == ""
}

// credential: a header that says who asks.
func credential(name string) bool {
	return strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie")
}
