package weburl

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Request is what a URL is asked with, where that is more than a plain GET. A URL
// that has one is another page than the same URL without (ADR-0017).
type Request struct {
	// Method is GET or POST; empty means GET.
	Method string
	// ContentType of the body; empty for none.
	ContentType string
	// Body of a POST: any bytes.
	Body string
	// Header fields, each name once in any case; those of the message itself, such as
	// Host and Content-Type, are not among them.
	Header map[string]string
}

// requestMark is what the fragment of a URL with a request begins with.
const requestMark = "#!"

// MaxRequestHeaders is how many header fields a request may have.
const MaxRequestHeaders = 32

// WithRequest returns the URL with r in place of the request that it has; a plain GET
// takes it away. Requests that mean the same give the same URL. The error is
// ErrTooLong, or ErrInvalid for what no request can have.
func (u URL) WithRequest(r Request) (URL, error) {
	u = u.WithoutRequest()
	if u.IsZero() {
		return URL{}, fmt.Errorf("%w: a request without a URL", ErrInvalid)
	}
	// Before anything is escaped, which makes it longer.
	if len(r.Body) > MaxLength {
		return URL{}, ErrTooLong
	}
	fragment, err := r.fragment()
	if err != nil {
		return URL{}, err
	}
	if len(u.s)+len(fragment) > MaxLength {
		return URL{}, ErrTooLong
	}
	u.s += fragment
	return u, nil
}

// Request returns what the URL is asked with; ok is false for a plain GET. The method
// is never empty, and the names of header fields are as HTTP/1 usually has them:
// X-Api-Key.
func (u URL) Request() (r Request, ok bool) {
	if int(u.end) == len(u.s) {
		return Request{}, false
	}
	return parseRequest(u.s[u.end:])
}

// WithoutRequest returns the URL that a server and a site's rules see. It costs
// nothing.
func (u URL) WithoutRequest() URL {
	u.s = u.s[:u.end]
	return u
}

// fragment writes the request in its one form; "" for a plain GET.
func (r Request) fragment() (string, error) {
	var b strings.Builder
	add := func(name, value string) {
		sep := "&"
		if b.Len() == 0 {
			sep = requestMark
		}
		b.WriteString(sep + name + "=" + url.QueryEscape(value))
	}
	switch r.Method {
	case "", "GET":
		if r.Body != "" || r.ContentType != "" {
			return "", fmt.Errorf("%w: a GET with a body", ErrInvalid)
		}
	case "POST":
		add("method", r.Method)
	default:
		return "", fmt.Errorf("%w: method %.20q is not GET or POST", ErrInvalid, r.Method)
	}
	if !isFieldValue(r.ContentType) {
		return "", fmt.Errorf("%w: content type %.50q", ErrInvalid, r.ContentType)
	}
	if r.ContentType != "" {
		add("type", r.ContentType)
	}
	if r.Body != "" {
		add("body", r.Body)
	}
	fields, err := r.fields()
	if err != nil {
		return "", err
	}
	for _, f := range fields {
		add("header", f)
	}
	return b.String(), nil
}

// fields returns the header as "Name: value", sorted by name.
func (r Request) fields() ([]string, error) {
	if len(r.Header) > MaxRequestHeaders {
		return nil, fmt.Errorf("%w: more than %d header fields", ErrInvalid, MaxRequestHeaders)
	}
	out := make([]string, 0, len(r.Header))
	known := make(map[string]struct{}, len(r.Header))
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		value := r.Header[name]
		canonical, ok := fieldName(name)
		if !ok || !isFieldValue(value) {
			return nil, fmt.Errorf("%w: header field %.50q or its value, which may be a secret and is not shown", ErrInvalid, name)
		}
		if _, twice := known[canonical]; twice {
			return nil, fmt.Errorf("%w: header field %s twice", ErrInvalid, canonical)
		}
		known[canonical] = struct{}{}
		out = append(out, canonical+": "+value)
	}
	slices.Sort(out) // now by the canonical names
	return out, nil
}

// parseRequest reads what fragment wrote; ok is false for anything else, also for
// another way to write the same.
func parseRequest(fragment string) (r Request, ok bool) {
	rest, ok := strings.CutPrefix(fragment, requestMark)
	if !ok {
		return Request{}, false
	}
	r.Method = "GET"
	for part := range strings.SplitSeq(rest, "&") {
		name, escaped, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(escaped)
		if err != nil {
			return Request{}, false
		}
		switch name {
		case "method":
			r.Method = value
		case "type":
			r.ContentType = value
		case "body":
			r.Body = value
		case "header":
			if r.Header == nil {
				r.Header = make(map[string]string)
			}
			name, value, _ := strings.Cut(value, ": ")
			r.Header[name] = value
		}
	}
	if again, err := r.fragment(); err != nil || again != fragment {
		return Request{}, false
	}
	return r, true
}

// fieldName returns the usual form of the name of a header field; ok is false for what
// is no name or belongs to the message itself.
func fieldName(name string) (canonical string, ok bool) {
	if name == "" || len(name) > 128 {
		return "", false
	}
	b := []byte(name)
	first := true // of a word
	for i, c := range b {
		letter := is(c, alphaByte)
		switch {
		case !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0:
			return "", false
		case letter && first:
			b[i] = c &^ 0x20
		case letter:
			b[i] = c | 0x20
		}
		first = c == '-'
	}
	switch canonical = string(b); canonical {
	case "Host", "Content-Type", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Accept-Encoding", "Expect",
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Upgrade":
		return "", false
	}
	return canonical, true
}

// isFieldValue reports whether a header field may have the value: one line, without
// blanks around it, which would not arrive.
func isFieldValue(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return false
		}
	}
	return v == strings.Trim(v, " ")
}
