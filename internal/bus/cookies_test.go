package bus_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
)

func TestCookiesRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123).UTC()
	want := []cookie.Cookie{
		{Name: "a", Value: "\xff", Domain: "a.example", HostOnly: true, Path: "/x", Secure: true, Expires: at.Add(time.Hour), Created: at},
		{Value: "b", Domain: "example.org", Path: "/", Created: at},
	}
	if diff := cmp.Diff(want, bus.Cookies(bus.CookieMessages(want))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if bus.Cookies(bus.CookieMessages(nil)) != nil {
		t.Error("cookies of none")
	}
}
