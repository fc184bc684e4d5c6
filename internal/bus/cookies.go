package bus

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/cookie"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// CookieMessages returns cookies as messages have them.
func CookieMessages(cookies []cookie.Cookie) []*crawlv1.Cookie {
	if len(cookies) == 0 {
		return nil
	}
	out := make([]*crawlv1.Cookie, len(cookies))
	for i := range cookies {
		c := &cookies[i]
		m := &crawlv1.Cookie{
			Name: c.Name, Value: []byte(c.Value), Domain: c.Domain, HostOnly: c.HostOnly, Path: c.Path, Secure: c.Secure,
			Created: timestamppb.New(c.Created),
		}
		if !c.Expires.IsZero() {
			m.Expires = timestamppb.New(c.Expires)
		}
		out[i] = m
	}
	return out
}

// Cookies returns what messages say, unchecked: cookie.Jar and cookie.Header leave out
// what no site may set.
func Cookies(messages []*crawlv1.Cookie) []cookie.Cookie {
	if len(messages) == 0 {
		return nil
	}
	out := make([]cookie.Cookie, len(messages))
	for i, m := range messages {
		out[i] = cookie.Cookie{
			Name: m.GetName(), Value: string(m.GetValue()), Domain: m.GetDomain(), HostOnly: m.GetHostOnly(), Path: m.GetPath(), Secure: m.GetSecure(),
			Expires: timeOf(m.GetExpires()), Created: timeOf(m.GetCreated()),
		}
	}
	return out
}

// timeOf is zero for an absent time.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
