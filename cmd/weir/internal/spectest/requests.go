package spectest

import (
	"encoding/json"
	"fmt"
	"net/textproto"
	"reflect"
	"slices"

	"github.com/weircrawl/weir/internal/weburl"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

// Request is a request that is expected. What is left out is not looked at.
type Request struct {
	// Rule that makes it.
	Rule string `yaml:"rule"`
	// URL of it, canonical.
	URL string `yaml:"url"`
	// Method, GET or POST.
	Method string `yaml:"method"`
	// ContentType of the body.
	ContentType string `yaml:"content_type"`
	// Body as it is sent, and the same as JSON, in which order and blanks do not count.
	Body *string `yaml:"body"`
	JSON any     `yaml:"json"`
	// Headers that it has, among others.
	Headers map[string]string `yaml:"headers"`
}

// checkRequests compares what the rules make: requests and files.
func (t *Test) checkRequests(links []*parserv1.FoundLink) []string {
	var failures []string
	var made []*parserv1.FoundLink
	var files []string
	for _, l := range links {
		switch {
		case l.GetSource() == parserv1.LinkSource_LINK_SOURCE_REQUEST && l.GetReason() == "":
			made = append(made, l)
		case l.GetSource() == parserv1.LinkSource_LINK_SOURCE_MEDIA && l.GetReason() == "":
			files = append(files, l.GetUrl())
		}
	}
	if t.Media != nil {
		want := slices.Sorted(slices.Values(*t.Media))
		slices.Sort(files)
		if !slices.Equal(files, want) {
			failures = append(failures, fmt.Sprintf("media: %s, want %s", compact(files), compact(want)))
		}
	}
	if t.Requests == nil {
		return failures
	}
	want := *t.Requests
	for i := range max(len(made), len(want)) {
		switch {
		case i >= len(want):
			failures = append(failures, fmt.Sprintf("requests[%d]: not expected: %.500s", i, made[i].GetUrl()))
		case i >= len(made):
			failures = append(failures, fmt.Sprintf("requests[%d]: missing: %.500s", i, want[i].URL))
		default:
			for _, text := range want[i].diff(made[i]) {
				failures = append(failures, fmt.Sprintf("requests[%d].%s", i, text))
			}
		}
	}
	return failures
}

// diff compares a request.
func (want *Request) diff(l *parserv1.FoundLink) []string {
	u, err := weburl.FromCanonical(l.GetUrl())
	if err != nil {
		return []string{fmt.Sprintf("url: %q: %v", l.GetUrl(), err)}
	}
	r, ok := u.Request()
	if !ok {
		r.Method = "GET"
	}
	var out []string
	check := func(name, got, want string, given bool) {
		if given && got != want {
			out = append(out, fmt.Sprintf("%s: %.500q, want %.500q", name, got, want))
		}
	}
	check("rule", l.GetRule(), want.Rule, want.Rule != "")
	check("url", u.WithoutRequest().String(), want.URL, want.URL != "")
	check("method", r.Method, want.Method, want.Method != "")
	check("content_type", r.ContentType, want.ContentType, want.ContentType != "")
	if want.Body != nil {
		check("body", r.Body, *want.Body, true)
	}
	for name, value := range want.Headers {
		check("headers."+name, r.Header[textproto.CanonicalMIMEHeaderKey(name)], value, true)
	}
	if want.JSON != nil {
		var got, expected any
		if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
			out = append(out, fmt.Sprintf("json: the body is none: %.500q", r.Body))
		} else if json.Unmarshal([]byte(compact(want.JSON)), &expected) != nil || !reflect.DeepEqual(got, expected) {
			out = append(out, fmt.Sprintf("json: %.500s, want %.500s", r.Body, compact(want.JSON)))
		}
	}
	return out
}
