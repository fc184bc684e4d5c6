package request

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tidwall/gjson"
	"golang.org/x/net/html"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/tree"
	"github.com/weircrawl/weir/services/parser/internal/webform"
)

// Reasons why a request is not made, beside those of links. They are not counted: a
// page without the form, or without a further page, is nothing out of the ordinary.
const (
	// NoForm: the page has no form that the rule's selector finds.
	NoForm link.Reason = "no_form"
	// NoValue: a required field, or one in the address, has no value.
	NoValue link.Reason = "no_value"
)

// maxRequests bounds the requests of one page.
const maxRequests = 5000

// Page is what requests are made of besides the facts of the page.
type Page struct {
	// URL of the page.
	URL weburl.URL
	// Base that references count from, by the crawl's canonical form.
	Base *weburl.Base
	// Charset of the page: browsers send forms in it.
	Charset string
	// Depth in links from a seed.
	Depth uint32
	// Stop ends the work when it becomes true; nil never does.
	Stop *atomic.Bool
}

// Made is a request, or what was not made of one.
type Made struct {
	// URL of the request; the zero URL where there is none.
	URL weburl.URL
	// Reason why it is not made; crawl.ReasonNone when it is.
	Reason link.Reason
	// Rule is its name, or that of the rule of the scope which decided.
	Rule string
	// Depth in links from a seed, and Priority.
	Depth    uint32
	Priority int32
}

// Make makes the requests of a page, each URL once, and judges them. Warnings say
// what is wrong with the page or the rules.
func Make(s *Set, x *extract.Extractor, facts *extract.Page, p *Page, cfg *link.Config) (made []Made, warnings []string) {
	m := maker{page: p, cfg: cfg, seen: map[string]bool{p.URL.String(): true}}
	warning := x.Values(s.values, facts, func(v extract.Values) bool {
		m.one(&s.rules[v.Rule], v)
		if len(m.made) >= maxRequests {
			m.warn("more requests than are taken of one page")
			return false
		}
		return true
	})
	if warning != "" {
		m.warn(warning)
	}
	return m.made, m.warnings
}

type maker struct {
	page     *Page
	cfg      *link.Config
	seen     map[string]bool
	made     []Made
	warnings []string
}

func (m *maker) warn(text string) {
	if !slices.Contains(m.warnings, text) {
		m.warnings = append(m.warnings, text)
	}
}

// refused is the error of a request that is not made.
type refused link.Reason

func (r refused) Error() string { return string(r) }

// one makes the request of one place.
func (m *maker) one(r *rule, v extract.Values) {
	depth := m.page.Depth + 1
	if r.Pagination {
		depth--
	}
	out := Made{Rule: r.Name, Depth: depth}
	u, err := m.build(r, v)
	if err != nil {
		out.Reason = reasonOf(err)
		if out.Reason == link.Enctype {
			m.warn("request rule " + r.Name + ": the form is sent as multipart/form-data or text/plain, which is not supported")
		}
		if out.Reason == link.SecretHost {
			m.warn("request rule " + r.Name + ": a secret is only sent to the page's own host")
		}
		m.made = append(m.made, out)
		return
	}
	if m.seen[u.String()] {
		return
	}
	m.seen[u.String()] = true
	out.URL = u
	switch verdict := m.cfg.Scope.Judge(u, int(depth)); {
	case r.MaxDepth >= 0 && int(depth) > r.MaxDepth:
		out.Reason = crawl.ReasonDepth
	case !verdict.Accept:
		out.Reason, out.Rule = verdict.Reason, cmp.Or(verdict.Rule, r.Name)
	case r.Priority != nil:
		out.Priority = *r.Priority
	case m.cfg.Priority != nil:
		out.Priority = m.cfg.Priority(u, int(depth))
	}
	m.made = append(m.made, out)
}

func reasonOf(err error) link.Reason {
	if r, ok := errors.AsType[refused](err); ok {
		return link.Reason(r)
	}
	return link.ReasonOf(err)
}

// sending is a request that is put together.
type sending struct {
	target   string // as written; "" is the page
	method   string
	pairs    []pair
	charset  string
	encoding Encoding
}

// build puts a request together.
func (m *maker) build(r *rule, v extract.Values) (weburl.URL, error) {
	if !v.Complete {
		return weburl.URL{}, refused(NoValue)
	}
	values := gjson.ParseBytes(slices.Clone(v.JSON))
	s := sending{method: r.Method, encoding: r.Encoding}
	if r.form != nil {
		if err := s.fill(r, v.Node); err != nil {
			return weburl.URL{}, err
		}
		// A browser sends forms in the encoding of the page, unless they name one.
		s.charset = cmp.Or(s.charset, m.page.Charset)
	}
	s.override(r, values)
	if r.address != nil {
		target, err := r.expand(values)
		if err != nil {
			return weburl.URL{}, err
		}
		s.target = target
	}
	if s.method == "" {
		s.method = "GET"
		if r.sent || r.Body != "" {
			s.method = "POST"
		}
	}
	if s.encoding == Default {
		s.encoding = Form
		if s.method == "GET" {
			s.encoding = Query
		}
	}
	return m.send(r, &s)
}

// fill takes over what the form of a place sends.
func (s *sending) fill(r *rule, at *html.Node) error {
	var form *html.Node
	if at != nil {
		tree.Walk(at, nil, func(n *html.Node) bool {
			if r.form.Match(n) {
				form = n
			}
			return form == nil
		})
	}
	if form == nil || form.Data != "form" {
		return refused(NoForm)
	}
	f := webform.Read(form)
	if f.Method == "DIALOG" {
		return refused(NoForm)
	}
	s.target, s.charset = f.Action, f.Charset
	s.method = cmp.Or(r.Method, f.Method)
	if s.method == "POST" && r.Encoding == Default && (f.Multipart || f.PlainText) {
		return refused(link.Enctype)
	}
	for _, e := range f.Entries {
		raw := string(extract.AppendText(nil, e.Value))
		s.pairs = append(s.pairs, pair{e.Name, gjson.Result{Type: gjson.String, Raw: raw, Str: e.Value}})
	}
	return nil
}

// override puts the values of the rule's fields in the place of those of the form, and
// the others behind them.
func (s *sending) override(r *rule, values gjson.Result) {
	values.ForEach(func(key, v gjson.Result) bool {
		name := key.String()
		if r.gaps[name] || v.Type == gjson.Null {
			return true
		}
		at := len(s.pairs)
		kept := s.pairs[:0]
		for i, p := range s.pairs {
			if p.name == name {
				at = min(at, i)
				continue
			}
			kept = append(kept, p)
		}
		at = min(at, len(kept))
		s.pairs = slices.Insert(kept, at, pair{name, v})
		return true
	})
}

// expand fills the gaps of the address.
func (r *rule) expand(values gjson.Result) (string, error) {
	found := map[string]gjson.Result{}
	values.ForEach(func(key, v gjson.Result) bool {
		found[key.String()] = v
		return true
	})
	var b strings.Builder
	for _, p := range r.address {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		v := found[p.field]
		text := pairText(v)
		switch {
		case !v.Exists() || v.Type == gjson.Null || text == "" || v.IsArray():
			return "", refused(NoValue)
		case r.whole:
			b.WriteString(text)
		case text == "." || text == "..": // a path would be another one
			return "", refused(link.Malformed)
		default:
			b.WriteString(escapeValue(text))
		}
	}
	return b.String(), nil
}

// send makes the URL of a request.
func (m *maker) send(r *rule, s *sending) (weburl.URL, error) {
	req := weburl.Request{Method: s.method, Body: r.Body, Header: maps.Clone(r.Header)}
	target := s.target
	if target == "" {
		target = m.page.URL.WithoutRequest().String()
	}
	switch {
	case r.Body != "":
		req.ContentType = "application/x-www-form-urlencoded"
		if gjson.Valid(r.Body) {
			req.ContentType = "application/json"
		}
	case s.encoding == Query:
		target = withQuery(target, s.pairs, r.form != nil, s.charset)
	case s.encoding == JSON:
		req.Body, req.ContentType = string(appendObject(nil, s.pairs)), "application/json"
	default:
		req.Body, req.ContentType = string(appendForm(nil, s.pairs, encoderOf(s.charset))), "application/x-www-form-urlencoded"
	}
	if req.Body == "" && r.form == nil {
		req.ContentType = "" // nothing has no type, though a form without fields has
	}
	for name, value := range req.Header {
		if strings.EqualFold(name, "Content-Type") {
			req.ContentType = value
			delete(req.Header, name)
		}
	}
	if s.method == "GET" {
		req.ContentType = ""
	}
	u, err := m.page.Base.Resolve(target)
	if err != nil {
		return weburl.URL{}, err
	}
	if !m.trusted(u) && secretive(&req) {
		return weburl.URL{}, refused(link.SecretHost)
	}
	return u.WithRequest(req)
}

// withQuery adds pairs to the query of a reference, in the place of those of the same
// names, or all of them where only is true.
func withQuery(target string, pairs []pair, only bool, charset string) string {
	target, _, _ = strings.Cut(target, "#")
	target, old, _ := strings.Cut(target, "?")
	query := appendForm(nil, pairs, encoderOf(charset))
	if !only && old != "" {
		kept := make([]byte, 0, len(old)+len(query)+1)
		for p := range strings.SplitSeq(old, "&") {
			name, _, _ := strings.Cut(p, "=")
			if n, err := url.QueryUnescape(name); err == nil {
				name = n
			}
			if !slices.ContainsFunc(pairs, func(q pair) bool { return q.name == name }) {
				kept = append(append(kept, p...), '&')
			}
		}
		query = bytes.TrimSuffix(append(kept, query...), []byte("&"))
	}
	if len(query) == 0 {
		return target
	}
	return target + "?" + string(query)
}

// trusted reports whether a URL is on the page's own host, and as safe from others.
func (m *maker) trusted(u weburl.URL) bool {
	return u.HostPort() == m.page.URL.HostPort() && (u.Scheme() == "https" || m.page.URL.Scheme() == "http")
}

// secretive reports whether a request has a secret.
func secretive(r *weburl.Request) bool {
	for _, v := range r.Header {
		if secret.Has(v) {
			return true
		}
	}
	return secret.Has(r.Body) || secret.Has(r.ContentType)
}
