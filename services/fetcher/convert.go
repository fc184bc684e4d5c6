package fetcher

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// maxSetCookies bounds the cookies taken of one response.
const maxSetCookies = 64

// fetchResult turns an outcome into its message. sent is the request's header but
// Host, as the archive gets it.
func (p *prepared) fetchResult(u weburl.URL, r *client.Result, sent []*crawlv1.Header) *crawlv1.FetchResult {
	out := &crawlv1.FetchResult{
		StartedAt:       timestamppb.New(r.Start),
		Duration:        durationpb.New(r.Duration),
		Status:          uint32(r.Status),
		Error:           crawlv1.ErrorClass(r.Class),
		ErrorDetail:     r.Detail,
		Protocol:        r.Protocol,
		ResponseHeaders: headers(r.Header),
		RemoteAddr:      r.RemoteAddr,
		RedirectUrl:     r.Redirect,
		Truncated:       r.Truncated,
		Timings:         timings(&r.Timings),
	}
	out.RequestHeaders = make([]*crawlv1.Header, 0, len(sent)+1)
	out.RequestHeaders = append(out.RequestHeaders, &crawlv1.Header{Name: "Host", Value: []byte(u.HostPort())})
	out.RequestHeaders = append(out.RequestHeaders, sent...)
	if r.RetryAfter > 0 {
		out.RetryAfter = durationpb.New(r.RetryAfter)
	}
	if p.cookies {
		out.SetCookies = bus.CookieMessages(setCookies(u, r))
	}
	return out
}

// setCookies are those that the site of u may set.
func setCookies(u weburl.URL, r *client.Result) []cookie.Cookie {
	var out []cookie.Cookie
	for _, h := range r.Header {
		if h.Name != "Set-Cookie" || len(out) == maxSetCookies {
			continue
		}
		if c, err := cookie.Parse(h.Value, u, r.Start); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// timings leaves out the steps that there were not.
func timings(t *client.Timings) *crawlv1.Timings {
	if *t == (client.Timings{}) {
		return nil
	}
	step := func(d time.Duration) *durationpb.Duration {
		if d <= 0 {
			return nil
		}
		return durationpb.New(d)
	}
	return &crawlv1.Timings{
		Dns: step(t.DNS), Connect: step(t.Connect), Tls: step(t.TLS), FirstByte: step(t.FirstByte), Body: step(t.Body), Reused: t.Reused,
	}
}

// headers allocates all fields at once: a response has a dozen.
func headers(list []client.Header) []*crawlv1.Header {
	if len(list) == 0 {
		return nil
	}
	fields := make([]crawlv1.Header, len(list))
	out := make([]*crawlv1.Header, len(list))
	size := 0
	for _, h := range list {
		size += len(h.Value)
	}
	values := make([]byte, 0, size)
	for i, h := range list {
		at := len(values)
		values = append(values, h.Value...)
		fields[i].Name, fields[i].Value = strings.ToValidUTF8(h.Name, "\uFFFD"), values[at:len(values):len(values)]
		out[i] = &fields[i]
	}
	return out
}

// bodyMessage describes a body without its data; nil without a response, and for
// 304, whose body is that of the visit before.
func bodyMessage(status int, b *body.Body) *crawlv1.Body {
	if status == 0 || status == http.StatusNotModified {
		return nil
	}
	sum := b.SHA256
	if b.Size == 0 {
		sum = sha256.Sum256(nil)
	}
	return &crawlv1.Body{Size: uint64(b.Size), Sha256: sum[:], Crc32: b.CRC32}
}

// parseable: a page, of which there is an item whatever its type.
func parseable(kind crawlv1.TaskKind, r *client.Result) bool {
	return kind == crawlv1.TaskKind_TASK_KIND_PAGE && r.Class == crawl.ClassNone && r.Status/100 == 2 && r.Redirect == ""
}
